"""Which configuration file is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "config.yaml"
VARIABLE: Final = "BACALHAU_SPOT_CONFIG"


class Found(NamedTuple):
    """`source` says why this file: `--config`, `$BACALHAU_SPOT_CONFIG`, or the folder that it was found in."""

    path: Path
    source: str


def find(explicit: Path | None = None, *, environ: Mapping[str, str], cwd: Path) -> Found | None:
    """The file that is named, or `config.yaml` from `cwd` upwards as far as the git checkout's root; None when there is
    none. A named file need not exist: load() says so.
    """
    if explicit is not None:
        return Found(explicit, "--config")
    if environ.get(VARIABLE):
        return Found(Path(environ[VARIABLE]), f"${VARIABLE}")
    for folder in (cwd, *cwd.parents):
        if (folder / NAME).is_file():
            return Found(folder / NAME, f"found in {folder}")
        if (folder / ".git").exists():
            return None
    return None
