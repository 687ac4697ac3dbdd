"""The change and the end of running nodes: expiry, drains, replacements."""
