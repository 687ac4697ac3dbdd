"""What keeps a living cluster: expiry, drift, drains, and the lock between operators."""
