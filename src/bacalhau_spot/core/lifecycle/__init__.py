"""The end of running nodes: expiry and drains; and the lock between operators."""
