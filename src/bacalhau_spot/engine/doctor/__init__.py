"""Runs the checks of `doctor`."""
