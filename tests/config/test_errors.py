"""Every mistake is told in one line with its place, all of them at once, and never as a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.config import load
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from .conftest import Refusal

# Each one a file with a single mistake (or a few that belong together).
BAD = [
    "nodes: -1",
    'nodes: "12"',
    "nodes: 1.5",
    "nodes: true",
    "nodes:",
    "spread:",
    "spread: loose",
    "regoins: [us-east-1]",
    "labels: {a: b}",
    "bacalhau: {nodes: 3}",
    "verison: v1.9.3",
    "regions: {us-east-1: {zzz: 1}}",
    "regions: us-east-1",
    "regions: [us-east-1a]",
    "regions: {mars: }",
    "regions: {auto: {count: 0}}",
    "regions: {auto: {}}",
    "regions: []",
    "nodes: 3\nregions: {us-east-1: {nodes: 4}, us-west-2: }",
    "nodes: 3\nregions: {us-east-1: {nodes: 2}}",
    "regions: {us-east-1: {nodes: 2}, us-west-2: }",
    "instance_types: t3.medium",
    "instance_types: [medium]",
    "instance_types: [t3.medium]\nrequirements: {vcpus: 2, memory_gib: 4}",
    "requirements: {vcpus: 2}",
    'requirements: {vcpus: "4..2", memory_gib: 1}',
    "requirements: {vcpus: 1.5, memory_gib: 1}",
    'requirements: {vcpus: 2, memory_gib: 1, gpus: "1.5.."}',
    "requirements: {vcpus: 2, memory_gib: 1, families: [m6a.large]}",
    "max_share_per_pool: 25",
    'max_share_per_pool: "0.25"',
    "max_share_per_pool: 120%",
    "max_price_usd_per_hour: 0",
    "max_price_usd_per_hour: .nan",
    "budget_usd_per_hour: none",
    'max_price_usd_per_hour: "0.1"',
    "image: ubuntu",
    "username: root",
    "cluster_name: blue",
    "self_heal: 7",
    "self_heal: maybe",
    "instance: {public_ip: 1}",
    "self_heal: true\nmax_share_per_pool: 25%",
    "ttl: 4 hours",
    "ttl: 90",
    "ttl: true",
    "ttl: 5m",
    "ttl: 400d",
    "idle_ttl: 30s",
    "idle_ttl: 1m",
    "ttl: 8h\ncluster: {tag_key: my cluster}",
    "ttl: 8h\ncluster: {tags: {team: data, 'cost/center': '7'}}",
    "ssh_cidrs: everyone",
    "ssh_cidrs: [203.0.113.7/24]",
    "public_ssh_key_path: ~/.ssh/id_rsa",
    "public_ssh_key_path: ~/.config/bacalhau/token",
    "bacalhau: {orchestrators: ['nats://tok@host']}",
    "bacalhau: {orchestrators: ['nats://<your_orchestrator_url>:4222']}",
    "bacalhau: {orchestrators: ['ws://host:80']}",
    "bacalhau: {orchestrators: ['host:70000']}",
    "bacalhau: {token: 12345}",
    "bacalhau: {token: a, token_env: T}",
    "bacalhau: {token_env: T}",
    "bacalhau: {version: 1.9}",
    "bacalhau: {api: {key_env: HOME, user_env: HOME, password_env: HOME}}",
    "bacalhau: {api: {user_env: HOME}}",
    "bacalhau: {api: {password_env: HOME}}",
    "bacalhau: {api: {user_env: HOME, password_env: P}}",
    "bacalhau: {api: {user_env: TWO_LINES, password_env: HOME}}",
    "bacalhau: {api: {ca_file: ~/.config/bacalhau/token}}",
    "bacalhau: {api: {host: 'https://o/path'}}",
    "bacalhau: {download_url: 'https://x/{os}'}",
    "bacalhau: {sha256: {x86_64: abc}}",
    "bacalhau: {download_url: 'http://mirror.example.com/{version}'}",
    "bacalhau: {verify_archive: 'no'}",
    "bacalhau: {labels: {a.b: c}}",
    "bacalhau: {labels: {os_type: c}}",
    "bacalhau: {labels: {spot: true}}",
    "bacalhau: yes please",
    "instance: {root_volume_gib: 4}",
    "instance: {files: [{path: /a}]}",
    "instance: {files: [{path: a, content: x}]}",
    "instance: {files: [{path: /a, content: x, mode: 0644}]}",
    "timeouts: {api_s: 1}",
    "cluster: {tag_key: 'aws:x'}",
    "cluster: {name: 'a#b'}",
    "cluster: {resource_prefix: sg-bacalhau-}",
    'cluster: {tag_value: "a\\tb"}',
    "cluster: {tags: {createdby: x}}",
    "cluster: {tags: {a: x, A: y}}",
    "max_price_usd_per_hour: 0.001",
    "cluster: {tags: {Name: x}}",
    "max_instances: 3\nnodes: 4",
    "max_instances: many",
    "regions:\n  - us-east-1:\n      machine_type: 7",
    "nodes: 1\nnodes: 2",
    "[a, b]",
    "just words",
    "a:\n\tb: 1",
    "a: [1",
    "a: 'x",
    "a: b: c",
    "a: @b",
    "interruption: {grace_s: 101}",
    "interruption: {grace_s: -1}",
    "interruption: {grace_s: 1.5}",
    "a: 1\n---\nb: 2",
    "a: *b",
    "nodes: !!python/object:os.system 3",
    "cluster: &a {tags: *a}",
    "? [a]\n: 1",
]
# Tokens without quotation marks that are something else in YAML.
SPECIAL_TOKENS = (
    "!SECRETTOKEN12345",
    "!!SECRETTOKEN12345",
    "!SECRETTOKEN!12345",
    "!<SECRETTOKEN12345>",
    "!SECRETTOKEN12345 x",
    "!SECRETTOKEN12345 {}",
    "!SECRETTOKEN12345 []",
    "*SECRETTOKEN12345",
    "&SECRETTOKEN12345",
    "@SECRETTOKEN12345",
    "`SECRETTOKEN12345",
    "%SECRETTOKEN12345",
    "|SECRETTOKEN12345",
    ">SECRETTOKEN12345",
    "{SECRETTOKEN12345",
    "[SECRETTOKEN12345",
    "'SECRETTOKEN'12345",
    '"SECRETTOKEN"12345',
    "- SECRETTOKEN12345",
    "? SECRETTOKEN12345",
    "SECRETTOKEN12345: x",
)
ENVIRON = {"HOME": "/home/me", "TWO_LINES": "a\nb"}


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_token_that_yaml_reads_otherwise_is_not_named(refused: Refusal, token: str) -> None:
    error = refused(f"bacalhau:\n  token: {token}\n")
    words = repr((error.what, error.why, error.hint, error.details))
    assert "SECRETTOKEN" not in words
    assert ("put it in quotation marks" in words) == token.startswith("!"), words


def test_a_mistake_is_one_line_with_its_place(refused: Refusal, snapshot: SnapshotAssertion) -> None:
    problems = {}
    for text in BAD:
        error = refused(text, environ=ENVIRON)
        assert error.exit_code is ExitCode.USAGE
        problems[text] = list(error.details)
    assert problems == snapshot


def test_a_mistake_is_told_once(refused: Refusal) -> None:
    for text in BAD:
        error = refused(text, environ=ENVIRON)
        places = [line.split(":", 3)[:3] for line in error.details]
        assert len(places) == len({tuple(place) for place in places}), error.details


def test_all_mistakes_come_at_once_in_the_order_of_the_file(refused: Refusal) -> None:
    error = refused(
        "nodes: -1\nspread: x\npublic_ssh_key_path: ~/none\nbacalhau:\n  token_env: T\n  vresion: 1\nnodes: 2\n"
    )
    places = [line.split("  ")[0] for line in error.details]
    assert places == [
        "config.yaml:1:8",
        "config.yaml:2:9",
        "config.yaml:3:22",
        "config.yaml:5:14",
        "config.yaml:6:3",
        "config.yaml:7:1",
    ]
    assert error.what.endswith("has 6 problems")


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    """A file that is not there has no lines to correct."""
    hints: list[str] = []

    def words(path: Path) -> str:
        with pytest.raises(UserError) as caught:
            load(path, environ={}, home=tmp_path)
        hints.append(caught.value.hint)
        return caught.value.details[0]

    assert words(tmp_path / "config.yaml") == f"config.yaml  there is no file {tmp_path}/config.yaml"
    assert "`bacalhau-spot configure` writes a new one" in hints[-1]
    assert words(tmp_path).endswith("is a folder, not a file")
    (tmp_path / "latin.yaml").write_bytes(b"nodes: 1\nusername: caf\xe9\n")
    assert words(tmp_path / "latin.yaml") == "latin.yaml  line 2 is not UTF-8 text"
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 20) + b"##")
    assert words(tmp_path / "large.yaml").endswith("it is larger than 256 KiB")


def test_aliases_that_expand_without_bound_end(refused: Refusal) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    assert "aliases expand" in refused(bomb).details[0]
    assert "nested too deeply" in refused("[" * 20_000).details[0]
