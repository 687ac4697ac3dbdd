"""The figures of a run add up, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import trust_figures


def test_the_figures_of_a_part_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST_FIGURES", str(tmp_path / "figures"))
    trust_figures.record("kills", cases=3, leaks=1, cpu_s=0.25, groups={"create": 3})
    trust_figures.record("kills", cases=2, wrong=1, cpu_s=0.5, groups={"create": 1, "nuke": 1})
    trust_figures.record("faults", cases=1)
    faults, kills = trust_figures.read(tmp_path / "figures")
    assert (kills.cases, kills.leaks, kills.wrong, kills.groups) == (5, 1, 1, {"create": 4, "nuke": 1})
    assert (faults.part, faults.cases) == ("faults", 1)


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUST_FIGURES", raising=False)
    monkeypatch.chdir(tmp_path)
    trust_figures.record("kills", cases=3)
    assert list(tmp_path.iterdir()) == []
