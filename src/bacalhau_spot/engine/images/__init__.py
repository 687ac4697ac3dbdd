"""Makes, copies, finds and deletes the account's images."""
