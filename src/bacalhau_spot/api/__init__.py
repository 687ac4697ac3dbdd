"""The Python API: the commands for other programs. `bacalhau_spot` and `bacalhau_spot.sync` have its public names."""
