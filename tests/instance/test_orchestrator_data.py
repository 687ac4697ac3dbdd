"""The user data of a managed orchestrator's instance: complete, small, the same every time, and without secrets."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # cloud-init reads with it; it ships no types

from bacalhau_spot.core.model import ClusterSpec
from bacalhau_spot.core.orchestrator.managed_state import DATA_DEVICE
from bacalhau_spot.core.tags import orchestrator_parameter, reconcile_parameter
from bacalhau_spot.instance import bacalhau_config, minify
from bacalhau_spot.instance.orchestrator_config import (
    API_PORT_PUBLIC,
    CREDENTIALS_FOLDER,
    NATS_PORT,
    ORCHESTRATOR_KEYS,
    orchestrator,
)
from bacalhau_spot.instance.orchestrator_data import (
    orchestrator_cloud_config,
    render_orchestrator,
)
from bacalhau_spot.instance.scripts import (
    orchestrator_answers,
    orchestrator_credentials,
    orchestrator_reconcile,
    orchestrator_volume,
)
from bacalhau_spot.instance.template import MAX_BYTES
from bacalhau_spot.orchestrator.certificates import new_credentials
from support.node_specs import FULL, PLAIN, PUBLIC_KEY, TOKEN

PACKAGE = Path(bacalhau_config.__file__).parent
BUCKET = "bacalhau-results-14f543f3-000000000000-eu-west-1"
WHERE = {"region": "eu-west-1", "bucket": BUCKET}
PROGRAMS = "/usr/local/lib/bacalhau-spot/node/"
# Shared with the nodes.
SHARED = {
    "__init__.py",
    "console.py",
    "expiry.py",
    "metadata.py",
    "shell.py",
    "download.py",
    "secret.py",
    "whole_file.py",
}


def read(spec: ClusterSpec = FULL) -> dict[str, Any]:
    """As cloud-init reads it."""
    data: dict[str, Any] = yaml.safe_load(gzip.decompress(render_orchestrator(spec, **WHERE)))
    return data


def files(spec: ClusterSpec = FULL) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in read(spec)["write_files"]}


def content(path: str) -> str:
    return str(files()[path]["content"])


def test_the_same_spec_gives_the_same_bytes_below_ec2s_limit() -> None:
    data = render_orchestrator(FULL, **WHERE)
    assert data == render_orchestrator(FULL, **WHERE)
    assert len(data) < MAX_BYTES * 0.8
    assert gzip.decompress(data).startswith(b"#cloud-config\n")


def test_no_secret_and_nothing_of_the_nodes_is_in_it() -> None:
    """The nodes' token, files and commands are in the spec."""
    text = orchestrator_cloud_config(FULL, **WHERE)
    assert TOKEN not in text and "BEGIN CERTIFICATE" not in text
    assert "additional_commands" not in text and "/etc/motd" not in text and "docker" not in text
    assert "${" not in text.replace("${…}", "")


@pytest.mark.skipif(
    not shutil.which("cloud-init"), reason="cloud-init is not installed (apt-get install cloud-init)"
)
def test_cloud_init_accepts_it(tmp_path: Path) -> None:
    file = tmp_path / "user-data"
    file.write_text(orchestrator_cloud_config(FULL, **WHERE), "utf-8")
    result = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(file)], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "Valid" in result.stdout


def test_the_facts_are_those_by_which_others_recognize_the_machine() -> None:
    facts = json.loads(content("/etc/bacalhau-spot/orchestrator.json"))
    assert facts == {
        "parameter": orchestrator_parameter(FULL.naming),
        "reconcile_parameter": reconcile_parameter(FULL.naming),
        "bucket": BUCKET,
        "region": "eu-west-1",
        "version": "v1.9.3",
        "download_url": "https://get.bacalhau.org/releases/stable/{version}/bacalhau_{version}_linux_{arch}.tar.gz",
        "sha256": {"x86_64": "0" * 64, "arm64": "1" * 64},
        "device": DATA_DEVICE,
        "answer_s": 600,
    }
    assert "/etc/bacalhau-spot/node.json" not in files()


def test_every_program_and_unit_of_the_orchestrator_reaches_it_and_no_other() -> None:
    sent = files()
    names = {path.removeprefix(PROGRAMS) for path in sent if path.startswith(PROGRAMS)}
    own = {script.name for script in (PACKAGE / "scripts").glob("orchestrator_*.py")}
    assert names == own | SHARED
    for name in names:
        source = (PACKAGE / "scripts" / name).read_text("utf-8")
        assert sent[PROGRAMS + name]["content"] == minify.minify_python(source)
    units = {unit.name for unit in (PACKAGE / "units").glob("bacalhau-orchestrator*")}
    folder = "/etc/systemd/system/"
    assert units == {path.removeprefix(folder) for path in sent if path.startswith(folder)}
    for name in units:
        assert sent[folder + name]["content"] == minify.minify_unit((PACKAGE / "units" / name).read_text())


def test_programs_import_only_programs_that_are_there() -> None:
    sent = {path.removeprefix(PROGRAMS).removesuffix(".py") for path in files() if path.startswith(PROGRAMS)}
    for path, file in files().items():
        if path.startswith(PROGRAMS):
            for line in re.findall(r"^from \.(\w*) import (.+)$", file["content"], re.MULTILINE):
                module, names = line
                assert {module} <= sent if module else set(names.split(", ")) <= sent


def test_the_units_start_the_programs_and_paths_that_are_sent() -> None:
    sent = files()
    started = re.findall(r"-m node\.(\w+)", "".join(str(file["content"]) for file in sent.values()))
    assert set(started) == {
        "orchestrator_boot",
        "orchestrator_credentials",
        "orchestrator_expiry",
        "orchestrator_reconcile",
    }
    unit = content("/etc/systemd/system/bacalhau-orchestrator.service")
    (command,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    assert re.findall(r"--config (\S+)", command) == [
        "/etc/bacalhau/config.yaml",
        f"{orchestrator_credentials.FOLDER}/{orchestrator_credentials.CONFIG}",
    ]
    (*_, last) = read()["runcmd"]
    assert {f"/etc/systemd/system/{name}" for name in last if name.startswith("bacalhau")} <= set(sent)


def test_the_login_user_is_as_on_nodes_and_the_service_has_its_own() -> None:
    service, reconcile, user = read()["users"]
    assert user["name"] == user["primary_group"] == "bacalhau"
    assert user["ssh_authorized_keys"] == [PUBLIC_KEY]
    assert user["lock_passwd"] and service["lock_passwd"]
    assert service["name"] == orchestrator_volume.USER and service["shell"] == "/usr/sbin/nologin"
    unit = content("/etc/systemd/system/bacalhau-orchestrator.service")
    assert f"\nUser={orchestrator_volume.USER}\n" in unit
    assert reconcile["name"] == orchestrator_reconcile.USER and reconcile["shell"] == "/usr/sbin/nologin"
    unit = content("/etc/systemd/system/bacalhau-orchestrator-reconcile.service")
    assert f"\nUser={orchestrator_reconcile.USER}\n" in unit
    assert "PermitRootLogin no" in content("/etc/ssh/sshd_config.d/00-bacalhau-spot.conf")
    assert "ssh_authorized_keys" not in read(PLAIN)["users"][2]


def test_programs_and_configuration_agree_on_paths_and_ports() -> None:
    """The programs on the machine cannot import the product's modules."""
    assert orchestrator_credentials.FOLDER == CREDENTIALS_FOLDER
    assert orchestrator_volume.FOLDER == bacalhau_config.DATA_DIR
    assert (orchestrator_answers.NATS_PORT, orchestrator_answers.API_PORT) == (NATS_PORT, API_PORT_PUBLIC)


def test_every_key_of_both_configuration_files_is_known() -> None:
    values = json.loads(new_credentials("127.0.0.9").to_json().reveal())
    rendered = json.loads(content("/etc/bacalhau/config.yaml"))
    for config in (rendered, orchestrator_credentials.secret_config(values)):
        assert bacalhau_config.unknown_keys(config, known=ORCHESTRATOR_KEYS) == []
    assert bacalhau_config.unknown_keys({"Orchestrator": {"Enable": True}}, known=ORCHESTRATOR_KEYS)


def test_the_configuration_is_the_measured_one() -> None:
    config: dict[str, Any] = orchestrator(region="eu-west-1", bucket=BUCKET)
    assert config == json.loads(content("/etc/bacalhau/config.yaml"))
    assert config["DataDir"] == "/var/lib/bacalhau"
    assert config["Orchestrator"]["Scheduler"] == {"QueueBackoff": "15s"}
    assert config["Publishers"]["Types"]["S3Managed"]["Bucket"] == BUCKET
    assert config["JobDefaults"]["Batch"] == config["JobDefaults"]["Ops"]
    assert config["WebUI"] == {"Enabled": False}
    assert config["Orchestrator"]["TLS"]["CACert"] == "/run/bacalhau-orchestrator/ca.pem"


def test_a_long_public_key_still_fits() -> None:
    spec = dataclasses.replace(FULL, public_key=f"ssh-rsa {'Ab9+' * 340}== someone@somewhere")
    assert len(render_orchestrator(spec, **WHERE)) < MAX_BYTES
