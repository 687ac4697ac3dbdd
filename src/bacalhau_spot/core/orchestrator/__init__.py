"""The orchestrator's nodes, and which of them are stale."""
