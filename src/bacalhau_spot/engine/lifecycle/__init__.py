"""Changes of a living cluster."""
