"""The report about a cluster: its state, its nodes and costs over time, its capacity pools."""
