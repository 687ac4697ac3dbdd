"""Removes, replaces and launches nodes of a living cluster."""
