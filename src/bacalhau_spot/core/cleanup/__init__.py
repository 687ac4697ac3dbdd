"""What may be deleted, in which order, and the result."""
