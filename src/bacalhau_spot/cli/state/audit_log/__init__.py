"""The audit log: one file format, written and read here."""
