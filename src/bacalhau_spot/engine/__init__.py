"""The only concurrent code: observe, apply, follow, tear down. `core` contains the decisions."""
