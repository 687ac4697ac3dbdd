"""What a node runs, and the function that renders it for EC2."""
