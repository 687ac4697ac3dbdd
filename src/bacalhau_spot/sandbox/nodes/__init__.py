"""What would happen on the machines if there were any: their boot, and the orchestrator that they join."""
