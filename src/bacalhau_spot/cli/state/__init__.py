"""What stays on this machine: the audit log and the cache."""
