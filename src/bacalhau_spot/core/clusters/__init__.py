"""All clusters of an account under one tag key."""
