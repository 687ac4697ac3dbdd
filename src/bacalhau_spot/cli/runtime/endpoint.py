"""The endpoints used instead of AWS's own, from botocore's settings, read without botocore.

Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bacalhau_spot.cli.runtime import aws_profile
from bacalhau_spot.core.partitions import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# VPC, FIPS and dual-stack endpoints are under AWS's own domains.
_AWS = tuple(f".{domain}" for partition in PARTITIONS for domain in partition.domains)
_VARIABLE = "AWS_ENDPOINT_URL"
SANDBOX = "sandbox"


def is_aws(url: str) -> bool:
    """Whether the host is in one of AWS's own domains."""
    return f".{(urlsplit(url).hostname or '').lower().rstrip('.')}".endswith(_AWS)


def other_endpoints(option: str | None, *, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The configured endpoints outside AWS's domains, without duplicates. `option`: the profile of the command line."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ()
    urls = [
        value
        for name, value in sorted(environ.items())
        if name == _VARIABLE or name.startswith(f"{_VARIABLE}_")
    ]
    urls += _of_profile(aws_profile.selected_profile(option, environ=environ) or "default", environ=environ)
    return tuple(dict.fromkeys(url for url in urls if url and not is_aws(url)))


def endpoint_override_label(option: str | None, *, sandbox: bool, environ: Mapping[str, str]) -> str:
    """The endpoint used instead of AWS, for display: the sandbox, or addresses; empty for AWS itself."""
    return SANDBOX if sandbox else ", ".join(map(shown, other_endpoints(option, environ=environ)))


def shown(url: str) -> str:
    """Without the user and the password that the URL may contain."""
    return re.sub(r"//[^/]*@", "//", url)


def _of_profile(name: str, *, environ: Mapping[str, str]) -> Iterator[str]:
    parser = aws_profile.read_aws_files("AWS_CONFIG_FILE", environ=environ)
    if parser is None:
        return
    section = name if name == "default" and parser.has_section(name) else f"profile {name}"
    if parser.get(section, "ignore_configured_endpoint_urls", fallback="").lower() == "true":
        return
    yield parser.get(section, "endpoint_url", fallback="")
    services = f"services {parser.get(section, 'services', fallback='')}"
    if parser.has_section(services):
        yield from _of_services("\n".join(value for _, value in parser.items(services)))


def _of_services(settings: str) -> Iterator[str]:
    """The endpoints in a `services` section: nested keys, which the parser returns as lines of text."""
    for line in settings.splitlines():
        key, sign, value = line.partition("=")
        if sign and key.strip() == "endpoint_url":
            yield value.strip()
