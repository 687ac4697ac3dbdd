"""Where nodes can be launched: offers, quotas, the choice of regions."""
