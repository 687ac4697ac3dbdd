"""Calls to AWS: retries, limits, cancellation, and the discovery that every command starts with."""
