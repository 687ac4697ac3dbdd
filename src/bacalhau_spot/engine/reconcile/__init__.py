"""Carries out the passes of `reconcile`."""
