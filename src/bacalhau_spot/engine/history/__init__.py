"""Gathers the records of a cluster's nodes."""
