"""The machine from which an image is made: its user data, and the removal of everything that is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from bacalhau_spot.config import defaults
from bacalhau_spot.instance.image_data import image_cloud_config, render_image
from bacalhau_spot.instance.scripts import bake, docker, download
from bacalhau_spot.instance.scripts.console import Console
from bacalhau_spot.instance.scripts.shell import CommandFailedError
from bacalhau_spot.instance.template import MAX_BYTES


def test_the_user_data_has_programs_and_no_secrets() -> None:
    spec = defaults()
    document = yaml.safe_load(image_cloud_config(spec))
    files = {file["path"]: file["content"] for file in document["write_files"]}
    facts = json.loads(files["/etc/bacalhau-spot/image.json"])
    assert facts["version"] == spec.bacalhau.version and set(facts) == {"version", "download_url", "sha256"}
    assert document["users"] == [] and document["ssh_pwauth"] is False
    imported = {f"/usr/local/lib/bacalhau-spot/node/{name}.py" for name in ("bake", "docker", "download")}
    assert imported <= set(files)
    assert len(render_image(spec)) <= MAX_BYTES


def test_every_program_that_is_imported_is_in_the_user_data() -> None:
    files = yaml.safe_load(image_cloud_config(defaults()))["write_files"]
    programs = {Path(file["path"]).stem: file["content"] for file in files if file["path"].endswith(".py")}
    for text in programs.values():
        for line in text.splitlines():
            words = line.strip().removeprefix("from .").split("import ")
            if line.strip().startswith("from ."):
                module = words[0].strip()
                needed = [module] if module else [name.strip() for name in words[1].split(",")]
                assert set(needed) <= set(programs), line


def test_nothing_of_the_machine_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bake, "answers", lambda _command: False)
    own = (
        "etc/bacalhau-spot/image.json",
        "etc/ssh/ssh_host_ed25519_key",
        "root/.ssh/authorized_keys",
        "var/lib/cloud/instances/i-1/user-data.txt",
        "var/lib/docker/engine-id",
        "var/lib/systemd/random-seed",
        "var/log/bacalhau-spot.log",
        "usr/local/lib/bacalhau-spot/node/bake.py",
    )
    kept = ("etc/ssh/sshd_config", "usr/local/bin/bacalhau", "usr/local/lib/bacalhau-spot/archive.json")
    for name in (*own, *kept, "etc/machine-id"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    bake.remove_identity(str(tmp_path))
    assert [name for name in own if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert (tmp_path / "etc/machine-id").read_bytes() == b""


def steps(monkeypatch: pytest.MonkeyPatch, *, archive: str = "") -> list[str]:
    """The machine's steps; `archive`: the failure of the download."""
    done: list[str] = []

    def install(*_: Any, **__: Any) -> str:
        if archive:
            raise CommandFailedError(archive)
        return "ab12"

    monkeypatch.setattr(download, "install_bacalhau", install)
    monkeypatch.setattr(docker, "configure_docker", lambda: True)
    monkeypatch.setattr(docker, "install_docker", lambda: True)
    monkeypatch.setattr(docker, "start_docker", lambda **_: None)
    monkeypatch.setattr(bake, "remove_identity", lambda: done.append("identity"))
    monkeypatch.setattr(bake, "run_command", lambda command, **_: done.append(" ".join(command[:3])))
    return done


def test_the_machine_powers_off_when_all_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done, log = steps(monkeypatch), tmp_path / "log"
    facts = {"version": "v1", "download_url": "http://x", "sha256": {}}
    bake.prepare_image(facts, Console(paths=(str(log),)))
    assert done == ["systemctl stop docker.socket", "identity", "systemctl --no-block poweroff"]
    assert "baked: Bacalhau v1, archive sha256 ab12" in log.read_text()


def test_a_failure_leaves_it_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done, facts = steps(monkeypatch, archive="HTTP 404"), tmp_path / "facts.json"
    facts.write_text(json.dumps({"version": "v1", "download_url": "http://x", "sha256": {}}))
    log = tmp_path / "log"
    monkeypatch.setattr(bake, "FACTS", str(facts))
    monkeypatch.setattr(bake, "Console", lambda: Console(paths=(str(log),)))
    assert bake.main() == 1
    assert done == [] and "failed: download: HTTP 404" in log.read_text()
