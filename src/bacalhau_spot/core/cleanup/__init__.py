"""The scope, the order and the result of a deletion."""
