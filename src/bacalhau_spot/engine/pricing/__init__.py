"""Gathers usage and prices."""
