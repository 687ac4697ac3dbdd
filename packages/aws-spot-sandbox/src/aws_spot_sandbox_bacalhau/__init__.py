"""A plug-in: the boot of Bacalhau nodes, and their orchestrator."""
