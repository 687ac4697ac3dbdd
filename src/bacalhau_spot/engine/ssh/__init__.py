"""Runs a command on many nodes."""
