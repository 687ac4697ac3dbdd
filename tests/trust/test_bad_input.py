"""Whatever the program reads, it ends in a result or in words for the user: within bounded time and memory, and the screen stays.

CI runs some mutations of each kind of input, `make trust` thousands; each has a limit of CPU, and all of a kind one of memory.
tests/trust/coverage_guided.py looks further, along the code that an input reaches.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support import trust_figures
from support.fuzz_examples import mutated
from support.fuzz_targets import TARGETS
from support.limits import EndlessError, cpu_limit, memory_limit

# Whole command lines take longer than a function.
_SLOW = {"configuration_file", "command_line"}
_CASES = {name: (400 if name in _SLOW else 3000) for name in TARGETS}
_FEW = {name: (15 if name in _SLOW else 40) for name in TARGETS}
# The CPU of one input: the slowest takes a hundredth of it.
_LIMIT_S = 10.0
# Beyond what the process has at the beginning.
_MEMORY_BYTES = 1 << 30


def fuzz(target: str, cases: int) -> int:
    """Returns the number of inputs. A failure is shrunk by hypothesis, and printed."""
    done = 0

    @seed(trust_figures.SEED)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=mutated(target) | st.binary(max_size=300))
    def each(data: bytes) -> None:
        nonlocal done
        done += 1
        with cpu_limit(_LIMIT_S):
            TARGETS[target](data)

    each()
    return done


@pytest.mark.parametrize("target", TARGETS)
def test_mutations(target: str) -> None:
    began = time.process_time()
    with memory_limit(_MEMORY_BYTES):
        done = fuzz(target, (_CASES if trust_figures.FULL else _FEW)[target])
    trust_figures.record("bad input", cases=done, cpu_s=time.process_time() - began, groups={target: done})


def _endless() -> None:
    while True:
        pass


def test_the_limit_ends_endless_work() -> None:
    with pytest.raises(EndlessError), cpu_limit(0.05):
        _endless()


def test_the_limit_of_memory_holds() -> None:
    with pytest.raises(MemoryError), memory_limit(64 << 20):
        bytearray(256 << 20)
