"""Screens for long commands: live, as a log, and the watched status."""
