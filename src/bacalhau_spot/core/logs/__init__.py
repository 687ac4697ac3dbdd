"""The log lines of nodes."""
