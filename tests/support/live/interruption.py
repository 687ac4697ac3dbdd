"""A real interruption of a spot instance, by AWS Fault Injection Service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from support.live.ground import code_of, tag_list
from support.live.place import Place
from support.live.settings import PREFIX

ACTION = "aws:ec2:send-spot-instance-interruptions"
DESCRIPTION = "bacalhau-spot live test: one interruption"
_ROLE = f"{PREFIX}interruptions"
_OVER = {"completed", "stopped", "failed", "cancelled"}
# The codes for a missing permission, by service; and those of a region without the service.
_NOT_ALLOWED = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired",
    "UnrecognizedClientException", "SubscriptionRequiredException",
}  # fmt: skip


class Unavailable(Exception):  # noqa: N818 - an answer
    """The caller may not use the service, or the region does not have it."""


@dataclass
class Interrupter:
    place: Place
    account: str
    _attempts: int = 0

    def interrupt(self, instance_id: str) -> str:
        """Start the experiment; its id. Raises Unavailable."""
        try:
            return self._start(instance_id)
        except EndpointConnectionError as error:
            raise Unavailable(f"{self.place.region} has no Fault Injection Service") from error
        except ClientError as error:
            if code_of(error) not in _NOT_ALLOWED:
                raise
            raise Unavailable(f"AWS returns {code_of(error)} for {error.operation_name}") from error

    def finish(self, experiment: str) -> str:
        """Its last state. Its role carries the tag of the suite, and goes with all else."""
        fis = self.place.client("fis")

        def over() -> dict[str, Any] | None:
            row: dict[str, Any] = fis.get_experiment(id=experiment)["experiment"]
            return row if row["state"]["status"] in _OVER else None

        row, _ = self.place.until("the end of the experiment", over, within_s=600, every_s=5)
        assert row is not None
        return str(row["state"]["status"])

    def tidy(self) -> None:
        """Delete the templates of this suite, which no command of the program knows. They cost nothing."""
        fis = self.place.client("fis")
        try:
            rows = fis.list_experiment_templates()["experimentTemplates"]
        except (ClientError, EndpointConnectionError):
            return  # the service could not be used, so nothing is there
        for row in rows:
            if row.get("description") == DESCRIPTION:
                fis.delete_experiment_template(id=row["id"])

    def _start(self, instance_id: str) -> str:
        fis, role = self.place.client("fis"), self._role()
        token = f"{instance_id}-{self.place.clock.now():%H%M%S}"
        request = {
            "clientToken": token,
            "description": DESCRIPTION,
            "roleArn": role,
            "stopConditions": [{"source": "none"}],
            "targets": {
                "node": {
                    "resourceType": "aws:ec2:spot-instance",
                    "resourceArns": [self._arn("ec2", f"instance/{instance_id}", role)],
                    "selectionMode": "ALL",
                }
            },
            "actions": {
                "interrupt": {
                    "actionId": ACTION,
                    "parameters": {"durationBeforeInterruption": "PT2M"},
                    "targets": {"SpotInstances": "node"},
                }
            },
        }

        def made() -> Any:
            """The service finds a new role after some seconds."""
            try:
                return fis.create_experiment_template(**request)["experimentTemplate"]
            except ClientError as error:
                if code_of(error) != "ValidationException" or "role" not in str(error).lower():
                    raise
                return None

        template, _ = self.place.until("the role of the experiment", made, within_s=90, every_s=5)
        running, _ = self.place.until(
            "the start of the experiment", lambda: self._run(token, template["id"]), within_s=90, every_s=10
        )
        return str(running)

    def _run(self, token: str, template_id: str) -> str | None:
        """An experiment that runs; None if the service cannot assume the new role yet. Raises Unavailable."""
        fis = self.place.client("fis")
        self._attempts += 1
        started = fis.start_experiment(
            clientToken=f"{token}-{self._attempts}", experimentTemplateId=template_id
        )

        def begun() -> dict[str, Any] | None:
            row: dict[str, Any] = fis.get_experiment(id=started["experiment"]["id"])["experiment"]
            return row if row["state"]["status"] not in {"pending", "initiating"} else None

        row, _ = self.place.until("the state of the experiment", begun, within_s=120, every_s=2)
        assert row is not None
        if row["state"]["status"] in {"running", "completed"}:
            return str(row["id"])
        reason = row["state"].get("reason", "")
        if "role" in reason.lower():
            return None
        raise Unavailable(f"the experiment is {row['state']['status']}: {reason}")

    def _arn(self, service: str, name: str, like: str) -> str:
        return f"arn:{like.split(':')[1]}:{service}:{self.place.region}:{self.account}:{name}"

    def _role(self) -> str:
        iam = self.place.client("iam")
        trust = _document("Allow", "sts:AssumeRole", Principal={"Service": "fis.amazonaws.com"})
        role = iam.create_role(
            Path="/bacalhau-spot/",
            RoleName=_ROLE,
            AssumeRolePolicyDocument=json.dumps(trust),
            Tags=tag_list(),
        )["Role"]
        may = _document("Allow", ["ec2:SendSpotInstanceInterruptions", "ec2:DescribeInstances"], Resource="*")
        iam.put_role_policy(RoleName=_ROLE, PolicyName="interruptions", PolicyDocument=json.dumps(may))
        return str(role["Arn"])


def _document(effect: str, action: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, **more}]}
