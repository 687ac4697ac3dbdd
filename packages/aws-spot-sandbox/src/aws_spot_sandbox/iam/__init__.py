"""IAM as far as it decides: what a call asks for, and whether the caller's policies allow it."""
