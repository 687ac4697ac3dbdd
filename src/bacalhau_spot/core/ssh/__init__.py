"""SSH commands, their results, and the nodes they reach."""
