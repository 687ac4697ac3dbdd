#!/usr/bin/env -S uv run -s
# /// script
# requires-python = ">=3.11"
# dependencies = ["bacalhau-spot"]
#
# [tool.uv.sources]
# bacalhau-spot = { path = ".", editable = true }
# ///
try:
    from bacalhau_spot.cli import main
except (ImportError, SyntaxError) as error:  # not run by uv
    raise SystemExit(
        f"error: {error}\nhint: run `uv run -s deploy_spot.py`, which brings all it needs"
    ) from None

main()
