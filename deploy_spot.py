#!/usr/bin/env -S uv run -s
# /// script
# requires-python = ">=3.11"
# dependencies = ["bacalhau-spot[sandbox]"]
#
# [tool.uv.sources]
# bacalhau-spot = { path = ".", editable = true }
# aws-spot-sandbox = { path = "packages/aws-spot-sandbox", editable = true }
# ///
try:
    from bacalhau_spot.cli import main
# uv looks for the program beside the path that it is given, which must not be a link to this file.
except (ImportError, SyntaxError) as error:  # not run by uv
    from pathlib import Path

    raise SystemExit(
        f"error: {error}\nhint: run `uv run -s {Path(__file__).resolve()}`, which brings all it needs"
    ) from None

main()
