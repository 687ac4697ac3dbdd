"""Which quota counts a type, and how much of it is left."""

from __future__ import annotations

import pytest

from bacalhau_spot.core.placement.quotas import (
    SPOT_QUOTAS,
    STANDARD,
    Headroom,
    quota_of,
    quotas_of,
    used_vcpus,
)


@pytest.mark.parametrize(
    ("type_name", "code"),
    [
        *((name, "L-34B43A08") for name in ("t3.medium", "c7gn.large", "im4gn.large", "is4gen.medium")),
        *((name, "L-34B43A08") for name in ("m7i-flex.large", "i7ie.large", "d3en.xlarge", "z1d.large")),
        ("f2.6xlarge", "L-88CF9481"),
        *((name, "L-3819A6DF") for name in ("g4dn.xlarge", "g6e.xlarge", "gr6.4xlarge", "vt1.3xlarge")),
        ("inf2.xlarge", "L-B5D1601B"),
        *((name, "L-7212CCBC") for name in ("p2.xlarge", "p3dn.24xlarge", "p4d.24xlarge")),
        ("p5en.48xlarge", "L-C4BD4855"),
        ("x2gd.medium", "L-E3A00192"),
        ("dl1.24xlarge", "L-85EED4F7"),
        ("trn1.2xlarge", "L-6B0D517C"),
    ],
)
def test_every_family_is_counted_by_its_own_quota(type_name: str, code: str) -> None:
    """By the letters before the generation, not by the first letter: inf is not I, and dl is not D."""
    assert getattr(quota_of(type_name), "code", None) == code


@pytest.mark.parametrize(
    "type_name", ["mac2.metal", "u-6tb1.metal", "hpc7a.12xlarge", "p6-b200.48xlarge", ""]
)
def test_a_type_without_a_known_quota_has_none(type_name: str) -> None:
    """What is not known is not guessed."""
    assert quota_of(type_name) is None


def test_codes_and_families_stand_once() -> None:
    """No family is counted twice."""
    families = [family for quota in SPOT_QUOTAS for family in quota.families]
    assert len(set(families)) == len(families)
    assert len({quota.code for quota in SPOT_QUOTAS}) == len(SPOT_QUOTAS)


def test_the_quotas_of_several_types_are_each_named_once() -> None:
    assert [quota.code for quota in quotas_of(["p5.48xlarge", "t3.medium", "m6a.large", "mac2.metal"])] == [
        "L-34B43A08",
        "L-C4BD4855",
    ]


def test_headroom_is_counted_in_vcpus_of_the_quota() -> None:
    """Another family's instances take nothing of it, and what is over the quota leaves nothing, not less."""
    used = used_vcpus({"t3.medium": 3, "m6a.xlarge": 2, "g4dn.xlarge": 9}, {"t3.medium": 2, "m6a.xlarge": 4})
    assert used == {"L-34B43A08": 14, "L-3819A6DF": 9}
    room = Headroom(STANDARD, vcpus=32, used=14)
    assert (room.vcpus_free, room.nodes(2), room.nodes(4)) == (18, 9, 4)
    assert Headroom(STANDARD, vcpus=8, used=14).nodes(2) == 0
