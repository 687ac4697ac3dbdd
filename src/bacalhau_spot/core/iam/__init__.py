"""The IAM actions that are needed, and the policy."""
