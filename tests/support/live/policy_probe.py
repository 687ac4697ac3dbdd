"""The printed policy in AWS's own evaluation: a role that has it and no more, and dry runs with its credentials."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from support.live.fleet_probes import Result
from support.live.ground import Ground, code_of, tag_list
from support.live.journal import AS_ASSUMED, OPEN, OTHERWISE
from support.live.place import Late
from support.live.settings import CLUSTER, CREATOR, PREFIX, TAG_KEY

ALLOWED = "DryRunOperation"
DENIED = {"UnauthorizedOperation", "AccessDenied"}
_PATH = "/bacalhau-spot/"
_ROLE = f"{PREFIX}policy-probe"


class NotAllowed(Exception):  # noqa: N818 - an answer
    """The caller may not make roles."""


@dataclass
class PolicyProbe:
    ground: Ground
    documents: list[dict[str, Any]]  # of `iam-policy`
    account: str

    def answers(self) -> tuple[Result, Result, Result]:
        """How soon new permissions apply; revocation by rule id; tags of spot requests and interfaces in a launch."""
        try:
            ec2 = self._session()
        except NotAllowed as error:
            nothing: Result = (OPEN, str(error), {})
            return nothing, nothing, nothing
        began = self.ground.place.clock.monotonic_s()
        self._attach()
        try:
            self.ground.place.until(
                "the permissions apply", lambda: self._revocation(ec2) == ALLOWED, within_s=180
            )
        except Late:
            code = self._revocation(ec2)
            late: Result = (OPEN, f"three minutes later AWS returns {code}", {})
            return late, (OTHERWISE, f"rejected: {code}", {}), self._launch(ec2)
        seconds = round(self.ground.place.clock.monotonic_s() - began, 1)
        soon: Result = (AS_ASSUMED, f"after {seconds} s, in a session that exists", {"seconds": seconds})
        return soon, (AS_ASSUMED, "allowed", {}), self._launch(ec2)

    def _session(self) -> Any:
        """EC2 with the credentials of a role without permissions."""
        iam, sts = self.ground.place.client("iam"), self.ground.place.client("sts")
        partition = sts.get_caller_identity()["Arn"].split(":")[1]
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:{partition}:iam::{self.account}:root"}}
            ],
        }  # fmt: skip
        try:
            role = iam.create_role(
                Path=_PATH, RoleName=_ROLE, AssumeRolePolicyDocument=json.dumps(trust),
                Tags=tag_list(), MaxSessionDuration=3600,
            )["Role"]  # fmt: skip
        except ClientError as error:
            raise NotAllowed(f"the caller may not make a role: {code_of(error)}") from error

        def assumed() -> Any:
            try:
                return sts.assume_role(RoleArn=role["Arn"], RoleSessionName="probe", DurationSeconds=3600)
            except ClientError as error:
                if code_of(error) not in DENIED:
                    raise
                return None

        try:
            reply, _ = self.ground.place.until("the role can be assumed", assumed, within_s=90, every_s=5)
        except Late as error:
            raise NotAllowed("the caller may not assume the role that it made") from error
        return self.ground.place.client_of("ec2", reply["Credentials"])

    def _attach(self) -> None:
        iam = self.ground.place.client("iam")
        for number, document in enumerate(self.documents, 1):
            made = iam.create_policy(
                Path=_PATH,
                PolicyName=f"{_ROLE}-{number}",
                PolicyDocument=json.dumps(document),
                Tags=tag_list(),
            )
            iam.attach_role_policy(RoleName=_ROLE, PolicyArn=made["Policy"]["Arn"])

    def _revocation(self, ec2: Any) -> str:
        """AWS's code for the revocation of a rule, by its id, in a dry run."""
        filters = [{"Name": "group-id", "Values": [self.ground.group_id]}]
        rules = self.ground.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        rule = next(row["SecurityGroupRuleId"] for row in rules if not row["IsEgress"])
        return _code(
            ec2.revoke_security_group_ingress, GroupId=self.ground.group_id, SecurityGroupRuleIds=[rule]
        )

    def _launch(self, ec2: Any) -> Result:
        """A spot instance of the cluster's template, with the tag of the cluster, and with another's."""
        right, wrong = (self._launch_code(ec2, value) for value in (CLUSTER, "another"))
        facts = {"with the tag": right, "with another value": wrong}
        as_assumed = right == ALLOWED and wrong in DENIED
        return (
            (AS_ASSUMED if as_assumed else OTHERWISE),
            f"{right} with the tag, {wrong} with another value",
            facts,
        )

    def _launch_code(self, ec2: Any, value: str) -> str:
        template, version = self.ground.template
        tags = tag_list({TAG_KEY: value, "CreatedBy": CREATOR, "Name": f"{PREFIX}node"})
        return _code(
            ec2.run_instances,
            LaunchTemplate={"LaunchTemplateId": template, "Version": version},
            ImageId=self.ground.image_id,
            InstanceType=self.ground.types[0],
            InstanceMarketOptions={"MarketType": "spot"},
            NetworkInterfaces=[self.ground.interface(subnet_id=self.ground.subnets[0])],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume", "network-interface")
            ],
        )


def _code(call: Any, **parameters: Any) -> str:
    try:
        call(DryRun=True, **parameters)
    except ClientError as error:
        return code_of(error)
    return "no error, although it was a dry run"
