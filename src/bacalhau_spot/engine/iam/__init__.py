"""Roles and instance profiles of instances."""
