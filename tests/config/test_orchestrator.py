"""The key `orchestrator`: its forms, its rules with the place of each error, and the values that `config show` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.config import set_values, shown_values, template, upgrade_text
from bacalhau_spot.core.model import OrchestratorMode, OrchestratorSpec
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from .conftest import Load, Refusal

_ADDRESSES = "bacalhau: {orchestrators: [nats://o:4222]}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", OrchestratorSpec(OrchestratorMode.UNSET)),
        ("bacalhau:\n  labels: {a: b}\n", OrchestratorSpec(OrchestratorMode.UNSET)),
        (_ADDRESSES, OrchestratorSpec(OrchestratorMode.OWN)),
        ("orchestrators: [nats://o:4222]\n", OrchestratorSpec(OrchestratorMode.OWN)),
        (f"orchestrator: own\n{_ADDRESSES}", OrchestratorSpec(OrchestratorMode.OWN)),
        ("orchestrator: none\n", OrchestratorSpec(OrchestratorMode.NONE)),
        ("orchestrator: managed\n", OrchestratorSpec(OrchestratorMode.MANAGED)),
        ("orchestrator: {}\n", OrchestratorSpec(OrchestratorMode.MANAGED)),
        (
            "orchestrator: {region: eu-west-1, instance_type: t4g.small, volume_gib: 50}\n",
            OrchestratorSpec(
                OrchestratorMode.MANAGED, region="eu-west-1", instance_type="t4g.small", volume_gib=50
            ),
        ),
        ("orchestrator: {cluster: other}\n", OrchestratorSpec(OrchestratorMode.SHARED, cluster="other")),
        (
            "orchestrator: managed\nbacalhau:\n  secrets: ssm\n  labels: {a: b}\n  api:\n",
            OrchestratorSpec(OrchestratorMode.MANAGED),
        ),
    ],
)
def test_each_form_becomes_its_spec(text: str, expected: OrchestratorSpec, loading: Load) -> None:
    assert loading(text).spec.orchestrator == expected


_FORMS = (
    "managed, own, none, {cluster: NAME}, or the settings of a managed one: region, instance_type, volume_gib"
)
_OWN_KEY = "belongs to an orchestrator of your own, and `orchestrator` is"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "orchestrator: own\n",
            '1:15  orchestrator: found "own"; needs the addresses of the orchestrator, in `bacalhau.orchestrators`',
        ),
        ("orchestrator:\n", "1:1  orchestrator: has no value; give it one, or leave the key out"),
        ("orchestrator: manged\n", f'1:15  orchestrator: found "manged"; must be {_FORMS}'),
        ("orchestrator: true\n", f"1:15  orchestrator: found true; must be {_FORMS}"),
        ("orchestrator: [managed]\n", f"1:15  orchestrator: found a list; must be {_FORMS}"),
        (
            "orchestrator: nats://o:4222\n",
            "1:15  orchestrator: takes no address; write it in `bacalhau.orchestrators`, and `own` here",
        ),
        (
            "orchestrator: {region: us-east-1a}\n",
            '1:24  orchestrator.region: "us-east-1a" is an availability zone; name its region, us-east-1',
        ),
        (
            "orchestrator: {region: Virginia}\n",
            '1:24  orchestrator.region: found "Virginia"; must be a region\'s name such as us-east-1',
        ),
        (
            "orchestrator: {instance_type: small}\n",
            '1:31  orchestrator.instance_type: found "small"; must be an instance type such as t3.medium',
        ),
        (
            "orchestrator: {instance_type: mac2.metal}\n",
            (
                '1:31  orchestrator.instance_type: "mac2.metal" runs macOS only; the orchestrator needs a type for Ubuntu, '
                "x86_64 or arm64"
            ),
        ),
        (
            "orchestrator: {volume_gib: 1}\n",
            "1:28  orchestrator.volume_gib: found 1; must be a whole number of GiB from 8 to 16384",
        ),
        (
            "orchestrator: {regoin: us-east-1}\n",
            "1:16  orchestrator.regoin: is not a key; did you mean `region`?",
        ),
        (
            "orchestrator: {cluster: a, region: us-east-1}\n",
            "1:28  orchestrator.region: belongs to another form of `orchestrator`; use the keys of one form",
        ),
        (
            'orchestrator: {cluster: ""}\n',
            '1:25  orchestrator.cluster: found ""; must be text, not empty',
        ),
        (
            "cluster: {name: blue}\norchestrator: {cluster: blue}\n",
            '2:25  orchestrator.cluster: "blue" is this cluster itself; name another one, or write `orchestrator: managed`',
        ),
        (
            "orchestrator: {cluster: bacalhau-aws-spot}\n",
            (
                '1:25  orchestrator.cluster: "bacalhau-aws-spot" is this cluster itself; name another one, or write '
                "`orchestrator: managed`"
            ),
        ),
        (
            f"orchestrator: none\n{_ADDRESSES}",
            f"2:12  bacalhau.orchestrators: {_OWN_KEY} none; remove this key, or set `orchestrator: own`",
        ),
        (
            "orchestrator: managed\ntoken: abc\n",
            f"2:1  token: {_OWN_KEY} managed; remove this key, or set `orchestrator: own`",
        ),
    ],
)
def test_each_error_is_at_its_place(text: str, line: str, refused: Refusal) -> None:
    failure = refused(text)
    assert failure.exit_code is ExitCode.USAGE
    assert failure.details == (f"config.yaml:{line}",)


@pytest.mark.parametrize("form", ["managed", "{cluster: other}", "{volume_gib: 30}"])
@pytest.mark.parametrize(
    "key",
    [
        "orchestrators: [o]",
        "token: t",
        "token_file: home/.config/bacalhau/token",
        "token_env: T",
        "tls: none",
        "ca_file: home/.config/bacalhau/ca.pem",
        'api: {host: "http://o:1234"}',
    ],
)
def test_an_orchestrator_of_bacalhau_spot_excludes_the_keys_of_ones_own(
    form: str, key: str, refused: Refusal
) -> None:
    (problem,) = refused(f"orchestrator: {form}\nbacalhau:\n  {key}\n", environ={"T": "t"}).details
    assert problem.startswith(f"config.yaml:3:3  bacalhau.{key.partition(':')[0]}: {_OWN_KEY} ")


def test_an_older_file_with_addresses_is_upgraded_to_the_same_choice(loading: Load) -> None:
    text = upgrade_text("orchestrators: [nats://o:4222]\ntoken: t\n")
    assert loading(text).spec.orchestrator.mode is OrchestratorMode.OWN


def test_setting_the_key_takes_the_templates_line(loading: Load) -> None:
    for value in ("managed", "none", "{cluster: other}", "{region: eu-west-1}"):
        text = set_values(template(), {"orchestrator": value})
        assert f"\norchestrator: {value}\n" in text
        assert len(text.splitlines()) == len(template().splitlines())
        assert loading(text).spec.orchestrator.mode is not OrchestratorMode.UNSET


def test_setting_one_setting_of_a_managed_one(loading: Load) -> None:
    text = set_values(template(), {"orchestrator.region": "eu-west-1", "orchestrator.volume_gib": "30"})
    assert loading(text).spec.orchestrator == OrchestratorSpec(
        OrchestratorMode.MANAGED, region="eu-west-1", volume_gib=30
    )


def test_setting_an_address_beside_a_managed_one_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        set_values("orchestrator: managed\n", {"bacalhau.orchestrators": "[o:4222]"})
    assert caught.value.details == (
        f"bacalhau.orchestrators: {_OWN_KEY} managed; remove this key, or set `orchestrator: own`",
    )


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [("orchestrator", "not chosen", "default")]),
        (_ADDRESSES, [("orchestrator", "own", "config.yaml:1")]),
        ("orchestrator: none\n", [("orchestrator", "none", "config.yaml:1")]),
        (
            "orchestrator: {cluster: other}\n",
            [
                ("orchestrator", "the managed one of another cluster", "config.yaml:1"),
                ("orchestrator.cluster", "other", "config.yaml:1"),
            ],
        ),
        (
            "orchestrator:\n  volume_gib: 30\n",
            [
                ("orchestrator", "managed", "config.yaml:1"),
                ("orchestrator.region", "of the existing one, or the cluster's first", "default"),
                ("orchestrator.instance_type", "t3.small", "default"),
                ("orchestrator.volume_gib", "30", "config.yaml:2"),
                ("orchestrator.reconcile", "none", "default"),
            ],
        ),
    ],
)
def test_the_effective_choice_is_shown_with_its_source(
    text: str, rows: list[tuple[str, str, str]], loading: Load
) -> None:
    shown = [tuple(row) for row in shown_values(loading(text)) if row.key.split(".")[0] == "orchestrator"]
    assert shown == rows
