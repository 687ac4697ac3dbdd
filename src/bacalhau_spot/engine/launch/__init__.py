"""Creates a cluster."""
