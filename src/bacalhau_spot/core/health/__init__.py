"""One diagnosis per node, and the status of the cluster."""
