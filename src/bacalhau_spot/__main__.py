"""`python -m bacalhau_spot`."""

from bacalhau_spot.cli import main

main()
