"""A spec -> the user-data that EC2 hands to every node of a region. Pure, and the same bytes for the same input."""

from __future__ import annotations

import gzip
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import Secrets, TlsMode
from bacalhau_spot.core.tags import token_parameter
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance import bacalhau_config, minify
from bacalhau_spot.instance.json_in_yaml import json_in_yaml

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.instance.json_in_yaml import Value

# EC2's limit for what it is sent, before base64.
MAX_BYTES: Final = 16384
TEMPLATE: Final = "cloud-init/init-vm-template.yml"
# The release's own address; GitHub holds no archives of current releases.
DOWNLOAD_URL: Final = (
    "https://get.bacalhau.org/releases/stable/{version}/bacalhau_{version}_linux_{arch}.tar.gz"
)

# `key: ${name}`, wherever in a line, or a line that is `${name}` alone.
_VALUE: Final = re.compile(r"^(?P<before> *(?:- )?)(?P<key>[a-z_]+): \$\{(?P<name>[^}]+)\}\n", re.MULTILINE)
_LINES: Final = re.compile(r"^\$\{(?P<name>user_files)\}\n", re.MULTILINE)


def render(spec: ClusterSpec, *, region: str) -> bytes:
    """The user-data as it is sent. UserError when it is more than EC2 takes."""
    data = _compressed(cloud_config(spec, region=region))
    if len(data) > MAX_BYTES:
        data = _compressed(cloud_config(spec, region=region, lean_programs=True))
    if len(data) > MAX_BYTES:
        raise _too_big(spec, size=len(data))
    return data


def _compressed(text: str) -> bytes:
    # Level and time are fixed: the same input gives the same bytes, and so the same launch template.
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def cloud_config(spec: ClusterSpec, *, region: str, lean_programs: bool = False) -> str:
    """The user-data as cloud-init reads it; with `lean_programs`, ours come without comments."""
    values = _values(spec, region=region)

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        inside = values[name] if name in values else _program(name, lean_programs=lean_programs)
        if inside is None:
            return ""
        return f"{found['before']}{found['key']}: {json_in_yaml(inside)}\n"

    # One pass: what is put in is never looked at again, so a `${…}` of the user's stays as it is.
    return _LINES.sub(lambda _: _user_files(spec), _VALUE.sub(value, _packaged(TEMPLATE)))


def _program(name: str, *, lean_programs: bool) -> str:
    source = _packaged(name)
    if not lean_programs:
        return source
    return minify.minify_python(source) if name.endswith(".py") else minify.minify_unit(source)


def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath(*name.split("/")).read_text("utf-8")


def _values(spec: ClusterSpec, *, region: str) -> dict[str, Value | None]:
    """What the template's names stand for; None: the key is left out."""
    token = None if in_ssm(spec) else spec.bacalhau.token
    config = bacalhau_config.checked(bacalhau_config.compute(spec, region=region))
    return {
        "username": spec.username,
        "public_keys": [spec.public_key] if spec.public_key else None,
        "node_json": json.dumps(node_facts(spec), indent=1, sort_keys=True) + "\n",
        "config_yaml": json_in_yaml(config, indent=2) + "\n",
        "token_env": f"BACALHAU_COMPUTE_AUTH_TOKEN={_env_quoted(token.reveal())}\n" if token else "",
        "ca_pem": (spec.bacalhau.ca_pem or "") if spec.bacalhau.tls is not TlsMode.NONE else "",
        "additional_commands": spec.instance.additional_commands,
        # Room is scarce, and only these nodes need it: elsewhere the file is empty.
        **({} if in_ssm(spec) else {"scripts/secret.py": ""}),
    }


def node_facts(spec: ClusterSpec) -> dict[str, object]:
    """What the programs on the node need to know. World-readable there: no secrets."""
    bacalhau = spec.bacalhau
    return {
        "name_prefix": spec.naming.resource_prefix,
        "orchestrators": list(bacalhau.orchestrators),
        "version": bacalhau.version,
        "download_url": bacalhau.download_url or DOWNLOAD_URL,
        "sha256": {arch.value: digest for arch, digest in bacalhau.sha256},
        "token_parameter": token_parameter(spec.naming) if in_ssm(spec) else "",
        "join_s": spec.timeouts.join_s,
    }


def in_ssm(spec: ClusterSpec) -> bool:
    """Whether the nodes fetch their token from the Parameter Store."""
    return spec.bacalhau.secrets is Secrets.SSM and spec.bacalhau.token is not None


def _env_quoted(text: str) -> str:
    """A value in systemd's EnvironmentFile. Double quotes, because its versions differ on the backslash in single ones."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", text) + '"'


def _user_files(spec: ClusterSpec) -> str:
    # Deferred: once the user exists, so that a file in the home folder does not make that folder root's.
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
