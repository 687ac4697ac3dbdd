"""The wheels and sdists, as a user gets them. `.ci/distributions` checks that they build and rebuild; here is what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from bacalhau_spot import __version__

ROOT = Path(__file__).resolve().parents[2]
# A module of a user's program, which a strict type checker reads.
USER_MODULE = """
from collections.abc import Callable
from decimal import Decimal
from typing import assert_type

import bacalhau_spot
from bacalhau_spot import (
    CleanupReport, ClusterHealth, ClusterPlan, IncompleteError, LaunchReceipt, ProgressEvent,
    create, destroy, nuke_resources, plan, status, sync,
)


async def main() -> None:
    planned = await plan("config.yaml", budget_usd_per_hour=Decimal(2))
    assert_type(planned, ClusterPlan)
    if planned.usd_per_hour is not None:
        assert_type(planned.usd_per_hour.high, Decimal)
    assert_type(await create(wait="joined"), LaunchReceipt)
    assert_type(await status(), ClusterHealth)
    assert_type(await destroy(), CleanupReport)
    assert_type(await nuke_resources(["us-east-1"], force=True), CleanupReport)


def blocking(show: Callable[[ProgressEvent], object]) -> int:
    try:
        return sync.create(on_event=show).running
    except IncompleteError as error:
        assert_type(error.code, str | None)
        return 0
"""
# Each line is a mistake that the types show.
MISTAKES = """
from bacalhau_spot import crate
from bacalhau_spot import sync
sync.create(wait="ever")
sync.create(budget_usd_per_hour="2")
sync.status().healthy = True
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distributions: those of `.ci/run`, or built now."""
    given = os.environ.get("DISTRIBUTIONS")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("distributions")
    for script, target in ((".ci/distributions", folder), (".ci/sbom", folder / "bacalhau-spot.cdx.json")):
        done = subprocess.run(
            [ROOT / script, target], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def names(folder: Path, distribution: str) -> set[str]:
    (wheel,) = folder.glob(f"{distribution}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(*patterns: str) -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", *patterns], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return set(done.stdout.split())


def test_the_wheel_has_every_file_of_the_package_and_every_page(folder: Path) -> None:
    """Templates, scripts of the nodes, schemas, help pages and the files that they link to, `py.typed`."""
    expected = {name.removeprefix("src/") for name in tracked("src")}
    expected |= {f"bacalhau_spot/{name}" for name in tracked("docs/*.md")}
    expected |= {f"bacalhau_spot/docs/{name}" for name in tracked("examples/*.yaml")}
    inside = names(folder, "bacalhau_spot")
    assert expected - inside == set()
    extra = {name for name in inside - expected if ".dist-info/" not in name}
    assert extra == {"bacalhau_spot/_version.py"}
    assert "bacalhau_spot/py.typed" in inside


def test_the_sandboxs_wheel_has_every_file_of_its_packages(folder: Path) -> None:
    expected = {
        name.removeprefix("packages/aws-spot-sandbox/src/")
        for name in tracked("packages/aws-spot-sandbox/src")
    }
    inside = names(folder, "aws_spot_sandbox")
    assert expected - inside == set()
    assert {name for name in inside - expected if ".dist-info/" not in name} == {
        "aws_spot_sandbox/_version.py"
    }


@pytest.mark.parametrize("distribution", ["bacalhau_spot", "aws_spot_sandbox"])
def test_the_metadata_has_version_licence_and_pythons(folder: Path, distribution: str) -> None:
    (wheel,) = folder.glob(f"{distribution}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.rpartition("/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = Parser().parsestr(archive.read(inside["METADATA"]).decode())
    assert "LICENSE" in inside
    assert wheel.name.split("-")[1] == metadata["Version"]
    assert metadata["Requires-Python"] == ">=3.11"
    pythons = {line.rpartition(" ")[2] for line in metadata.get_all("Classifier", []) if " 3." in line}
    assert pythons == {"3.11", "3.12", "3.13", "3.14"}


@pytest.mark.parametrize("distribution", ["bacalhau_spot", "aws_spot_sandbox"])
def test_no_file_names_the_machine_that_built_it(folder: Path, distribution: str) -> None:
    (sdist,) = folder.glob(f"{distribution}-*.tar.gz")
    with tarfile.open(sdist) as archive:
        owners = {(member.uname, member.uid) for member in archive.getmembers()}
        paths = {member.name.split("/", 1)[1] for member in archive.getmembers()}
    assert owners == {("", 0)}
    assert not {path for path in paths if path.startswith((".venv", "uv.lock", "dist/")) or ".pyc" in path}
    assert {"PKG-INFO", "pyproject.toml", "LICENSE"} <= paths


def test_a_user_of_the_wheel_has_its_types(folder: Path, tmp_path: Path) -> None:
    """Without its dependencies: no type of theirs is in the API."""
    (wheel,) = folder.glob("bacalhau_spot-*.whl")
    site = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(USER_MODULE)
    wrong.write_text(MISTAKES)
    assert "Success" in _types(right, site)
    found = _types(wrong, site)
    assert {int(line) for line in re.findall(r"wrong\.py:(\d+): error", found)} == {2, 4, 5, 6}, found


def _types(module: Path, site: Path) -> str:
    """As for an installed package: mypy follows `py.typed` alone, and shows no errors inside."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"),
            *("--config-file=", "--cache-dir", site.parent / "cache", module),
        ],
        capture_output=True, text=True, check=False, timeout=300,
        cwd=module.parent, env={**os.environ, "MYPYPATH": str(site)},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_the_list_of_components_is_the_lock(folder: Path) -> None:
    """With the hashes; the tool has checked it against CycloneDX's schema."""
    document = json.loads((folder / "bacalhau-spot.cdx.json").read_text())
    lock = (ROOT / "requirements-run.lock").read_text()
    pins = set(re.findall(r"^([\w.-]+)==([^ \\\n;]+)", lock, re.MULTILINE))
    assert {(part["name"], part["version"]) for part in document["components"]} == pins
    assert document["metadata"]["component"]["version"]
    for part in document["components"]:
        hashes = [found for reference in part["externalReferences"] for found in reference.get("hashes", ())]
        assert hashes, part["name"]


def test_the_lock_of_the_program_is_a_part_of_the_lock_of_its_development() -> None:
    whole, part = (
        set(re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-run.lock")
    )
    assert part < whole
    for name in ("requirements.lock", "requirements-run.lock"):
        blocks = re.split(r"^(?=[\w.-]+==)", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_a_file_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    """As CI installs: with another hash in the lock than the file's, nothing is installed."""
    wheel = tmp_path / "left_pad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("left_pad.py", "")
        archive.writestr(
            "left_pad-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: left-pad\nVersion: 1.0\n"
        )
        archive.writestr(
            "left_pad-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("left_pad-1.0.dist-info/RECORD", "")
    command = re.search(
        r"^uv (pip sync .*) requirements\.lock$", (ROOT / ".ci/run").read_text(), re.MULTILINE
    )
    assert command is not None
    true = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for digest, accepted in ((true, True), ("0" * 64, False)):
        (tmp_path / "requirements.lock").write_text(f"left-pad==1.0 --hash=sha256:{digest}\n")
        done = subprocess.run(
            [
                *("uv", *command[1].split(), "--no-index", "--find-links", tmp_path),
                *("--target", tmp_path / digest, "requirements.lock"),
            ],
            capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120,
        )  # fmt: skip
        assert (done.returncode == 0) is accepted, done.stderr


def test_the_version_is_that_of_the_build() -> None:
    assert re.fullmatch(r"\d+(\.\d+)+(\.dev\d+)?(\+[\w.]+)?", __version__)
