"""The Bacalhau orchestrator's HTTP API. `port.py` is the contract, `http.py` the implementation."""
