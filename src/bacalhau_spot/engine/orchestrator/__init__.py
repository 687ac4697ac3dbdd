"""Keeps the orchestrator's list of nodes in step with AWS."""
