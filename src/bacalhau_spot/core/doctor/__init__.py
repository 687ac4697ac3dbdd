"""The checks of `doctor`, as decisions."""
