"""Changes and ends running nodes."""
