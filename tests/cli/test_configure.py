"""configure and config: the file, the five questions, what is in force."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bacalhau_spot import config
from bacalhau_spot.cloud import archive, public_ip
from bacalhau_spot.cloud.web import FetchError
from bacalhau_spot.core.model import Arch, OrchestratorMode, OrchestratorSpec
from bacalhau_spot.instance.user_data import DOWNLOAD_URL
from support.cli_runner import CliRunner

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
def empty(tmp_path: Path) -> CliRunner:
    """A user without a configuration."""
    (tmp_path / ".git").mkdir()
    return CliRunner(folder=tmp_path)


def test_defaults_are_written_and_good(empty: CliRunner) -> None:
    """No question; the file loads, and says the same as having none."""
    assert empty("configure", "--defaults").code == 0
    loaded = config.load(empty.folder / "config.yaml", environ={}, home=empty.folder)
    spec = replace(loaded.spec, bacalhau=replace(loaded.spec.bacalhau, sha256=()))
    managed = OrchestratorSpec(OrchestratorMode.MANAGED)
    assert spec == replace(config.defaults(), orchestrator=managed)
    assert empty("config", "show").code == 0


def sums_in(empty: CliRunner) -> dict[Arch, str]:
    return dict(config.load(empty.folder / "config.yaml", environ={}, home=empty.folder).spec.bacalhau.sha256)


def sum_of(version: str, arch: str = "amd64") -> str:
    """As the tests' stand-in for the archive has it (tests/conftest.py)."""
    url = DOWNLOAD_URL.replace("{version}", version).replace("{arch}", arch)
    return hashlib.sha256(url.encode()).hexdigest()


def test_the_archives_sums_are_written(empty: CliRunner) -> None:
    """T8: without questions and with them, for the architectures of the configured types; and said."""
    result = empty("configure", "--defaults")
    assert sums_in(empty) == {Arch.X86_64: sum_of("v1.9.3")}
    assert "fetching Bacalhau v1.9.3 for x86_64" in result.stderr
    assert sum_of("v1.9.3") in result.stdout
    assert empty("configure", "--overwrite", answers="\n" * 7).code == 0
    assert sums_in(empty) == {Arch.X86_64: sum_of("v1.9.3")}
    result = empty(
        "configure", "--overwrite", "--set", "instance_types=[t4g.small, c7gn.large]", "-o", "json"
    )
    assert result.data["archives"] == [{"arch": "arm64", "sha256": sum_of("v1.9.3", "arm64")}]
    assert sums_in(empty) == {Arch.ARM64: sum_of("v1.9.3", "arm64")}


def test_another_version_has_other_sums(empty: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """T8: an old sum beside a new version would make every node refuse the archive."""
    empty("configure", "--defaults")
    text = (empty.folder / "config.yaml").read_text()
    empty("configure", "--set", "nodes=5")
    assert sums_in(empty) == {Arch.X86_64: sum_of("v1.9.3")}
    empty("configure", "--set", "bacalhau.version=v1.9.2")
    assert sums_in(empty) == {Arch.X86_64: sum_of("v1.9.2")}
    empty("configure", "--set", "bacalhau.version=v1.9.1", "--set", f"bacalhau.sha256.x86_64={'ab' * 32}")
    assert sums_in(empty) == {Arch.X86_64: "ab" * 32}
    monkeypatch.setattr(archive, "digest", no_network)
    result = empty("configure", "--set", "bacalhau.version=v1.9.0")
    assert (result.code, sums_in(empty)) == (0, {})
    (empty.folder / "config.yaml").write_text(text)
    result = empty("configure", "--set", "bacalhau.sha256.arm64=" + "cd" * 32)
    assert sums_in(empty)[Arch.X86_64] == sum_of("v1.9.3")


async def no_network(_url: str) -> str:
    raise FetchError("no route to host")


def test_without_a_way_to_the_archive_the_file_is_written(
    empty: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T8: the reason is said, and `create` asks again."""
    monkeypatch.setattr(archive, "digest", no_network)
    result = empty("configure", "--defaults")
    assert (result.code, sums_in(empty)) == (0, {})
    assert "`bacalhau.sha256.x86_64` is not written" in result.stderr
    assert "no route to host" in result.stderr
    assert "`create --sandbox` does not need it" in result.stderr


def test_the_sandboxs_archive_is_in_no_file(empty: CliRunner) -> None:
    """T8: real nodes would be held to its sum."""
    assert empty("configure", "--defaults", "--sandbox").code == 0
    assert sums_in(empty) == {}


def test_an_http_address_proves_no_sum(empty: CliRunner) -> None:
    """T8: plain http only with a sum that came another way."""
    empty("configure", "--defaults")
    result = empty("configure", "--set", "bacalhau.download_url=http://m/{version}")
    assert "proves no new ones" in result.stderr
    assert sums_in(empty) == {Arch.X86_64: sum_of("v1.9.3")}


def test_nobody_to_ask(empty: CliRunner) -> None:
    """Without a terminal: exit 3 and the flags."""
    result = empty("configure")
    assert result.code == 3
    assert "--defaults" in result.stderr
    assert not (empty.folder / "config.yaml").exists()


def test_setting_keys(empty: CliRunner) -> None:
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


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        (("nodes=3",), OrchestratorMode.MANAGED),
        (("orchestrator.region=eu-west-1",), OrchestratorMode.MANAGED),
        (("orchestrator=none",), OrchestratorMode.NONE),
        (("orchestrator={cluster: other}",), OrchestratorMode.SHARED),
        (("bacalhau.orchestrators=[nats://o:4222]", "bacalhau.tls=native"), OrchestratorMode.OWN),
        (("bacalhau.api.host=https://o:1234",), OrchestratorMode.UNSET),
    ],
)
def test_a_new_file_has_a_managed_orchestrator_unless_another_is_set(
    empty: CliRunner, values: tuple[str, ...], mode: OrchestratorMode
) -> None:
    assert empty("configure", *(part for value in values for part in ("--set", value))).code == 0
    loaded = config.load(empty.folder / "config.yaml", environ={}, home=empty.folder)
    assert loaded.spec.orchestrator.mode is mode


def test_sources(empty: CliRunner) -> None:
    """Every value with its place, secrets never."""
    (empty.folder / "config.yaml").write_text("nodes: 3\nbacalhau: {token_env: TOKEN}\n")
    empty.environ["TOKEN"] = "planted-secret"
    result = empty("config", "show", "--sources")
    assert result.code == 0
    assert "config.yaml:1" in result.stdout
    assert "$TOKEN" in result.stdout
    assert "planted-secret" not in result.stdout + result.stderr
    assert "planted-secret" not in empty("config", "show", "-o", "json").stdout


def test_every_mistake_at_once(empty: CliRunner) -> None:
    """With file, line and column, before AWS is even asked for; exit 2."""
    (empty.folder / "config.yaml").write_text("nodes: -1\nregoins: [us-east-1]\nspread: wide\n")
    result = empty("create", "--yes")
    assert result.code == 2
    for place in ("config.yaml:1:8", "config.yaml:2:1", "config.yaml:3:9"):
        assert place in result.stderr
    assert "did you mean" in result.stderr


def test_an_older_file_is_shown_new_and_rewritten(empty: CliRunner) -> None:
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


def test_the_schema_is_printed(empty: CliRunner) -> None:
    """For editors and validators."""
    result = empty("config", "schema")
    assert json.loads(result.stdout)["properties"]["nodes"]


def test_no_configuration(empty: CliRunner) -> None:
    """Create says how to get one: exit 2."""
    result = empty("create", "--yes")
    assert result.code == 2
    assert "bacalhau-spot configure" in result.stderr


def test_the_first_create_asks_and_writes(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, without a configuration: the questions, a file, then the plan and its question."""

    async def answer(*_args: object, **_kinds: object) -> bytes:
        return b"52.94.76.9\n"  # what AWS would say

    monkeypatch.setattr(public_ip, "fetch", answer)
    (program.folder / "config.yaml").unlink()
    (program.folder / ".git").mkdir()
    result = program("create", answers="none\n4\nus-west-2\n\n\n\ny\n\nblue\n\n\n\nn\n")
    assert result.code == 3
    assert "wrote /" in " ".join(result.stderr.split())
    assert "Launch 4 instances" in result.stderr
    loaded = config.load(program.folder / "config.yaml", environ={}, home=program.folder)
    assert loaded.spec.naming.tag_value == "blue"
    assert loaded.spec.bacalhau.sha256 == ((Arch.X86_64, sum_of("v1.9.3")),)


def test_a_plan_for_programs_has_the_archives_sums(program: CliRunner) -> None:
    """T8: as the plan for people shows them."""
    plan = program("create", "--dry-run", "-o", "json").data["plan"]
    assert plan["archives"] == [{"arch": "x86_64", "sha256": sum_of("v1.9.3")}]
