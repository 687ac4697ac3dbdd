"""Patches to moto's objects for behaviour that has no other hook. Applied per backend, never to a class."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moto.backends import get_backend

from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call

# An alias without a key in KMS: otherwise moto creates a KMS key for the first encrypted volume.
DEFAULT_KEY = "arn:aws:kms:{region}:{account}:key/00000000-0000-0000-0000-000000000000"


def fresh_backend(region: str) -> Any:
    """Moto's backend of the region, reset: moto keeps one per process, with the resources of earlier sandboxes."""
    # Loading moto's 1,300 old images takes longer than the rest of a region; the sandbox has its own images.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    backend = get_backend("ec2")[ACCOUNT_ID][region]
    backend.reset()
    backend.default_kms_key_id = DEFAULT_KEY.format(region=backend.region_name, account=backend.account_id)
    _quick_tags(backend)
    _quick_images(backend)
    _public_gateway(backend)
    return backend


def _quick_tags(backend: Any) -> None:
    """Moto matches a pattern against every tag of the region to get one resource's tags: quadratic, and soon seconds."""
    slow = backend.describe_tags

    def describe_tags(filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        if filters is not None and list(filters) == ["resource-id"] and len(filters["resource-id"]) == 1:
            resource_id = filters["resource-id"][0]
            if "*" not in resource_id and "?" not in resource_id:
                return _rows(resource_id, backend.tags.get(resource_id) or {})
        offerings: list[dict[str, str]] = slow(filters=filters)
        return offerings

    backend.describe_tags = describe_tags


def _rows(resource_id: str, tags: dict[str, str]) -> list[dict[str, str]]:
    kind = {"resource_id": resource_id, "resource_type": ""}
    return [{**kind, "key": key, "value": value} for key, value in tags.items()]


def _quick_images(backend: Any) -> None:
    """Moto looks up the image of each new instance by filtering all 1,300 images."""
    slow = backend.describe_images

    def describe_images(
        ami_ids: list[str] | None = None, filters: dict[str, Any] | None = None, **others: Any
    ) -> list[Any]:
        if not ami_ids and not others and filters is not None and list(filters) == ["image-id"]:
            image = backend.amis.get(filters["image-id"])
            return [image] if image else []
        all_of_them: list[Any] = slow(ami_ids=ami_ids, filters=filters, **others)
        return all_of_them

    backend.describe_images = describe_images


def _public_gateway(backend: Any) -> None:
    """On AWS the default VPC's main route table routes to an internet gateway, one of the five in the quota."""
    vpc = backend.get_default_vpc()
    if vpc is None or backend.internet_gateways:
        return
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, vpc.id)
    for table in backend.route_tables.values():
        if table.vpc_id == vpc.id:
            backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)


def plain_filters(call: Call) -> Call:
    r"""A filter like `a\*b` matches a literal star; moto finds nothing. Without the backslash moto finds it, and more."""
    if not any("\\" in value and name.startswith("Filter.") for name, value in call.params.items()):
        return call
    params = {
        name: re.sub(r"\\(.)", r"\1", value) if name.startswith("Filter.") else value
        for name, value in call.params.items()
    }
    return replace(call, params=params, body=urlencode({"Action": call.action, **params}).encode())
