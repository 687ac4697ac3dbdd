"""What one pass of `reconcile` changes, and what it leaves."""
