"""Error codes that botocore's models do not have. The list and where it is from: aws_codes.txt."""

from pathlib import Path

_LINES = Path(__file__).with_suffix(".txt").read_text().splitlines()
BEYOND_MODELS = sorted({code for line in _LINES if not line.startswith("#") for code in line.split()})
