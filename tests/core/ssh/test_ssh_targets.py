"""Which node is meant, the command line of ssh, and what is new on a console."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.health.boot_console import boot_lines_only, new_output
from bacalhau_spot.core.model import Instance
from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.core.ssh.node_selector import matching_nodes
from bacalhau_spot.core.ssh.ssh_command import KnownHosts, SshOptions, ssh_command
from bacalhau_spot.core.ssh.ssh_results import CommandResult, FanOutResult, group_identical
from bacalhau_spot.errors import ExitCode
from support.health import console_output, node, orchestrator_instance

PREFIX = "bacalhau-"
A = node(1, id="i-0aaa1", region="us-east-1", zone="us-east-1a")
B = node(2, id="i-0aaa2", region="us-east-1", zone="us-east-1b")
C = node(3, id="i-0bbb3", region="us-west-2", zone="us-west-2a")
LONGER = node(4, id="i-0aaa11", region="us-west-2", zone="us-west-2b")
ALL = (A, B, C, LONGER)
BOSS = orchestrator_instance(id="i-0ccc4")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("i-0bbb3", (C,)),
        ("bacalhau-i-0bbb3", (C,)),
        ("i-0aaa1", (A,)),  # exactly one, although another begins with it
        ("i-0aaa", (A, B, LONGER)),
        ("0bbb", (C,)),
        ("bacalhau-i-0b", (C,)),
        ("us-east-1", (A, B)),
        ("us-east-1b", (B,)),
        (None, ALL),
        ("i-", ()),
        ("bacalhau-", ()),
        ("us-east", ()),
        ("", ()),
        ("i-9", ()),
    ],
)
def test_who_is_meant(word: str | None, expected: tuple[Instance, ...]) -> None:
    """Ids and names exactly, zones, regions, then beginnings; what every id begins with names nobody."""
    instances = matching_nodes(word, reversed(ALL), prefix=PREFIX)
    assert instances == tuple(instance for instance in ALL if instance in expected)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("orchestrator", (BOSS,)),
        (BOSS.id, (BOSS,)),
        (f"bacalhau-{BOSS.id}", (BOSS,)),
        (BOSS.id[:-1], (BOSS,)),
        ("us-east-1", (A, B)),
        ("us-east-1a", (A,)),
        (None, ALL),
    ],
)
def test_the_orchestrator_is_meant_by_its_id_or_by_the_word_only(
    word: str | None, expected: tuple[Instance, ...]
) -> None:
    """Never by its zone or region, and not by no word at all."""
    assert matching_nodes(word, ALL, prefix=PREFIX, orchestrator=BOSS) == expected


def test_the_word_without_an_orchestrator_means_nobody() -> None:
    assert matching_nodes("orchestrator", ALL, prefix=PREFIX) == ()


@given(st.text(), st.sampled_from(ALL))
def test_an_exact_id_is_never_ambiguous(word: str, instance: Instance) -> None:
    """And whatever is said, nobody is made up."""
    assert matching_nodes(instance.id, ALL, prefix=PREFIX) == (instance,)
    assert all(node in ALL for node in matching_nodes(word, ALL, prefix=PREFIX))


ACCESS = SshOptions("bacalhau", "/home/me/.ssh/id")
KNOWN = KnownHosts("/state/host keys/100%")


def test_the_command_line() -> None:
    """Known by its id, never learnt, in a file of its own, whose name may hold blanks and percent signs."""
    line = ssh_command(A, ACCESS, KNOWN, remote=("uptime", "-p"))
    assert shlex.join(line) == (
        "ssh -i /home/me/.ssh/id -o 'UserKnownHostsFile=\"/state/host keys/100%%\"' -o StrictHostKeyChecking=yes "
        "-o UpdateHostKeys=no -o HostKeyAlias=i-0aaa1 -o ConnectTimeout=10 -o IdentitiesOnly=yes -l bacalhau "
        "-- 127.0.1.1 uptime -p"
    )


def test_a_key_is_learnt_by_an_explicit_choice_only() -> None:
    """Under the name by which it is found again."""
    line = ssh_command(A, ACCESS, KnownHosts("k", accept_new=True))
    assert {"StrictHostKeyChecking=accept-new", "HashKnownHosts=no", f"HostKeyAlias={A.id}"} <= set(line)


def test_nobody_is_asked_when_nobody_is_there() -> None:
    """For all nodes at once: no questions, no input, no chatter. Without a key ssh tries what it has."""
    line = ssh_command(node(1, public_ip=None), SshOptions("me", None), KNOWN, remote=("x",), unattended=True)
    assert "BatchMode=yes" in line and "-n" in line and "-i" not in line and "IdentitiesOnly=yes" not in line
    assert line[-2:] == ("10.0.0.1", "x")


def test_what_is_alike_is_together() -> None:
    """The same end and the same words; the most first."""
    ran = [
        CommandResult(A, 0, "x"),
        CommandResult(B, 1, "x"),
        CommandResult(C, 0, "x"),
        CommandResult(LONGER, None, "x"),
    ]
    assert [[result.instance.id for result in group] for group in group_identical(ran)] == [
        [A.id, C.id],
        [B.id],
        [LONGER.id],
    ]
    assert FanOutResult(("x",), tuple(ran)).exit_code is ExitCode.FAILED
    assert FanOutResult(("x",), (ran[0],)).exit_code is ExitCode.DONE


@given(st.text(), st.text())
def test_what_is_new_is_what_was_added(before: str, more: str) -> None:
    """As long as nothing was lost at the beginning."""
    assert new_output(before, before + more) == more


def test_what_is_new_after_the_beginning_was_lost() -> None:
    """EC2 keeps the last 64 KiB: the end of the old output is found in the new one; if not even that, all of it is new."""
    old = "".join(f"line {number}\n" for number in range(1000))
    assert new_output(old, f"{old[5000:]}new\n") == "new\n"
    assert new_output("something else", "all new") == "all new"


def test_a_console_cannot_move_the_cursor() -> None:
    """What a terminal would obey is taken out; tabs and lines stay."""
    assert without_sequences("a\x1b[31mb\x1b[2J\x07c\td\r\ne\rf\x9bg") == "abc\td\ne\nfg"
    assert (
        boot_lines_only(f"[ 1.0] x {console_output('docker: y')}")
        == console_output("docker: y").split("\r\n")[1] + "\n"
    )


@given(st.text())
def test_nothing_printable_is_obeyed(text: str) -> None:
    """Twice is as good as once."""
    clean = without_sequences(text)
    assert "\x1b" not in clean and without_sequences(clean) == clean
