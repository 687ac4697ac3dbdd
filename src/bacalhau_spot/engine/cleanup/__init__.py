"""Scans for resources and deletes them."""
