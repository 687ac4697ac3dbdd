"""The programs and files of a node, and the function that renders them as EC2 user data."""
