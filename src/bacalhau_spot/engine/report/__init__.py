"""Gathers the data of the report about a cluster."""
