"""Secrets of other places and in other spellings: proxies, cut texts, encodings."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.redaction import redacted
from bacalhau_spot.engine import notices
from bacalhau_spot.orchestrator import parsing
from bacalhau_spot.text_marks import shortened_line
from support.cli_runner import CliRunner
from support.orchestrator import stand_in
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


KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"


@pytest.mark.parametrize("shown", [4, 44, 63])
@pytest.mark.parametrize("end", ["…", "…'", " …", "…\n"])
def test_a_secret_in_which_a_text_was_cut_is_hidden(tmp_path: Path, shown: int, end: str) -> None:
    runtime = surroundings(tmp_path, API_KEY=KEY)
    assert redacted(f"012 the key {KEY[:shown]}{end} and more", runtime) == f"012 the key ***{end} and more"


def test_the_longest_beginning_of_any_secret_is_hidden(tmp_path: Path) -> None:
    """One secret may begin with the end of another, and contain its own beginning."""
    runtime = surroundings(tmp_path, A_TOKEN="abcabcabd", B_TOKEN="abdefghij", C_TOKEN="one two three")
    assert redacted("it is abcabcab… or abcabde…", runtime) == "it is ***… or abc***…"
    assert redacted("it is one two t…", runtime) == "it is ***…"


def test_a_few_letters_before_a_cut_are_shown(tmp_path: Path) -> None:
    """Other words begin so; and the beginning of a webhook's address is that of any."""
    runtime = surroundings(tmp_path, API_KEY=KEY, HOOK_TOKEN="https://hooks.example.com/secret")
    text = "write 012… or https://…; 0123 and 0123, …"
    assert redacted(text, runtime) == text
    assert redacted("https://hooks.example…", runtime) == "***…"


@pytest.mark.parametrize("form", ["table", "json"])
def test_an_error_of_the_orchestrator_that_is_cut_in_the_key(program: CliRunner, form: str) -> None:
    """The message is shortened before it is known which secrets there are."""
    with stand_in() as here:
        api = f"  api: {{host: '{here.url}', key_env: BACALHAU_KEY}}\n"
        path = program.configure(nodes=1, regions="[us-west-1]", more=api)
        path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
        program.environ["BACALHAU_KEY"] = KEY
        for before in (100, 150, 190):
            here.answer = (500, {}, f"{'x' * before} {KEY}".encode())
            result = program("doctor", "-o", form)
            assert f"{'x' * 100} ***" in result.stdout + result.stderr or before > 100
            assert KEY[:5] not in result.stdout + result.stderr


def test_each_cut_text_says_that_it_is_cut() -> None:
    """The mark is what the beginning of a secret is found by."""
    marked = f"{KEY[:9]}…"
    assert parsing._text(f"{KEY}", longest=9) == marked
    assert parsing._text(KEY[:9], longest=9) == KEY[:9]
    assert shortened_line(f" {KEY}\n", 9) == marked
    assert shortened_line(f"{KEY[:9]}\n", 9) == KEY[:9]


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"ab " + b"c" * 10, "cccccccccc"),
        (b"ab" * 10, ""),
        (b"ab cd", "ab cd"),
        (b"abc  cd efghi", "cd efghi"),
    ],
)
def test_output_that_is_cut_at_its_beginning_starts_with_a_whole_word(output: bytes, shown: str) -> None:
    """The end of a secret is in no other text."""
    assert notices._end(output, longest=10).decode() == shown


ODD = 'API KEY"abc\\def/\u00e9'


@pytest.mark.parametrize(
    "spelling",
    [str, repr, json.dumps, quote, partial(quote, safe=""), partial(json.dumps, ensure_ascii=False)],
)
def test_each_spelling_of_a_secret_is_hidden(tmp_path: Path, spelling: Callable[[str], str]) -> None:
    """In JSON, in an address, in a message of Python."""
    shown = redacted(f"before {spelling(ODD)} after", surroundings(tmp_path, API_KEY=ODD))
    assert re.fullmatch(r"""before (["']?)\*\*\*\1 after""", shown)


def test_a_secret_of_half_a_character_has_spellings(tmp_path: Path) -> None:
    """A variable that is no text (UTF-8)."""
    assert redacted("it is abc\udcffdef", surroundings(tmp_path, API_KEY="abc\udcffdef")) == "it is ***"


@pytest.mark.parametrize(
    "text",
    ["me:open sesame", "proxy cGxhbg== refused", "Basic bWU6b3BlbiBzZXNhbWU=", "it is bWU6b3BlbiBzZXNhbWU="],
)
def test_the_login_of_a_proxy_is_hidden_as_it_is_sent(tmp_path: Path, text: str) -> None:
    runtime = surroundings(tmp_path, HTTPS_PROXY="http://me:open%20sesame@proxy:8080", A_TOKEN="cGxhbg==")
    assert redacted(text, runtime).endswith(("***", "proxy *** refused"))


def test_an_unknown_login_is_known_by_its_label(tmp_path: Path) -> None:
    runtime = surroundings(tmp_path)
    assert redacted("Authorization: Basic am9lOnh5enp5MTIz", runtime) == "Authorization: Basic ***"
    assert redacted("{'Proxy-Authorization': 'basic am9lOjE='}", runtime) == (
        "{'Proxy-Authorization': 'basic ***'}"
    )
    assert redacted("Basic am9lOnh5enp5MT…", runtime) == "Basic ***"
    for plain in (
        "a basic configuration is enough",
        "basic monitoring, Basic Authentication required",
        "basic t3.medium-large",
        "basic us-west-1a",
    ):
        assert redacted(plain, runtime) == plain


def test_the_login_of_the_api_is_hidden_as_it_is_sent(program: CliRunner) -> None:
    """An orchestrator that quotes the request."""
    sent = base64.b64encode(b"joe:xyzzy/123").decode()
    with stand_in() as here:
        api = f"  api: {{host: '{here.url}', user_env: BACALHAU_USER, password_env: BACALHAU_PASS}}\n"
        path = program.configure(nodes=1, regions="[us-west-1]", more=api)
        path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
        program.environ |= {"BACALHAU_USER": "joe", "BACALHAU_PASS": "xyzzy/123"}
        here.answer = (500, {}, f"got {sent}, xyzzy%2F123 and xyzzy/123 of joe".encode())
        result = program("doctor", "-o", "json")
    assert "got ***, *** and *** of joe" in result.stdout


SIGNATURE = "0123456789abcdef0123456789abcdef"
MIRROR = (
    f"https://me:xyzzy-123@127.0.0.1:9/{{version}}_{{arch}}.tar.gz?X-Amz-Signature={SIGNATURE}&v={{version}}"
)


@pytest.mark.parametrize(
    "command",
    [
        ["config", "show"],
        ["config", "show", "--sources"],
        ["config", "show", "-o", "json"],
        ["configure", "--set", "nodes=2"],
        ["configure", "--set", "bacalhau.version=v1.9.4"],
        ["create", "--yes", "--debug"],
        ["create", "--dry-run", "-o", "json"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_the_login_and_the_signature_of_a_mirror_are_hidden(program: CliRunner, command: list[str]) -> None:
    path = program.configure(nodes=1, regions="[us-west-1]", more=f"  download_url: '{MIRROR}'\n")
    path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
    result = program(*command)
    output = result.stdout + result.stderr
    assert "xyzzy" not in output and SIGNATURE[:6] not in output
    if command[0] in {"config", "create"}:
        assert "https://***@127.0.0.1:9/" in output and "?***" in output
