"""Finds the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bacalhau_spot import files
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "config.yaml"
VARIABLE: Final = "BACALHAU_SPOT_CONFIG"


class ConfigLocation(NamedTuple):
    """`source`: the reason for this file: `--config`, `$BACALHAU_SPOT_CONFIG`, or the folder."""

    path: Path
    source: str


def find_config(
    explicit: Path | None = None, *, environ: Mapping[str, str], cwd: Path
) -> ConfigLocation | None:
    """The given file, or `config.yaml` from `cwd` upwards to the root of the git checkout; None without one. A given
    file need not exist: load() reports that.
    """
    if explicit is not None:
        return ConfigLocation(explicit, "--config")
    if environ.get(VARIABLE):
        return ConfigLocation(Path(environ[VARIABLE]), f"${VARIABLE}")
    for folder in (cwd, *cwd.parents):
        if _exists(folder / NAME):
            return ConfigLocation(folder / NAME, f"found in {folder}")
        if files.path_exists(folder / ".git"):
            return None
    return None


def _exists(path: Path) -> bool:
    """Also of a folder or pipe of this name, which cannot be read, so that nobody takes another file for it.

    Raises UserError (exit code 2) where access is denied: any other result could be the wrong file.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UserError(
            f"{path} cannot be read",
            why=error.strerror or str(error),
            hint="name the configuration with --config",
            exit_code=ExitCode.USAGE,
        ) from error
    return True
