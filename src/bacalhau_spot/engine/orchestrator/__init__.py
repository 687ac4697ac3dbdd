"""Synchronizes the orchestrator's list of nodes with AWS."""
