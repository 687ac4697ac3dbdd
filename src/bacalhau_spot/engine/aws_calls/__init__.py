"""Calls to AWS: retries, limits, cancellation, and what every command discovers first."""
