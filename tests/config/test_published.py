"""The configuration for the orchestrator's machine: complete without the files and variables of this machine."""

from __future__ import annotations

import json
import random
import string
from dataclasses import replace
from pathlib import Path

import pytest

from bacalhau_spot import config, project
from bacalhau_spot.config import Loaded
from bacalhau_spot.core.orchestrator.published_configuration import PublishedConfiguration, changed_keys
from bacalhau_spot.errors import UserError

PACKAGE = f"https://example.com/bacalhau_spot-1.0.0-py3-none-any.whl#sha256={'ab' * 32}"
RECONCILE = f'orchestrator: {{reconcile: {{every: 5m, package: "{PACKAGE}"}}}}\n'
WIDE = f"""\
{RECONCILE}nodes: 4
regions: {{us-east-1: {{nodes: 1}}, us-west-2: }}
requirements: {{vcpus: "2..4", memory_gib: "4.."}}
public_ssh_key_path: key.pub
private_ssh_key_path: ~/.ssh/id
max_price_usd_per_hour: 0.05
budget_usd_per_hour: 1
max_share_per_pool: 25%
idle_ttl: 30m
bacalhau: {{version: v1.9.3, labels: {{team: data}}, sha256: {{x86_64: "{"0" * 64}"}}}}
notify: [{{url_env: HOOK, events: [interruption]}}, {{command: mail}}, {{url_file: hook}}]
instance:
  additional_commands_file: commands.sh
  files: [{{path: /etc/motd, source: commands.sh, mode: "0600"}}, {{path: /etc/x, content: "1"}}]
timeouts: {{join_s: 300}}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ a@b"
HOOK = "https://hooks.example.com/T0/B0"


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Loaded:
    (folder / "config.yaml").write_text(text)
    return config.load(folder / "config.yaml", environ=environ or {}, home=folder)


def published(loaded: Loaded) -> PublishedConfiguration:
    found = loaded.spec.orchestrator.reconcile
    assert found is not None
    return found


def problem(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        load(folder, text)
    return "\n".join(caught.value.details)


def test_the_machine_reads_the_same_configuration_without_the_operators_files(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "key.pub").write_text(f"{KEY}\n")
    (here / "commands.sh").write_text("echo hello\n")
    (here / "hook").write_text(f"{HOOK}/2\n")
    own = load(here, WIDE, {"HOOK": HOOK})
    sent = PublishedConfiguration.from_parameter(published(own).to_parameter())
    for name, text in sent.files.items():
        (there / name).write_text(text)
    read = load(there, json.dumps(sent.config))
    assert changed_keys(published(read), sent) == ()
    webhooks = tuple(target for target in own.spec.notify if target.url)
    assert len(webhooks) == 2
    assert replace(own.spec, private_ssh_key_path=None, notify=webhooks) == read.spec
    assert (sent.every_s, sent.package) == (300, PACKAGE)
    assert any("sends no notices with a command" in note.text for note in own.notes)


def test_it_is_only_there_with_the_key(tmp_path: Path) -> None:
    assert load(tmp_path, "orchestrator: managed\n").spec.orchestrator.reconcile is None
    assert published(load(tmp_path, RECONCILE)).config["orchestrator"]["reconcile"]["every"] == "5m"


def test_a_version_in_no_package_index_needs_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "orchestrator: {reconcile: {}}\n"
    assert "orchestrator.reconcile: needs `package`" in problem(tmp_path, text)
    monkeypatch.setattr(project, "PACKAGE", "bacalhau-spot")
    assert published(load(tmp_path, text)).package.startswith("bacalhau-spot==")
    assert published(load(tmp_path, text)).every_s == 60


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("every: 5s, package: a==1", "orchestrator.reconcile.every: found"),
        ("every: 2d, package: a==1", "must be seconds, minutes or hours from 10s to 24h"),
        ("package: bacalhau-spot", "a fixed release such as"),
        ("package: 'https://example.com/x.whl'", "a wheel with its sum"),
        (f"package: 'http://example.com/x.whl#sha256={'0' * 64}'", "the https address"),
        ("package: a==1 --index-url=http://x", "a fixed release"),
        ("minutes: 5", "minutes"),
    ],
)
def test_refused_values(tmp_path: Path, section: str, words: str) -> None:
    assert words in problem(tmp_path, f"orchestrator: {{reconcile: {{{section}}}}}\n")


def test_refused_combinations(tmp_path: Path) -> None:
    both = problem(tmp_path, f"{RECONCILE}self_heal: true\nidle_ttl: 30m\n")
    assert "the machine ends nodes, which AWS would replace" in both
    assert "Extra" not in (shared := problem(tmp_path, "orchestrator: {cluster: a, reconcile: {}}\n"))
    assert "reconcile" in shared


def test_a_configuration_that_no_parameter_can_hold_is_refused(tmp_path: Path) -> None:
    noise = "".join(random.Random(1).choices(string.ascii_letters, k=9000))
    (tmp_path / "noise").write_text(noise)
    text = f"{RECONCILE}instance: {{files: [{{path: /x, source: noise}}]}}\n"
    assert "an SSM parameter, which has room for 4,096 characters" in problem(tmp_path, text)
