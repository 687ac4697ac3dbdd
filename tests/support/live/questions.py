"""The open questions of docs/unproven.md, and what the live suite does about each: a probe, or a reason why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "unproven.md"


@dataclass(frozen=True)
class Question:
    """`begins`: the beginning of its row on the page. `probe`: the name of the step that asks AWS; or `reason`."""

    begins: str
    probe: str = ""
    reason: str = ""


QUESTIONS = (
    Question("Does an instant fleet accept the same tag keys", probe="tags in the template and in the call"),
    Question("Does `DescribeTags` list a fleet that launched nothing", probe="a fleet that launches nothing"),
    Question("Does a repeated `CreateFleet` with the same token", probe="the same token again"),
    Question("In which order do a fleet and its instances appear", probe="lists after a launch"),
    Question("If a subnet or security group is some seconds old", probe="a subnet that is new"),
    Question("Is `UpdateTime` of a spot request", probe="an interruption"),
    Question(
        "How long does Auto Scaling take from a refused launch", probe="a group whose launches are refused"
    ),
    Question(
        "How soon does EC2 remove the tag `aws:autoscaling:groupName`",
        probe="an instance joins and leaves a group",
    ),
    Question(
        "Which attributes must an instance of an instant fleet have",
        probe="an instance joins and leaves a group",
    ),
    Question(
        "Does a t3.small install bacalhau-spot from a package index",
        reason="the program is not on a package index; once it is: `orchestrator: {reconcile: …}` in the suite's configuration",
    ),
    Question("How soon does IAM apply the permissions that `create` adds", probe="the printed policy"),
    Question("How long do lists lag behind changes", probe="lists after a launch"),
    Question(
        "Does AWS check `ec2:CopyImage` on the source image",
        reason="it needs an image in two regions and takes half an hour: `image bake` with the printed policy alone",
    ),
    Question(
        "Does AWS refuse a second copy of an image with the same name",
        reason="it needs an image in two regions and takes half an hour: `image bake`, `image delete` of a copy, `image bake`",
    ),
    Question("How many types does `DescribeSpotPriceHistory` accept", probe="prices of all types"),
    Question("Is `RevokeSecurityGroupIngress` by rule id allowed", probe="the printed policy"),
    Question("Does AWS evaluate `aws:RequestTag` on spot requests", probe="the printed policy"),
    Question(
        "Which connections does VPC Block Public Access in the mode",
        reason="the setting applies to every VPC of the region, those of others too",
    ),
    Question(
        "Which value does `BlockPublicAccessStates` return",
        reason="the setting applies to every VPC of the region, those of others too",
    ),
    Question(
        "Is an exclusion of the NAT gateway's subnet enough",
        reason="the setting applies to every VPC of the region, and a NAT gateway costs more than the run",
    ),
    Question(
        "Do other types than T accept a template with `CreditSpecification`",
        probe="CPU credits on another type",
    ),
    Question("How long does a deleted fleet keep its tags", probe="a deleted fleet"),
    Question(
        "Are the endpoints of isolated partitions",
        reason="they need an account in each of those partitions",
    ),
)


def rows_of_the_page() -> list[str]:
    """The first column of its table."""
    lines = re.findall(r"^\| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [line for line in lines if line not in ("question", "---")]


def whole(question: Question) -> str:
    """Its text on the page. Raises LookupError."""
    for row in rows_of_the_page():
        if row.startswith(question.begins):
            return row
    raise LookupError(question.begins)


def asked_by(probe: str) -> list[Question]:
    return [question for question in QUESTIONS if question.probe == probe]
