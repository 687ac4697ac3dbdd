"""The removal, replacement and number of nodes, as plans and results."""
