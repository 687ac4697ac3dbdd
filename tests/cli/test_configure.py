"""configure and config: the file, the five questions, what is in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bacalhau_spot import config
from bacalhau_spot.cloud import address
from support.program import Program

SEED = """\
max_instances: 3
username: me
orchestrators: ["nats://192.0.2.1:4222"]
regions:
  - us-west-2:
      image: auto
      machine_type: t3.medium
      node_count: auto
"""


@pytest.fixture
def empty(tmp_path: Path) -> Program:
    """A user without a configuration."""
    (tmp_path / ".git").mkdir()
    return Program(folder=tmp_path)


def test_defaults_are_written_and_good(empty: Program) -> None:
    """No question; the file loads, and says the same as having none."""
    assert empty("configure", "--defaults").code == 0
    loaded = config.load(empty.folder / "config.yaml", environ={}, home=empty.folder)
    assert loaded.spec == config.defaults()
    assert empty("config", "show").code == 0


def test_the_five_questions(empty: Program) -> None:
    """Answers are checked as they are given and written down; Enter takes the default."""
    done = empty("configure", answers="\naws:bad\nblue\n\nmine-\n\n")
    assert done.code == 0, done.stderr
    assert "reserved for AWS" in done.stderr
    naming = config.load(empty.folder / "config.yaml", environ={}, home=empty.folder).spec.naming
    assert (naming.tag_key, naming.tag_value, naming.resource_prefix) == ("bacalhau-cluster", "blue", "mine-")


def test_nobody_to_ask(empty: Program) -> None:
    """Without a terminal: exit 3 and the flags."""
    done = empty("configure")
    assert done.code == 3
    assert "--defaults" in done.stderr
    assert not (empty.folder / "config.yaml").exists()


def test_setting_keys(empty: Program) -> None:
    """Into a new file, then into that file; nothing else in it changes; an existing one is not overwritten by accident."""
    assert empty("configure", "--set", "nodes=6", "--set", "cluster.tag_value=blue").code == 0
    text = (empty.folder / "config.yaml").read_text()
    assert empty("configure", "--set", "nodes=7").code == 0
    assert (empty.folder / "config.yaml").read_text() == text.replace("nodes: 6", "nodes: 7")
    assert empty("configure", "--defaults").code == 2
    wrong = empty("configure", "--set", "noodles=7")
    assert wrong.code == 2
    assert "nodes" in wrong.stderr
    assert empty("configure", "--set", "nodes").code == 2


def test_sources(empty: Program) -> None:
    """Every value with its place, secrets never."""
    (empty.folder / "config.yaml").write_text("nodes: 3\nbacalhau: {token_env: TOKEN}\n")
    empty.environ["TOKEN"] = "planted-secret"
    done = empty("config", "show", "--sources")
    assert done.code == 0
    assert "config.yaml:1" in done.stdout
    assert "$TOKEN" in done.stdout
    assert "planted-secret" not in done.stdout + done.stderr
    assert "planted-secret" not in empty("config", "show", "-o", "json").stdout


def test_every_mistake_at_once(empty: Program) -> None:
    """With file, line and column, before AWS is even asked for; exit 2."""
    (empty.folder / "config.yaml").write_text("nodes: -1\nregoins: [us-east-1]\nspread: wide\n")
    done = empty("create", "--yes")
    assert done.code == 2
    for place in ("config.yaml:1:8", "config.yaml:2:1", "config.yaml:3:9"):
        assert place in done.stderr
    assert "did you mean" in done.stderr


def test_an_older_file_is_shown_new_and_rewritten(empty: Program) -> None:
    """Printed first; with --write the old one is kept beside it."""
    path = empty.folder / "config.yaml"
    path.write_text(SEED)
    shown = empty("config", "upgrade")
    assert shown.code == 0
    assert "nodes: 3" in shown.stdout
    assert path.read_text() == SEED
    assert empty("config", "upgrade", "--write").code == 0
    assert (empty.folder / "config.yaml.old").read_text() == SEED
    assert config.load(path, environ={}, home=empty.folder).notes == ()


def test_the_schema_is_printed(empty: Program) -> None:
    """For editors and validators."""
    done = empty("config", "schema")
    assert json.loads(done.stdout)["properties"]["nodes"]


def test_no_configuration(empty: Program) -> None:
    """Create says how to get one: exit 2."""
    done = empty("create", "--yes")
    assert done.code == 2
    assert "bacalhau-spot configure" in done.stderr


def test_the_first_create_asks_and_writes(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, without a configuration: the five questions, a file, then the plan and its question."""

    async def answer(*_args: object, **_kinds: object) -> bytes:
        return b"52.94.76.9\n"  # what AWS would say

    monkeypatch.setattr(address, "fetch", answer)
    (program.folder / "config.yaml").unlink()
    (program.folder / ".git").mkdir()
    done = program("create", answers="\nblue\n\n\n\nn\n")
    assert done.code == 3
    assert "wrote " in done.stderr
    assert "launch 12 instances" in done.stderr
    loaded = config.load(program.folder / "config.yaml", environ={}, home=program.folder)
    assert loaded.spec.naming.tag_value == "blue"
