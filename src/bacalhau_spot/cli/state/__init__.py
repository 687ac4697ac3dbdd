"""Local state: the audit log and the cache."""
