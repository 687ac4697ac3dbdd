"""The AWS profile in use, by botocore's own rules."""

from __future__ import annotations

import configparser
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# In botocore's order (botocore.configprovider).
_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
# By the variable that overrides the path (AWS SDKs and Tools Reference Guide).
FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}


def selected_profile(option: str | None, *, environ: Mapping[str, str]) -> str:
    """The profile's name; empty for the default profile."""
    return option or next((environ[name] for name in _VARIABLES if environ.get(name)), "")


def read_aws_files(*files: str, environ: Mapping[str, str]) -> configparser.RawConfigParser | None:
    """The files of FILES with these variables. None if they cannot be read, which botocore reports."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        # os.path's expanduser leaves the path unchanged if the home is unknown; pathlib's raises.
        paths = [os.path.expanduser(environ.get(name) or FILES[name]) for name in files]  # noqa: PTH111
        parser.read(paths, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None
    return parser


def _is_known(name: str, *, environ: Mapping[str, str]) -> bool:
    """Whether one of the AWS files has the profile; True if they cannot be read."""
    parser = read_aws_files(*FILES, environ=environ)
    return parser is None or parser.has_section(name) or parser.has_section(f"profile {name}")


def credential_precedence_note(option: str | None, *, environ: Mapping[str, str]) -> str:
    """A note about precedence if both keys and a profile are set; otherwise empty.

    Keys in the environment override a profile in the environment; --profile overrides both (botocore.credentials).
    """
    if not environ.get("AWS_ACCESS_KEY_ID"):
        return ""
    if option:
        return f"--profile {option} is used; AWS_ACCESS_KEY_ID in the environment is not"
    named = next((name for name in _VARIABLES if environ.get(name)), None)
    if named is None or not _is_known(
        environ[named], environ=environ
    ):  # the error reports the unknown profile
        return ""
    return (
        f"the keys are those of AWS_ACCESS_KEY_ID in the environment; {named}={environ[named]} gives only the other settings, "
        f"such as the region; to use the profile's keys, add --profile {environ[named]}"
    )
