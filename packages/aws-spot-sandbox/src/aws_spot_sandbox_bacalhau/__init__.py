"""A plug-in: the boot of Bacalhau's nodes, and the orchestrator that they join."""
