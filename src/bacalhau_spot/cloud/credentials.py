"""The credential chain with a limit for every wait: botocore waits minutes for a sign-in service, and without limit for
a program.

botocore's own limits: the instance's metadata service, one second and one try (`metadata_service_timeout`,
`metadata_service_num_attempts`); a container's, two seconds and three tries.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from botocore.credentials import ProcessProvider
from botocore.exceptions import NoCredentialsError
from botocore.utils import JSONFileCache

from bacalhau_spot.cloud.aws_errors import CHAIN_ERRORS, translate_chain
from bacalhau_spot.cloud.replies import StrictParserFactory
from bacalhau_spot.cloud.service_models import service_models
from bacalhau_spot.cloud.timestamps import timestamp

if TYPE_CHECKING:
    from bacalhau_spot.cloud.connection import AwsConnection

# For calls that fetch credentials: STS for roles, IAM Identity Center for SSO. They normally answer within a second.
FETCHING = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
# A credential_process may wait for a password manager and a fingerprint.
PROCESS_S = 30.0

# With explicit keys, botocore reads no local AWS configuration.
_ISOLATED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def core_session(connection: AwsConnection) -> Any:
    """A botocore session with credentials. Raises CloudError."""
    explicit = connection.access_key_id is not None
    core = botocore.session.Session(
        session_vars=_ISOLATED if explicit else _named(), profile=connection.profile or None
    )
    core.lazy_register_component(
        "data_loader",
        lambda: service_models(connection.models_folder, core.get_config_variable("data_path")),
    )
    parsers = StrictParserFactory()
    parsers.set_parser_defaults(timestamp_parser=timestamp)
    core.register_component("response_parser_factory", parsers)
    if explicit:
        core.set_credentials(connection.access_key_id, connection.secret_access_key)
        return core
    core.set_default_client_config(FETCHING)
    try:
        _bound(core, connection)
        found = core.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen = found.get_frozen_credentials()
        _check_characters(frozen)
    except CHAIN_ERRORS as error:
        raise translate_chain(error) from error
    if connection.learned is not None:
        for secret in filter(None, (frozen.secret_key, frozen.token)):
            connection.learned(secret)
    return core


def _named() -> dict[str, tuple[object, ...]]:
    """The variables with the profile's name: an empty one counts as unset."""
    names = [name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if os.environ.get(name)]
    return {"profile": (None, names, None, None)}


def _check_characters(keys: Any) -> None:
    """Raises ValueError without any part of the keys: urllib3's error would contain the signed header."""
    parts = {
        "access key id": keys.access_key,
        "secret access key": keys.secret_key,
        "session token": keys.token,
    }
    for name, value in parts.items():
        if value and not (value.isascii() and value.isprintable() and " " not in value):
            raise ValueError(f"the {name} holds a line break, a blank or another character that no key has")


def _bound(core: Any, connection: AwsConnection) -> None:
    """Limit credential programs to half a minute, and share MFA sessions with the AWS CLI."""
    resolver = core.get_component("credential_provider")
    profile = core.get_config_variable("profile") or "default"

    def bounded(profile_name: str) -> ProcessProvider:
        return ProcessProvider(profile_name, lambda: core.full_config, popen=_Bounded)

    resolver.insert_before(ProcessProvider.METHOD, bounded(profile))
    roles = resolver.get_provider("assume-role")
    # A role's source_profile has its own chain, built by this method, at any depth.
    roles._profile_provider_builder._create_process_provider = bounded  # noqa: SLF001 - botocore offers no other way
    # os.path leaves the path unchanged without a home folder; pathlib raises.
    roles.cache = _SharedCache(os.path.expanduser("~/.aws/cli/cache"))  # noqa: PTH111
    roles._prompter = connection.prompt or _nobody_there  # noqa: SLF001 - botocore's own would read from standard input


def _nobody_there(prompt: str) -> str:
    raise EOFError(prompt)


class _SharedCache(JSONFileCache):  # type: ignore[misc]  # botocore is not typed
    """The AWS CLI's cache. A home folder without write permission is ignored."""

    def __setitem__(self, key: str, value: object) -> None:
        with contextlib.suppress(OSError):
            super().__setitem__(key, value)


class _Bounded(subprocess.Popen[bytes]):
    """A program that is killed after PROCESS_S. Raises TimeoutExpired."""

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002 - the base class's name
        try:
            return super().communicate(input, timeout or PROCESS_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
            raise
