"""The configuration in the parameter: the same on both sides, and every difference named without its secrets."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.published_configuration import (
    SWITCHED_OFF,
    PublishedConfiguration,
    changed_keys,
    needs_publishing,
)

CONFIG: dict[str, Any] = {"nodes": 2, "regions": {"us-east-1": {"nodes": 1}}, "ssh_cidrs": ["192.0.2.1/32"]}
OWN = PublishedConfiguration(CONFIG, {"ssh.pub": "ssh-ed25519 A"}, 60, "bacalhau-spot==1.0.0")


def changed(**keys: Any) -> PublishedConfiguration:
    return replace(OWN, config={**CONFIG, **keys})


def test_the_parameter_holds_all_of_it_and_always_the_same_text() -> None:
    value = OWN.to_parameter()
    assert PublishedConfiguration.from_parameter(value) == OWN
    assert replace(OWN, config=dict(reversed(CONFIG.items()))).to_parameter() == value
    assert "192.0.2.1" not in repr(OWN), "a configuration may have secrets"


@pytest.mark.parametrize("text", ["", "###", base64.b64encode(zlib.compress(b"[1]")).decode()])
def test_another_format_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="published configuration"):
        PublishedConfiguration.from_parameter(Secret(text))


def test_differences_are_named_and_secrets_are_not_shown() -> None:
    assert changed_keys(OWN, OWN) == ()
    assert changed_keys(changed(nodes=3), OWN) == ("nodes: 2, here 3",)
    assert changed_keys(changed(regions={"us-east-1": {"nodes": 2}}), OWN) == (
        "regions.us-east-1.nodes: 1, here 2",
    )
    assert changed_keys(changed(spread="strict"), OWN) == ("spread: none, here strict",)
    hook = changed(notify=[{"url": "https://hooks.example.com/SECRET"}])
    assert changed_keys(hook, OWN) == ("notify",)
    assert changed_keys(replace(OWN, files={}), OWN) == ("file ssh.pub: ssh-ed25519 A, here none",)


def test_the_address_of_another_operator_is_no_difference() -> None:
    assert changed_keys(changed(ssh_cidrs="caller"), OWN) == ()


@pytest.mark.parametrize(
    ("published", "wanted", "needed"),
    [
        (None, None, False),
        (SWITCHED_OFF, None, False),
        (OWN, None, True),
        (None, OWN, True),
        (SWITCHED_OFF, OWN, True),
        (OWN, OWN, False),
        (OWN, replace(OWN, every_s=30), True),
        (OWN, replace(OWN, package="bacalhau-spot==1.0.1"), True),
        (OWN, changed(nodes=3), True),
    ],
)
def test_when_create_has_to_write_it(
    published: PublishedConfiguration | None, wanted: PublishedConfiguration | None, needed: bool
) -> None:
    assert needs_publishing(published, wanted) is needed
