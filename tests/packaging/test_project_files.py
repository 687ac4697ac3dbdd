"""What is around the code: entries of the change log, the container's recipe, the templates."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = sorted(set((ROOT / "changelog.d").glob("*.md")) - {ROOT / "changelog.d" / "README.md"})
SECTIONS = "added|changed|deprecated|removed|fixed|security"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.name)
def test_an_entry_of_the_change_log_is_well_formed(entry: Path) -> None:
    assert re.fullmatch(rf"\+[a-z0-9-]+\.({SECTIONS})\.md", entry.name)
    text = entry.read_text(encoding="utf-8")
    assert text.endswith("\n") and text.count("\n") == 1, "one line: towncrier writes the list"
    assert not re.match(r"[-*#]", text)
    assert text.rstrip().endswith(".")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in link or (ROOT / link).exists(), link


def test_towncrier_makes_a_release_of_the_entries(tmp_path: Path) -> None:
    """Under their sections, above the releases before."""
    for name in ("pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "changelog.d").mkdir()
    template = ROOT / "changelog.d" / "template.md.jinja"
    (tmp_path / "changelog.d" / template.name).write_bytes(template.read_bytes())
    (tmp_path / "changelog.d" / "+one.added.md").write_text("`create` does one thing more.\n")
    (tmp_path / "changelog.d" / "+two.fixed.md").write_text("`destroy` does one thing right.\n")
    subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--yes", "--version", "9.8.7", "--date", "2030-01-02"],
        check=True, cwd=tmp_path, timeout=120, capture_output=True,
    )  # fmt: skip
    text = (tmp_path / "CHANGELOG.md").read_text()
    release = text.partition("## [9.8.7] - 2030-01-02\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$|^- (.*)$", release, re.MULTILINE) == [
        ("Added", ""), ("", "`create` does one thing more."),
        ("Fixed", ""), ("", "`destroy` does one thing right."),
    ]  # fmt: skip


def test_the_image_is_pinned_small_and_not_roots() -> None:
    """What a linter of Dockerfiles would say, and this repository's own rules."""
    lines = re.sub(r"\\\n", " ", DOCKERFILE)
    steps = [line.split(maxsplit=1) for line in lines.splitlines() if line and not line.startswith("#")]
    stages = [words for name, words in steps if name == "FROM"]
    assert stages and all(stage.startswith("${BASE}") for stage in stages), "the base is a build argument"
    base = next(words for name, words in steps if name == "ARG" and words.startswith("BASE="))
    assert not base.endswith(":latest") and ":" in base
    final = steps[max(number for number, step in enumerate(steps) if step[0] == "FROM") :]
    user = [words for name, words in final if name == "USER"]
    assert user and user[-1].split(":")[0] not in {"0", "root"}
    assert all(words.startswith("[") for name, words in final if name in {"ENTRYPOINT", "CMD"})
    assert "ADD" not in {name for name, _ in steps}
    assert "--require-hashes" in lines
    assert "://" not in DOCKERFILE, "no address of a registry"
    assert not re.search(r"apt-get|curl|sudo", lines)


def test_the_build_gets_the_files_that_it_copies_and_no_others() -> None:
    copied = {
        word
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    allowed = (ROOT / ".dockerignore").read_text().split()
    assert allowed[0] == "*"
    assert {name.removeprefix("!") for name in allowed[1:]} == copied


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_a_template_of_an_issue_asks_something(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name != "config.yml":
        assert form["name"] and form["description"]
        asked = [part for part in form["body"] if part["type"] != "markdown"]
        assert all(part["attributes"]["label"] for part in asked)
