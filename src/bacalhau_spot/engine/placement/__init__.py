"""Gathers markets, offers, quotas and placement scores."""
