"""Secrets of other places and in other spellings: proxies, cut texts, encodings."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.redaction import redacted
from support.cli_runner import CliRunner
from support.proxy_variables import PROXY_PASSWORD, proxies_of_the_user

PROXIES = (
    f"http://user:{PROXY_PASSWORD}#1@127.0.0.1:9",
    f"user:{PROXY_PASSWORD}/1@127.0.0.1:9",
)


def surroundings(folder: Path, **environ: str) -> Runtime:
    """A run with these variables."""
    return Runtime(
        environ=environ, cwd=folder, home=folder, stdin=StringIO(), stdout=StringIO(), stderr=StringIO()
    )


@pytest.mark.sockets
@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("command", [["notify-test"], ["list"], ["status", "-o", "json"]], ids="-".join)
def test_the_password_of_a_proxy_is_hidden(
    program: CliRunner, monkeypatch: pytest.MonkeyPatch, command: list[str], proxy: str
) -> None:
    """Libraries quote the address, or the part of it that they take for the host."""
    program.configure(nodes=1, regions="[us-west-1]", more="notify: [{url: 'https://hooks.example.com/x'}]\n")
    proxies_of_the_user(program, monkeypatch, proxy)
    result = program(*command)
    assert result.code != 0
    assert PROXY_PASSWORD not in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "all_proxy", "Http_Proxy"])
@pytest.mark.parametrize(
    ("proxy", "text", "shown"),
    [
        ("http://me:let#mein!now@proxy:8080", "no host in me:let", "no host in ***"),
        ("http://me:let#mein!now@proxy:8080", "the rest is mein!now", "the rest is ***"),
        ("http://me:open%20sesame@proxy:8080", "it is open sesame", "it is ***"),
        ("http://me:let@mein!now@proxy:8080", "no host in me:let", "no host in ***"),
        ("socks5://me:opensesame@proxy:8080", "socks5://me:opensesame@proxy", "socks5://***@proxy"),
        ("me:opensesame@proxy:8080", "via me:opensesame@proxy", "via ***@proxy"),
        ("http://0123456789abcdef0123@proxy:8080", "via 0123456789abcdef0123", "via ***"),
        ("http://proxy:8080", "via http://proxy:8080", "via http://proxy:8080"),
        ("http://ubuntu@proxy:8080", "ssh ubuntu@192.0.2.1", "ssh ubuntu@192.0.2.1"),
    ],
)
def test_each_part_of_the_password_of_a_proxy_is_hidden(
    tmp_path: Path, name: str, proxy: str, text: str, shown: str
) -> None:
    """Whatever the variable is called; a name is no secret."""
    assert redacted(text, surroundings(tmp_path, **{name: proxy})) == shown


def test_the_password_in_any_address_is_hidden(tmp_path: Path) -> None:
    """Of a package index, for example, which is in no variable that the program knows."""
    runtime = surroundings(tmp_path)
    text = "https://me:secret@example.com/x and https://example.com:8080/a@b and nats://[::1]:4222"
    assert redacted(text, runtime) == text.replace("secret", "***")


def test_hosts_without_a_proxy_are_shown(tmp_path: Path) -> None:
    runtime = surroundings(tmp_path, NO_PROXY="localhost:abcdefgh@example.com")
    assert redacted("localhost:abcdefgh", runtime) == "localhost:abcdefgh"
