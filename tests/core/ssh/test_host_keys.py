"""Which host keys a console output shows, and which it only seems to show."""

from __future__ import annotations

import base64
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.ssh.host_keys import (
    BEGIN,
    END,
    ConsoleHostKeys,
    HostKey,
    console_host_keys,
    known_hosts_text,
    lists_key_of,
    unknown_reason,
)
from support.health import node


def key(name: str, *fields: bytes) -> HostKey:
    blob = b"".join(len(field).to_bytes(4) + field for field in (name.encode(), *fields))
    return HostKey(name, base64.b64encode(blob).decode())


ED = key("ssh-ed25519", bytes(range(32)))
RSA = key("ssh-rsa", b"\1\0\1", b"\0" + bytes([193] * 256))
EC = key("ecdsa-sha2-nistp256", b"nistp256", bytes([4] * 65))
NEW_LINE = "\r\n"
# Other ends of lines than the new line, for Python or for Unicode.
OTHER_ENDS = ("\v", "\f", "\r", "\x85", "\u2028", "\x1c")
OTHER = key("ssh-ed25519", bytes(32))


def block(*keys: HostKey, prefix: str = "") -> str:
    lines = [BEGIN, *(f"{one.type} {one.data} root@ip-10-0-0-4" for one in keys), END]
    return "".join(f"{prefix}{line}\r\n" for line in lines)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "ec2: ",
        "cloud-init: ",
        "<14>Jan  6 15:27:31 cloud-init: ",
        "<14>Nov 16 05:27:31 ec2: ",
        "[   21.097126] cloud-init[1278]: ",
        "[ 1021.097126] cloud-init[1278]: <14>Jan  6 15:27:31 ec2: ",
    ],
)
def test_the_keys_of_a_block(prefix: str) -> None:
    """As cloud-init prints them on the console, with the prefixes of its versions."""
    text = f"Linux version 6.8\r\n{block(EC, ED, RSA, prefix=prefix)}Cloud-init finished\r\n"
    assert console_host_keys(text) == ConsoleHostKeys((EC, ED, RSA))


def test_a_block_may_come_twice_and_between_lines_of_others() -> None:
    """The node's own one and cloud-init's; the kernel writes whenever it wants."""
    whole = block(ED, RSA)
    mixed = whole.replace("\r\n", "\r\n[   12.000001] nvme nvme0: reset\r\n", 2)
    assert console_host_keys(whole + mixed) == ConsoleHostKeys((ED, RSA))
    assert console_host_keys(mixed + block(EC)) == ConsoleHostKeys((EC, ED, RSA))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing of the kind",
        block(ED).replace(END, ""),  # cut off
        block(ED).replace(BEGIN, ""),  # its beginning has left EC2's 64 KiB
        # A failure with words from elsewhere is a line of the node
        f"bacalhau-spot: 2026-01-31T12:00:00Z failed: {BEGIN} {ED.type} {ED.data} {END}\r\n",
        "".join(f"x {line}\r\n" for line in block(ED).splitlines()),
        "".join(f"bacalhau[12]: {line}\r\n" for line in block(ED).splitlines()),
        block(ED).replace("\r\n", " \x1b[0m\r\n"),
        *("log: x" + end + block(ED).replace(NEW_LINE, end) for end in OTHER_ENDS),
        block(HostKey("ssh-ed25519", ED.data[:-8])),  # a serial console loses characters
        block(HostKey("ssh-ed25519", ED.data + "AAAA")),
        block(HostKey("ssh-ed25519", RSA.data)),
        block(HostKey("ssh-dss", ED.data)),
        block(HostKey("ssh-ed25519", "AAAA")),
        block(HostKey("ssh-ed25519", "=AAA")),
    ],
)
def test_what_is_no_block(text: str) -> None:
    assert console_host_keys(text) == ConsoleHostKeys()


def test_another_key_of_the_same_type_is_a_conflict() -> None:
    """Whichever is first: nobody can tell which of them is the node's."""
    for first, second in ((ED, OTHER), (OTHER, ED)):
        shown = console_host_keys(block(first, RSA) + block(second, RSA))
        assert shown == ConsoleHostKeys(conflicting=True)


@given(st.text(), st.lists(st.sampled_from([ED, RSA, EC]), unique=True), st.text())
def test_nobody_else_adds_a_key(before: str, keys: list[HostKey], after: str) -> None:
    """Random text around a block changes nothing, as long as it ends its line."""
    shown = console_host_keys(f"{before}\n{block(*keys)}{after}")
    assert set(shown.keys) == set(keys)


@given(st.data())
def test_a_truncated_output_shows_no_other_key(data: st.DataObject) -> None:
    text = block(EC, ED, RSA)
    begin, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    shown = console_host_keys(text[:begin] + text[end:])
    assert not shown.conflicting
    assert set(shown.keys) <= {EC, ED, RSA}


def test_a_known_hosts_file() -> None:
    """Its lines name the id; a file that is cut off, empty or another node's lists no key."""
    instance = node(1, id="i-0123456789abcdef0")
    text = known_hosts_text(instance, (ED, RSA))
    assert text == f"i-0123456789abcdef0 {ED.type} {ED.data}\ni-0123456789abcdef0 {RSA.type} {RSA.data}\n"
    assert lists_key_of(instance, text)
    for wrong in ("", "\n", "i-0123456789abcdef0", text[: len(ED.data)], text.replace("i-0", "i-1")):
        assert not lists_key_of(instance, wrong)


def test_the_reasons_differ() -> None:
    answers: tuple[ConsoleHostKeys | ApiFailure, ...] = (
        ConsoleHostKeys(),
        ConsoleHostKeys(conflicting=True),
        ApiFailure("UnauthorizedOperation", "no", "GetConsoleOutput", "us-east-1"),
    )
    for one, other in combinations(map(unknown_reason, answers), 2):
        assert one != other
    assert "GetConsoleOutput: UnauthorizedOperation" in unknown_reason(answers[2])
