"""Nothing that a configuration holds or names can hang the program or end it in a traceback."""

from __future__ import annotations

import contextlib
import difflib
import os
import resource
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot import config, files
from bacalhau_spot.config import schema
from bacalhau_spot.config.locations import MOST_SHOWN
from bacalhau_spot.errors import UserError

from .conftest import Load, Refusal

if TYPE_CHECKING:
    from pathlib import Path


def _many(count: int, entry: str) -> str:
    return ", ".join(entry.format(number) for number in range(count))


# text, the beginning of its only line
BOMBS = {
    "many aliases of one mapping": (
        f"x: &a {{{_many(2000, 'k{}: 1')}}}\ny:\n  <<: [{_many(1000, '*a')}]\n",
        "config.yaml:3:7  the file's aliases expand to more than 10000 values",
    ),
    "an alias of an alias of an alias": (
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(
            f"{new}: &{new} [{_many(10, '*' + old)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
        ),
        "config.yaml:1:35  the file's aliases expand to more than 10000 values",
    ),
    "forty thousand unknown keys": (
        "".join(f"k{number}: 1\n" for number in range(20_000)),
        "config.yaml  the file holds more than 10000 values",
    ),
    "brackets": ("[" * 40_000, "config.yaml  the file is nested too deeply, by more than 40 levels"),
    "braces": ("{a: " * 10_000, "config.yaml  the file is nested too deeply, by more than 40 levels"),
    "dashes": ("- " * 10_000, "config.yaml  the file is nested too deeply, by more than 40 levels"),
    "five thousand types": (
        f"instance_types: [{_many(5000, 'm{}.large')}]",
        "config.yaml:1:17  instance_types: found 5000 entries; at most 300 are allowed",
    ),
    "half a surrogate pair in a value": (
        r'instance: {additional_commands: "echo \ud800"}',
        r"config.yaml:1:33  instance.additional_commands: \ud800 is half of a surrogate pair and no character",
    ),
    "half a surrogate pair in a key": (
        r'cluster: {tags: {"a\udfff": x}}',
        r"config.yaml:1:18  cluster.tags.a",
    ),
    "a long token": (
        f"bacalhau: {{token: {'x' * 5000}}}",
        "config.yaml:1:19  bacalhau.token: has 5000 characters",
    ),
    "too large a file": ("# x\n" * 70_000, "config.yaml  "),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_take_for_ever_is_refused_in_words(refused: Refusal, name: str) -> None:
    """T5: merge bombs, many keys, deep nesting, long lists; what is reported is bounded as well."""
    text, line = BOMBS[name]
    details = refused(text).details
    assert details[0].startswith(line)
    assert len(details) <= MOST_SHOWN + 1


NUMBERS = (
    "nodes", "max_price_usd_per_hour", "budget_usd_per_hour", "max_share_per_pool", "requirements.vcpus",
    "requirements.memory_gib", "requirements.gpus", "regions.us-east-1.nodes", "regions.auto.count",
    "instance.root_volume_gib", "timeouts.api_s", "timeouts.join_s", "bacalhau.version",
)  # fmt: skip


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "9" * 5000, "-" + "9" * 5000, "1e999999"])
def test_a_huge_number_is_refused_in_words(refused: Refusal, key: str, number: str) -> None:
    """T6: `nodes: 0x` and 5,000 f ended in "a mistake in this program" (Python's limit for printing integers)."""
    text = number
    for part in reversed(key.split(".")):
        text = f"{{{part}: {text}}}"
    lines = refused(text).details
    assert any(f"  {key}: found " in line for line in lines)
    assert all(len(line) < 400 for line in lines)


def test_only_so_many_problems_are_worded_and_shown(
    refused: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T5: each unknown key was compared with every known one, without end."""
    compared: list[object] = []
    real = difflib.get_close_matches

    def counted(word: str, known: Sequence[str], **limits: Any) -> list[str]:
        compared.append(word)
        return real(word, known, **limits)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    for text in (
        "".join(f"k{number}: 1\n" for number in range(4000)),
        "aws: {" + _many(4000, "k{}: 1") + "}",
    ):
        details = refused(text).details
        assert details[-1] == "config.yaml  3950 more problems are not shown"
        assert len(details) == MOST_SHOWN + 1
    assert len(compared) <= 2 * 3 * 200  # keys here, keys anywhere, keys of older files


PATH_KEYS = (
    "public_ssh_key_path: {}",
    "bacalhau: {{token_file: {}}}",
    "bacalhau: {{ca_file: {}}}",
    "bacalhau: {{api: {{ca_file: {}}}}}",
    "instance: {{additional_commands_file: {}}}",
    "instance: {{files: [{{path: /a, source: {}}}]}}",
)


def test_every_key_that_names_a_file_is_tried_here() -> None:
    named = [key for key in config.config_schema()["properties"] if key.endswith("_path")]
    named += [key for key in schema.BacalhauSection.model_fields if key.endswith("_file")]
    named += [key for key in schema.InstanceSection.model_fields if key.endswith("_file")]
    assert sorted(named) == [
        "additional_commands_file", "ca_file", "private_ssh_key_path", "public_ssh_key_path", "token_file"
    ]  # fmt: skip


@pytest.mark.parametrize("key", PATH_KEYS)
def test_a_pipe_a_device_or_a_folder_is_refused(refused: Refusal, tmp_path: Path, key: str) -> None:
    """T5: a path that names a FIFO waited for ever."""
    os.mkfifo(tmp_path / "pipe")
    for name, sort in (("pipe", "a pipe"), ("/dev/zero", "a device"), (".", "a folder")):
        (line,) = refused(key.format(name)).details
        assert line.endswith(f"cannot be read: it is {sort}, not a file")


def test_a_configuration_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    """T5, for the file itself, where it is read and where it is changed."""
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(UserError, match="has a problem"):
        config.load(tmp_path / "config.yaml", environ={}, home=tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        config.read_config_text(tmp_path / "config.yaml")


def test_a_large_token_file_is_refused_without_being_shown(refused: Refusal, home: Path) -> None:
    """T5: a token of more than NATS and the Parameter Store take."""
    (home / "big").write_text("s" * 5000)
    (line,) = refused("bacalhau: {token_file: ~/big}").details
    assert line.endswith("~/big holds 5000 characters; a token has at most 4096")


def test_an_environment_variable_that_is_no_text_is_refused(refused: Refusal) -> None:
    """trust.md §6: the operating system hands bytes that are no UTF-8 on as halves of surrogate pairs."""
    for name in ("token_env", "api: {key_env"):
        close = "}}" if "{" in name else "}"
        (line,) = refused(f"bacalhau: {{{name}: T{close}", environ={"T": "a\udc80b"}).details
        assert "$T must hold the token and nothing else" in line


def test_a_good_file_near_the_bounds_is_read(loading: Load) -> None:
    spec = loading(f"instance_types: [{_many(300, 'm{}.large')}]\nnodes: 10_000").spec
    assert (len(spec.instance_types), spec.nodes) == (300, 10_000)


def test_writing_is_private_and_never_through_a_link(tmp_path: Path) -> None:
    """T8: mode 0600 whatever the umask; a link is named and left alone."""
    old = os.umask(0)
    try:
        files.write(tmp_path / "new", "a")
        files.append(tmp_path / "log", "a\n")
        files.append(tmp_path / "log", "b\n")
        files.private_folder(tmp_path / "folder")
    finally:
        os.umask(old)
    (tmp_path / "wide").write_text("x")
    (tmp_path / "wide").chmod(0o666)
    files.write(tmp_path / "wide", "y")
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "log", "wide", "folder")]
    assert modes == [0o600, 0o600, 0o600, 0o700]
    assert (tmp_path / "log").read_text() == "a\nb\n"
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to("target")
    for act in (files.write, files.append):
        with pytest.raises(OSError, match="symbolic link to target"):
            act(tmp_path / "link", "x")
    assert (tmp_path / "target").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "folder",
        "link",
        "log",
        "new",
        "target",
        "wide",
    ]


def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError):  # noqa: PT011 -- no reader (ENXIO), or no file
        files.append(tmp_path / "log", "x")


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """As root, `--plan-out /dev/null` put a file in the place of the device."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        files.write(tmp_path / "pipe", "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@contextlib.contextmanager
def room(path: Path, more: int) -> Iterator[None]:
    """A disk that has room for so many more bytes of the file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_for_which_the_disk_has_no_room_leaves_nothing(tmp_path: Path) -> None:
    """A part of it would spoil the next line, too."""
    log = tmp_path / "log"
    files.append(log, "first\n")
    for more in (0, 1, 6):
        with room(log, more), pytest.raises(OSError, match=r"No space left|File too large"):
            files.append(log, "second\n")
        assert log.read_text() == "first\n"
    with room(log, 7):
        files.append(log, "second\n")
    assert log.read_text() == "first\nsecond\n"


def test_a_part_of_a_line_stays_if_another_program_wrote_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = tmp_path / "log", os.write

    def cut(handle: int, raw: bytes) -> int:
        count = write(handle, raw[:3])
        with log.open("a") as other:
            other.write("x\n")
        return count

    monkeypatch.setattr(os, "write", cut)
    with pytest.raises(OSError, match="No space left"):
        files.append(log, "second\n")
    assert log.read_text() == "secx\n"


def test_a_line_after_one_that_was_cut_short_begins_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"a": ')
    files.append(log, "second\n")
    files.append(log, "third\n")
    assert log.read_text() == '{"a": \nsecond\nthird\n'


def test_a_folder_of_somebody_elses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T8: the state folder must belong to this user."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="belongs to another user"):
        files.private_folder(tmp_path)
