"""Finds the clusters of an account."""
