"""Bacalhau's configuration holds known keys only; GPU types are told apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bacalhau_spot.core.launch.gpu_image import gpu_types, has_gpu, image_warning
from bacalhau_spot.core.model import RegionSpec, TlsMode
from bacalhau_spot.instance import bacalhau_config
from support.node_specs import FULL, PLAIN


def compute(mode: TlsMode) -> dict[str, Any]:
    spec = dataclasses.replace(FULL, bacalhau=dataclasses.replace(FULL.bacalhau, tls=mode))
    return bacalhau_config.compute(spec, region="eu-west-1")


@pytest.mark.parametrize("mode", TlsMode)
def test_every_key_is_known(mode: TlsMode) -> None:
    assert bacalhau_config.unknown_keys(compute(mode)) == []


def test_a_key_that_bacalhau_would_ignore_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Compute\.Labels"):
        bacalhau_config.checked({"Compute": {"Labels": {"a": "b"}}})
    assert bacalhau_config.unknown_keys({"Compute": {"Enabled": "yes"}}) == ["Compute.Enabled"]


def test_tls_modes_are_what_bacalhau_makes_of_them() -> None:
    assert "TLS" not in compute(TlsMode.NONE)["Compute"]
    assert compute(TlsMode.NATIVE)["Compute"]["TLS"] == {"CACert": "/etc/bacalhau/ca.pem"}
    assert compute(TlsMode.PROXY)["Compute"]["TLS"] == {"RequireTLS": True, "CACert": "/etc/bacalhau/ca.pem"}


def test_the_api_is_for_this_machine_only_and_nothing_calls_home() -> None:
    config = compute(TlsMode.NONE)
    assert config["API"]["Host"] == "127.0.0.1"
    assert config["DisableAnalytics"] is True
    assert config["UpdateConfig"] == {"Interval": "0s"}


def test_our_labels_win_over_the_users() -> None:
    spec = dataclasses.replace(
        PLAIN,
        name="my cluster!",
        bacalhau=dataclasses.replace(PLAIN.bacalhau, labels=(("region", "mars"), ("team", "x"))),
    )
    assert bacalhau_config.node_labels(spec, region="us-east-1") == {
        "team": "x",
        "region": "us-east-1",
        "provider": "aws",
        "cluster": "my-cluster",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("demo", "demo"),
        ("a b/c", "a-b-c"),
        ("-x-", "x"),
        ("é", "unnamed"),
        ("a" * 80, "a" * 63),
        ("", "unnamed"),
    ],
)
def test_a_label_can_be_selected(name: str, value: str) -> None:
    assert bacalhau_config.label_value(name) == value


def test_gpu_types_are_nvidias() -> None:
    with_gpu = ("g4dn.xlarge", "g5.2xlarge", "g5g.xlarge", "gr6.4xlarge", "p3dn.24xlarge", "p5.48xlarge")
    without = ("m6a.large", "g4ad.xlarge", "t3.micro", "c7gn.large", "inf2.xlarge", "x2gd.large")
    assert gpu_types(with_gpu + without) == with_gpu


def test_types_with_a_gpu_of_any_make() -> None:
    assert all(
        map(has_gpu, ("g3.4xlarge", "g4ad.xlarge", "g4dn.xlarge", "g5g.xlarge", "gr6.4xlarge", "p5.48xlarge"))
    )
    assert not any(
        map(has_gpu, ("t3.medium", "m6g.large", "c7gn.large", "inf2.xlarge", "trn1.2xlarge", "x2gd.large"))
    )


def test_gpu_types_with_the_plain_image_are_warned_of() -> None:
    """Whether they were named or not: what may be launched counts."""
    region = PLAIN.regions[0].name
    here = {region: ("m6a.large", "g5.xlarge")}
    assert "g5.xlarge" in (image_warning(PLAIN, here) or "")
    assert image_warning(PLAIN, {region: ("m6a.large",)}) is None
    assert image_warning(dataclasses.replace(PLAIN, image="ami-0123456789abcdef0"), here) is None
    own = (RegionSpec(region, image="ami-0123456789abcdef0"),)
    assert image_warning(dataclasses.replace(PLAIN, regions=own), here) is None
    many = {region: [f"g{number}.xlarge" for number in range(3, 10)]}
    assert "g7.xlarge and 2 more would join" in (image_warning(PLAIN, many) or "")
