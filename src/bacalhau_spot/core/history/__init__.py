"""The events of a cluster's nodes: launches, joins, interruptions, replacements."""
