"""Images with Docker and Bacalhau on them: their selection, the plan of making them, and its result."""
