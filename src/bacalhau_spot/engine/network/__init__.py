"""A region's network: checked before a launch, created or completed by it."""
