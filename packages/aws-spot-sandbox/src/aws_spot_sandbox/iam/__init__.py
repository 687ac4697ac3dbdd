"""IAM's authorization: the requests that a call implies, and whether the caller's policies allow them."""
