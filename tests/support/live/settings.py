"""What the operator of a live run has agreed to: the account, the region and the budget. Refusals, each with its remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from support.live.place import Place
from support.live.program import Program

MOST_USD = Decimal(1)
# A tag key of its own: nothing else in the account can carry it, and `nuke` reaches nothing else.
TAG_KEY = "bacalhau-live-test"
CLUSTER = "life"
PROBES = "probes"
CREATOR = "bacalhau-live-test-suite"
PREFIX = "bacalhau-live-"
LIFETIME_H = 2
# The smallest that run Docker and Bacalhau.
TYPES = ("t3.micro", "t3a.micro", "t3.small", "t3a.small")
# The instances of the probes, each alive for some minutes.
PROBES_USD = Decimal("0.05")
# AWS Fault Injection Service: 0.10 USD for a minute of an action; one interruption takes two to three minutes.
INTERRUPTION_USD = Decimal("0.30")

CONFIG = """\
cluster:
  name: {cluster}
  tag_key: {tag_key}
  creator: {creator}
  resource_prefix: {prefix}
  vpc_name: {prefix}vpc
nodes: 2
regions: [{region}]
instance_types: [{types}]
orchestrator: managed
ttl: {lifetime_h}h
budget_usd_per_hour: {budget}
ssh_cidrs: {ssh_cidrs}
"""
KEYS = """\
public_ssh_key_path: ./key.pub
private_ssh_key_path: ./key
"""
HOW = "docs/live.md has the whole procedure"


class Refused(Exception):  # noqa: N818 - a decision, not an error
    """Nothing was created."""


@dataclass(frozen=True)
class Settings:
    account: str
    region: str
    budget_usd: Decimal
    ssh_cidrs: str = "caller"
    sha256: str = ""

    def config(self, *, keys: bool = True) -> str:
        text = CONFIG.format(
            cluster=CLUSTER, tag_key=TAG_KEY, creator=CREATOR, prefix=PREFIX, region=self.region,
            types=", ".join(TYPES),
            lifetime_h=LIFETIME_H, budget=self.budget_usd, ssh_cidrs=self.ssh_cidrs,
        )  # fmt: skip
        text += f'bacalhau: {{sha256: {{x86_64: "{self.sha256}"}}}}\n' if self.sha256 else ""
        return text + KEYS if keys else text


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Raises Refused."""
    account = environ.get("LIVE_ACCOUNT", "")
    if not re.fullmatch(r"\d{12}", account):
        raise Refused(
            "LIVE_ACCOUNT must be the id of the AWS account in which the suite may launch instances: twelve digits. "
            f"`aws sts get-caller-identity --query Account --output text` prints it; {HOW}"
        )
    region = environ.get("LIVE_REGION") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    text = environ.get("LIVE_BUDGET_USD", str(MOST_USD))
    try:
        budget = Decimal(text)
    except InvalidOperation:
        budget = Decimal(0)
    if not 0 < budget <= MOST_USD:
        raise Refused(f"LIVE_BUDGET_USD={text}: it must be a number above 0 and at most {MOST_USD}")
    cidrs, sha256 = environ.get("LIVE_SSH_CIDRS") or "caller", environ.get("LIVE_SHA256", "")
    return Settings(account, region or "us-east-1", budget, cidrs, sha256)


def check_account(settings: Settings, place: Place) -> str:
    """The caller's ARN. Raises Refused unless the credentials are those of the account."""
    try:
        caller = place.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"AWS does not accept the credentials; `aws sts get-caller-identity` must work: {error}"
        ) from error
    if caller["Account"] != settings.account:
        raise Refused(
            f"these credentials are of the account {caller['Account']}, LIVE_ACCOUNT is {settings.account}: nothing was created"
        )
    return str(caller["Arn"])


def check_empty(program: Program) -> None:
    """Raises Refused if something carries the suite's tag, or if a region could not be scanned."""
    found = program("nuke", "--dry-run")
    if found.code != 0:
        raise Refused(f"the account could not be scanned for remains of a former run: {found.why()}")
    rows = [*found.data["to_delete"], *found.data["unsupported"], *found.data["foreign"]]
    if rows:
        raise Refused(
            f"the account has {len(rows)} resources with the tag {TAG_KEY}, of a former run: `make live-clean` deletes them, "
            "then start again"
        )


def check_price(settings: Settings, program: Program) -> Decimal:
    """The most that the run costs, in US dollars. Raises Refused if that is above the budget or unknown."""
    planned = program("create", "--dry-run")
    if planned.code != 0:
        raise Refused(f"the cluster cannot be planned: {planned.why()}")
    most = price_of_run(planned.data["plan"])
    if most is None or most >= settings.budget_usd:
        sum_text = "an unknown sum" if most is None else f"{most:.2f} USD"
        raise Refused(
            f"the run may cost {sum_text}, the budget is {settings.budget_usd} USD: choose a cheaper region with LIVE_REGION"
        )
    return most


def price_of_run(plan: dict[str, Any]) -> Decimal | None:
    """Of the plan's dearest hour for the whole lifetime, with a node more, the interruption and the probes."""
    total, instances = plan["estimate"]["total"], plan["estimate"]["instances"]
    if total is None or instances is None:
        return None
    a_node_more = Decimal(str(instances["high"])) / max(1, plan["launch"])
    hourly: Decimal = Decimal(str(total["high"])) + a_node_more
    return hourly * LIFETIME_H + INTERRUPTION_USD + PROBES_USD
