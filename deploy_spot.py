#!/usr/bin/env -S uv run -s
# /// script
# requires-python = ">=3.11"
# dependencies = ["bacalhau-spot"]
#
# [tool.uv.sources]
# bacalhau-spot = { path = ".", editable = true }
# ///
from bacalhau_spot.cli import main

main()
