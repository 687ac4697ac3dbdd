"""Renders a spec as the user data of a region's nodes. Pure: the same input gives the same bytes."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import Secrets, TlsMode
from bacalhau_spot.core.tags import token_parameter
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance import bacalhau_config, template
from bacalhau_spot.instance.json_in_yaml import json_in_yaml
from bacalhau_spot.instance.template import MAX_BYTES

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.instance.json_in_yaml import Value

TEMPLATE: Final = "cloud-init/init-vm-template.yml"
# Bacalhau's download address; GitHub has no archives of current releases.
_RELEASES: Final = "https://get.bacalhau.org/releases/stable/{version}/bacalhau_{version}_"
DOWNLOAD_URL: Final = f"{_RELEASES}linux_{{arch}}.tar.gz"


def render(spec: ClusterSpec, *, region: str) -> bytes:
    """The user data as sent to EC2. Raises UserError if it exceeds EC2's limit."""
    data = template.compressed(cloud_config(spec, region=region))
    if len(data) > MAX_BYTES:
        raise _too_big(spec, size=len(data))
    return data


def cloud_config(spec: ClusterSpec, *, region: str) -> str:
    """The user data as cloud-init reads it."""
    return template.filled(TEMPLATE, _values(spec, region=region), lines={"user_files": _user_files(spec)})


def _values(spec: ClusterSpec, *, region: str) -> dict[str, Value | None]:
    """The values of the template's names; None omits the key."""
    token = None if uses_ssm_token(spec) else spec.bacalhau.token
    config = bacalhau_config.checked(bacalhau_config.compute(spec, region=region))
    return {
        "username": spec.username,
        "public_keys": [spec.public_key] if spec.public_key else None,
        "node_json": json.dumps(node_facts(spec), indent=1, sort_keys=True) + "\n",
        "config_yaml": json_in_yaml(config, indent=2) + "\n",
        "token_env": f"BACALHAU_COMPUTE_AUTH_TOKEN={_env_quoted(token.reveal())}\n" if token else "",
        "ca_pem": (spec.bacalhau.ca_pem or "") if spec.bacalhau.tls is not TlsMode.NONE else "",
        "additional_commands": spec.instance.additional_commands,
        # Only these nodes need the program: otherwise the file is empty, to save space.
        **({} if uses_ssm_token(spec) else {"scripts/secret.py": ""}),
    }


def node_facts(spec: ClusterSpec) -> dict[str, object]:
    """The facts that the node's programs need. World-readable there: no secrets."""
    bacalhau = spec.bacalhau
    return {
        "name_prefix": spec.naming.resource_prefix,
        "orchestrators": list(bacalhau.orchestrators),
        "version": bacalhau.version,
        "download_url": bacalhau.download_url or DOWNLOAD_URL,
        "sha256": {arch.value: digest for arch, digest in bacalhau.sha256},
        "token_parameter": token_parameter(spec.naming) if uses_ssm_token(spec) else "",
        "join_s": spec.timeouts.join_s,
        "grace_s": spec.interruption.grace_s,
    }


def client_download_url(version: str, *, system: str, arch: str) -> str:
    """The release archive for another machine than a node. `system` and `arch`: in Go's spelling."""
    return f"{_RELEASES.format(version=version)}{system}_{arch}.tar.gz"


def uses_ssm_token(spec: ClusterSpec) -> bool:
    """Whether nodes read their token from the Parameter Store."""
    return spec.bacalhau.secrets is Secrets.SSM and spec.bacalhau.token is not None


def _env_quoted(text: str) -> str:
    """A value for systemd's EnvironmentFile. In double quotes: systemd versions differ on a backslash in single quotes."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", text) + '"'


def _user_files(spec: ClusterSpec) -> str:
    # Deferred until the user exists; otherwise a file in the home folder would make root its owner.
    files: list[Value] = [
        {"path": file.path, "permissions": file.mode, "defer": True, "content": file.content}
        for file in spec.instance.files
    ]
    return "".join(f"  - {json_in_yaml(file)}\n" for file in files)


def _too_big(spec: ClusterSpec, *, size: int) -> UserError:
    parts = {f"the file {file.path}": file.content for file in spec.instance.files}
    parts["instance.additional_commands"] = spec.instance.additional_commands
    parts["the certificate in bacalhau.ca_file"] = spec.bacalhau.ca_pem or ""
    sizes = sorted(
        ((len(gzip.compress(text.encode())), name) for name, text in parts.items() if text), reverse=True
    )
    return UserError(
        f"the user data is too long: {size} bytes compressed, EC2 accepts {MAX_BYTES}",
        details=tuple(f"{name}: {count} bytes compressed" for count, name in sizes[:5]),
        hint="shorten the largest part, or download it with `instance.additional_commands`",
        docs="docs/nodes.md",
        exit_code=ExitCode.USAGE,
    )
