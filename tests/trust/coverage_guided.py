"""Coverage-guided fuzzing of the same targets with atheris, which is not a dependency: it is large, and needs hours.

    PYTHONPATH=tests uv run --with atheris python tests/trust/coverage_guided.py plan_file -max_total_time=600

The first word is a target of tests/support/fuzz_targets.py; all others are libFuzzer's options. A folder of examples grows in
build/fuzz/TARGET, and a failing input is a file that libFuzzer names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # see above

with atheris.instrument_imports(include=["bacalhau_spot"]):
    from support.fuzz_examples import WORDS, examples
    from support.fuzz_targets import TARGETS


def _quoted(word: bytes) -> str:
    """In libFuzzer's dictionaries."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def main(target: str, options: list[str]) -> None:
    corpus = Path("build/fuzz") / target
    corpus.mkdir(parents=True, exist_ok=True)
    # What a target imports when it runs is instrumented, too.
    with atheris.instrument_imports(include=["bacalhau_spot"]):
        for number, data in enumerate(examples(target)):
            (corpus / f"example-{number}").write_bytes(data)
            TARGETS[target](data)
    words = corpus.with_suffix(".dict")
    words.write_text("".join(map(_quoted, WORDS)))
    atheris.Setup(
        [sys.argv[0], f"-dict={words}", "-timeout=20", "-rss_limit_mb=2048", *options, str(corpus)],
        TARGETS[target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
