"""From the configuration to a plan, and from its events to the result."""
