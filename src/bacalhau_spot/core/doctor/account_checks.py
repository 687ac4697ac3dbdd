"""The findings of `doctor` on the account: a mark, a sentence and a fix for each prerequisite of a cluster.

Rules:
1. FAIL: a command will fail, or nodes will not join. WARN: it may fail, or could not be checked. PASS: no problem
   found.
2. Each WARN and FAIL has a fix, as a command where one exists.
3. A check that could not be made is a WARN with the reason, never a PASS.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.iam.permissions import action_of
from bacalhau_spot.core.inventory import unusable_regions
from bacalhau_spot.core.partitions import (
    in_console,
    partition_in,
)
from bacalhau_spot.core.placement.quotas import Headroom, quota_of
from bacalhau_spot.core.placement.region_selection import RegionReason, explain_no_region, selected_names
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Identity, Market, Region, TypeInfo
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.errors import UserError


class CheckStatus(StrEnum):
    """How it is."""

    PASS = "PASS"  # noqa: S105 - a mark
    WARN = "WARN"
    FAIL = "FAIL"


class AccountCheck(StrEnum):
    """The checks, in the order of the output."""

    CONFIGURATION = "configuration"
    CREDENTIALS = "credentials"
    CLOCK = "clock"
    REGIONS = "regions"
    PERMISSIONS = "permissions"
    SPOT_ROLE = "spot role"
    MARKET = "offers"
    QUOTAS = "quotas"
    CREATE = "create"
    OTHER_CLUSTERS = "other clusters"
    SSH_KEYS = "SSH keys"
    TOKEN = "token"  # noqa: S105 - what is looked at
    ORCHESTRATOR = "orchestrator"
    VERSION = "version"
    TOOLS = "tools"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `hint`: a command or an instruction; empty on success. `details`: further lines.

    `denied`: it failed because of credentials or a missing permission.
    """

    check: AccountCheck
    status: CheckStatus
    message: str
    hint: str = ""
    details: tuple[str, ...] = ()
    denied: bool = False


def doctor_exit_code(findings: Collection[Finding]) -> ExitCode:
    failed = [finding for finding in findings if finding.status is CheckStatus.FAIL]
    if any(finding.denied for finding in failed):
        return ExitCode.DENIED
    return ExitCode.FAILED if failed else ExitCode.DONE


def by_severity(findings: Collection[Finding]) -> tuple[Finding, ...]:
    order = list(AccountCheck)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.check)))


# Categories of errors that do not pass by themselves.
_SETUP_ADVICE = frozenset({Category.CREDENTIALS, Category.PERMISSION, Category.CONFIG, Category.NETWORK})


def failure_finding(
    check: AccountCheck, failure: ApiFailure, *, blind: str, needed: bool = False, profile: str = ""
) -> Finding:
    """A check that AWS did not answer. `needed`: `create` needs the answer too, so a permanent error is a FAIL.

    An error of the credentials always is. `profile`: the profile in use, for the fix.
    """
    info = classify(failure.code, failure.message)
    serious = info.category in _SETUP_ADVICE if needed else info.category is Category.CREDENTIALS
    serious = serious or check is AccountCheck.CREATE  # it would fail in the same call
    message = info.message(failure.region) if serious else aws_message(failure)
    if info.category is not Category.CREDENTIALS:
        message = f"{blind}: {message}"
    return Finding(
        check,
        CheckStatus.FAIL if serious else CheckStatus.WARN,
        message,
        info.hint_for(failure.region or "us-east-1", action=action_of(failure), profile=profile),
        (aws_message(failure),) if serious else (),
        denied=serious and info.category in {Category.CREDENTIALS, Category.PERMISSION},
    )


def aws_message(failure: ApiFailure) -> str:
    return ": ".join(part for part in (failure.operation, failure.code, failure.message) if part)


def create_refused(error: UserError) -> Finding:
    """A refusal of `create`, in its own words."""
    details = (*((error.why,) if error.why else ()), *error.details)
    return Finding(
        AccountCheck.CREATE,
        CheckStatus.FAIL,
        error.what,
        error.hint or "correct the configuration",
        details,
        denied=error.exit_code is ExitCode.DENIED,
    )


def create_planned(launch: int, *, notes: tuple[str, ...] = ()) -> Finding:
    """The launches of a `create` now. `notes`: of the plan."""
    text = (
        f"would launch {launch} {'instance' if launch == 1 else 'instances'} now"
        if launch
        else "nothing to launch now"
    )
    return Finding(AccountCheck.CREATE, CheckStatus.PASS, text, details=notes)


def create_warns(warning: str) -> Finding:
    """A warning of the plan."""
    return Finding(
        AccountCheck.CREATE,
        CheckStatus.WARN,
        warning,
        "`bacalhau-spot create --dry-run` shows the plan with it",
    )


def not_checked(check: AccountCheck, *, why: str, fix: str) -> Finding:
    return Finding(check, CheckStatus.WARN, f"not checked: {why}", fix)


def waits_for_credentials(check: AccountCheck) -> Finding:
    return not_checked(check, why="needs the credentials first", fix=f"see {AccountCheck.CREDENTIALS}")


def waits_for_regions(check: AccountCheck) -> Finding:
    """Of a check in regions that do not exist or are not enabled."""
    return not_checked(check, why="needs the regions first", fix=f"see {AccountCheck.REGIONS}")


# --- The account

_ORIGINS = {
    "env": "from the environment",
    "shared-credentials-file": "from ~/.aws/credentials",
    "config-file": "from ~/.aws/config",
    "sso": "by single sign-on",
    "assume-role": "from an assumed role",
    "assume-role-with-web-identity": "with a web identity",
    "container-role": "from the container",
    "iam-role": "from this EC2 instance",
    "explicit": "set by this command",
    "custom-process": "from a program named in ~/.aws/config",
}


def credentials(identity: Identity, *, origin: str, endpoint: str = "") -> Finding:
    """`endpoint`: the endpoint in place of AWS; empty for AWS itself."""
    how = _ORIGINS.get(origin, f"({origin})" if origin else "")
    text = f"account {identity.account_id} as {identity.arn}"
    if endpoint:
        text = f"{text}, from {'the sandbox' if endpoint == 'sandbox' else endpoint}, not from AWS"
    if identity.arn.endswith(":root"):
        return Finding(
            AccountCheck.CREDENTIALS,
            CheckStatus.WARN,
            f"{text}: the account's root user has all permissions, and no policy can limit it",
            f"create a user at https://{partition_in(identity.arn).console}/iam/home#/users/create, with the policy of "
            "`bacalhau-spot iam-policy`",
        )
    return Finding(AccountCheck.CREDENTIALS, CheckStatus.PASS, f"{text}{', ' if how else ''}{how}")


# AWS refuses signatures that are five minutes off (IAM user guide, "Signing AWS API requests").
_REFUSED_S, _NOTICED_S = 300.0, 60.0


def clock(*, here: datetime, at_aws: datetime) -> Finding:
    off_s = (here - at_aws).total_seconds()
    way = "ahead of" if off_s > 0 else "behind"
    text = f"this machine's clock is {abs(off_s):.0f} s {way} AWS's"
    fix = "set it, with NTP: `sudo timedatectl set-ntp true` (Linux), `sudo sntp -sS time.apple.com` (macOS)"
    if abs(off_s) >= _REFUSED_S:
        return Finding(
            AccountCheck.CLOCK,
            CheckStatus.FAIL,
            f"{text}; AWS rejects requests that are five minutes off",
            fix,
        )
    if abs(off_s) >= _NOTICED_S:
        return Finding(AccountCheck.CLOCK, CheckStatus.WARN, text, fix)
    return Finding(AccountCheck.CLOCK, CheckStatus.PASS, "matches the clock of AWS")


def regions(configured: Sequence[str], known: Sequence[Region]) -> Finding:
    unusable = unusable_regions(configured, known)
    if unusable:
        return Finding(
            AccountCheck.REGIONS,
            CheckStatus.FAIL,
            f"{len(unusable)} of {len(configured)} configured regions cannot be used",
            unusable.hint,
            (
                *(f"{name}: no such region" for name in unusable.unknown),
                *(f"{name}: not enabled in this account" for name in unusable.disabled),
            ),
        )
    enabled = sum(region.enabled for region in known)
    wanted = f"{len(configured)} configured" if configured else "left to `auto`"
    return Finding(AccountCheck.REGIONS, CheckStatus.PASS, f"{wanted}, {enabled} enabled in this account")


def region_choice(
    decisions: Sequence[RegionDecision], remarks: Sequence[str], *, count: int, known: Sequence[Region]
) -> tuple[Finding, ...]:
    """The regions that `create` would choose for `auto`; without any, the check that fails for it."""
    enabled = sum(region.enabled for region in known)
    none = explain_no_region(decisions)
    if none is not None:
        room = none.reason is RegionReason.NO_QUOTA
        failed, other = (
            (AccountCheck.QUOTAS, AccountCheck.MARKET) if room else (AccountCheck.MARKET, AccountCheck.QUOTAS)
        )
        return (
            Finding(
                AccountCheck.REGIONS,
                CheckStatus.FAIL,
                f"none of {enabled} enabled ones can be chosen",
                f"see {failed}",
            ),
            Finding(failed, CheckStatus.FAIL, none.message, none.hint, tuple(remarks)),
            not_checked(other, why="no region can be chosen", fix=f"see {failed}"),
        )
    names = selected_names(decisions)
    text = f"{', '.join(names)} chosen now, of {enabled} enabled in this account"
    if not remarks:
        return (Finding(AccountCheck.REGIONS, CheckStatus.PASS, text),)
    mark = CheckStatus.WARN if len(names) < count else CheckStatus.PASS
    fix = "see all with `bacalhau-spot offers --by region`" if mark is CheckStatus.WARN else ""
    return (Finding(AccountCheck.REGIONS, mark, text, fix, tuple(remarks)),)


@dataclass(frozen=True, slots=True)
class SimulatedPermissions:
    """The result of the permission checks. `required`: number of actions; `missing`: denied actions, with region and
    code.

    `unknown`: actions without an answer, and `reason`.
    """

    required: int
    missing: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    reason: str = ""


# Why some actions remain unknown although the simulator answers.
UNCERTAIN = (
    "IAM's simulator cannot decide: the allowing statements have conditions that only a real call can meet"
)


def permissions(rights: SimulatedPermissions) -> Finding:
    policy = (
        "have an administrator attach the policy that `bacalhau-spot iam-policy` prints, or use another profile "
        "with --profile"
    )
    unasked = f"{len(rights.unknown)} actions could not be checked ({rights.reason})"
    if rights.missing:
        count = len(rights.missing)
        lines = tuple(f"{action} {why}".rstrip() for action, why in sorted(rights.missing.items()))
        return Finding(
            AccountCheck.PERMISSIONS,
            CheckStatus.FAIL,
            f"{count} {'action is' if count == 1 else 'actions are'} not allowed",
            policy,
            (*lines, *((unasked,) if rights.unknown else ())),
            denied=True,
        )
    if rights.unknown:
        return Finding(
            AccountCheck.PERMISSIONS,
            CheckStatus.WARN,
            f"{unasked}; {rights.required} are allowed",
            "run `bacalhau-spot doctor` again; or have an administrator compare your policy with what `bacalhau-spot "
            "iam-policy` prints",
        )
    return Finding(AccountCheck.PERMISSIONS, CheckStatus.PASS, f"all {rights.required} actions are allowed")


def other_clusters(counts: Mapping[str, int], *, tag_key: str) -> tuple[Finding, ...]:
    """Other clusters under the tag key; `counts`: their running instances."""
    return tuple(
        Finding(
            AccountCheck.OTHER_CLUSTERS,
            CheckStatus.WARN,
            f"{count} {'instance runs' if count == 1 else 'instances run'} in another cluster under {tag_key}: {name}",
            f"bacalhau-spot list --cluster {shlex.quote(name)}",
        )
        for name, count in counts.items()
    ) or (
        Finding(
            AccountCheck.OTHER_CLUSTERS, CheckStatus.PASS, f"no instances of another cluster under {tag_key}"
        ),
    )


def spot_role(arn: str | None) -> Finding:
    if arn is None:
        return Finding(
            AccountCheck.SPOT_ROLE,
            CheckStatus.WARN,
            "the account has never used spot instances, and AWS has no role (a service-linked role) to start them under: the "
            "first `create` has AWS create it if you have the permission; otherwise an administrator creates it once",
            "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        )
    return Finding(
        AccountCheck.SPOT_ROLE, CheckStatus.PASS, "the account has the service-linked role for spot instances"
    )


# --- What is to be launched

# A single pool is one interruption away from losing everything.
_FEW_POOLS = 2


def market(market: Market, *, problems: Sequence[str], advice: str) -> Finding:
    """`problems`: why the configuration cannot launch there; `advice`: the fix."""
    if problems:
        return Finding(
            AccountCheck.MARKET,
            CheckStatus.FAIL,
            "; ".join(problems),
            advice,
        )
    pools, zones = len(market.offers), len(market.zones)
    text = f"{market.region}: {pools} {'pool' if pools == 1 else 'pools'} in {zones} {'zone' if zones == 1 else 'zones'}"
    if pools <= _FEW_POOLS:
        return Finding(
            AccountCheck.MARKET,
            CheckStatus.WARN,
            f"{text}; losing one pool loses many nodes",
            f"add types to `instance_types` in the configuration; {MORE_TYPES} shows the available ones",
        )
    if all(offer.usd_per_hour is None for offer in market.offers):
        return Finding(
            AccountCheck.MARKET,
            CheckStatus.WARN,
            f"{text}; AWS returned no price for them",
            "not a blocker for `create`; run `bacalhau-spot doctor` again later for prices",
        )
    return Finding(AccountCheck.MARKET, CheckStatus.PASS, text)


_QUOTAS = "https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{code}"


def _quota_page(region: str, *, code: str) -> str:
    return in_console(_QUOTAS.format(region=region, code=code), region=region)


def spot_quota(
    region: str, *, nodes: int, types: Mapping[str, TypeInfo], headrooms: Mapping[str, Headroom]
) -> Finding:
    """Whether the quotas have room for `nodes` more, all quotas together; each node counted as its smallest type."""
    smallest = _smallest_vcpus(types, headrooms)
    if not smallest:
        return Finding(
            AccountCheck.QUOTAS,
            CheckStatus.WARN,
            f"{region}: AWS lists no quota for these instance types",
            in_console(
                f"look at https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas",
                region=region,
            ),
        )
    room = sum(headrooms[code].nodes(each) for code, each in smallest.items())
    free = ", ".join(
        f"{headrooms[code].vcpus_free} of {headrooms[code].vcpus} vCPUs free ({headrooms[code].quota.name})"
        for code in smallest
    )
    if room < nodes:
        code = min(smallest, key=lambda code: (smallest[code], code))  # the smallest increase
        need = nodes * smallest[code]
        return Finding(
            AccountCheck.QUOTAS,
            CheckStatus.FAIL,
            f"{region}: {nodes} more {'node needs' if nodes == 1 else 'nodes need'} {need} vCPUs (processors), and the quota "
            f"leaves {free}",
            f"aws service-quotas request-service-quota-increase --region {region} --service-code ec2 --quota-code {code} "
            f"--desired-value {headrooms[code].used + need}",
            (f"or ask at {_quota_page(region, code=code)}; AWS answers in minutes to days",),
        )
    return Finding(AccountCheck.QUOTAS, CheckStatus.PASS, f"{region}: {free}")


def _smallest_vcpus(types: Mapping[str, TypeInfo], headrooms: Mapping[str, Headroom]) -> dict[str, int]:
    """By quota code, the vCPUs of its smallest type."""
    smallest: dict[str, int] = {}
    for name, info in types.items():
        quota = quota_of(name)
        if quota is not None and quota.code in headrooms:
            smallest[quota.code] = min(info.vcpus or 1, smallest.get(quota.code, info.vcpus or 1))
    return smallest


VPC_QUOTA = "L-F678F1CE"


def vpc_quota(region: str, *, count: int, ours: bool, limit: int | None) -> Finding | None:
    """Whether the account has room for another VPC; None where the check does not apply."""
    if ours or limit is None:
        return None
    if count >= limit:
        existing = f"or name one that exists in the configuration, `regions: {{{region}: {{vpc_id: vpc-…}}}}`"
        return Finding(
            AccountCheck.QUOTAS,
            CheckStatus.FAIL,
            f"{region}: {count} of {limit} VPCs are in use, and the cluster needs one",
            f"aws service-quotas request-service-quota-increase --region {region} --service-code vpc "
            f"--quota-code {VPC_QUOTA} --desired-value {limit + 1}",
            (f"{existing}; `aws ec2 describe-vpcs --region {region}` lists them",),
        )
    return None
