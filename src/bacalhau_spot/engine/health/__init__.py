"""Takes a snapshot of the cluster."""
