"""Fault Injection Service: experiments with one action, the interruption of spot instances.

AWS: FIS API Reference, CreateExperimentTemplate, StartExperiment, GetExperiment; FIS User Guide, "AWS FIS actions reference",
aws:ec2:send-spot-instance-interruptions (the parameter, the target, and the permission of the role) and "IAM roles for AWS FIS
experiments". The times of the states before `running` are not documented; here they take no time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from aws_spot_sandbox.ec2 import spot
from aws_spot_sandbox.ec2.machine import RUNNING
from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.iam.ec2_arns import arn
from aws_spot_sandbox.iam.policy_evaluator import Answer, Ask, judge
from aws_spot_sandbox.iam.sessions import documents
from aws_spot_sandbox.iam.trust_policies import role_of_arn, trusts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.http_types import Call, Handler

INTERRUPTIONS = "aws:ec2:send-spot-instance-interruptions"
_TARGET, _TARGET_NAME = "aws:ec2:spot-instance", "SpotInstances"
_NOT_FOUND, _NOT_MODELLED, _OK = 404, 501, 200
# "the time to wait before the interruption": from two to fifteen minutes (FIS user guide, the action's parameters).
_LEAST_MIN, _MOST_MIN = 2, 15
_MINUTES = re.compile(r"PT(\d+)M")
# FIS User Guide, "Quotas and limitations": targets of one action.
_MOST_TARGETS = 5


@dataclass
class Experiments:
    """Of a region."""

    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)  # client token -> id


def answer(region: Region, call: Call, moto: Handler) -> Reply:
    del moto  # it lacks the service
    actions: Mapping[str, Callable[[Region, dict[str, Any], str], dict[str, Any]]] = {
        "CreateExperimentTemplate": _create,
        "ListExperimentTemplates": _list,
        "DeleteExperimentTemplate": _delete,
        "StartExperiment": _start,
        "GetExperiment": _get,
    }
    if call.rest not in actions:
        message = f"the sandbox does not implement fis {call.http.method} {call.http.path}"
        raise AwsError("NotImplemented", message, status=_NOT_MODELLED)
    if region.experiments is None:
        region.experiments = Experiments()
    body = actions[call.rest](region, json.loads(call.body or b"{}"), call.http.path.rpartition("/")[2])
    return Reply(json.dumps(body).encode(), _OK, "application/json")


def _invalid(message: str) -> NoReturn:
    raise AwsError("ValidationException", message)


def _create(region: Region, request: dict[str, Any], _name: str) -> dict[str, Any]:
    known = region.experiments.tokens.get(request.get("clientToken", ""))
    if known:
        return {"experimentTemplate": region.experiments.templates[known]}
    for name in ("clientToken", "description", "stopConditions", "actions", "roleArn"):
        if not request.get(name):
            _invalid(f"{name} must not be null")
    if not re.fullmatch(r"arn:aws:iam::\d{12}:role/.+", request["roleArn"]):
        _invalid("roleArn is not the ARN of a role")
    _check_actions(request["actions"], request.get("targets", {}))
    made = {
        "id": f"EXT{region.world.random.getrandbits(64):016x}",
        **{
            name: request[name] for name in ("description", "targets", "actions", "stopConditions", "roleArn")
        },
        "creationTime": region.now(),
        "lastUpdateTime": region.now(),
        "tags": request.get("tags", {}),
    }
    region.experiments.templates[made["id"]] = made
    region.experiments.tokens[request["clientToken"]] = made["id"]
    return {"experimentTemplate": made}


def _check_actions(actions: dict[str, Any], targets: dict[str, Any]) -> None:
    for action in actions.values():
        if action.get("actionId") != INTERRUPTIONS:
            message = f"the sandbox implements {INTERRUPTIONS} alone"
            raise AwsError("NotImplemented", message, status=_NOT_MODELLED)
        minutes = _MINUTES.fullmatch(action.get("parameters", {}).get("durationBeforeInterruption", ""))
        if minutes is None or not _LEAST_MIN <= int(minutes[1]) <= _MOST_MIN:
            _invalid("durationBeforeInterruption must be from PT2M to PT15M")
        target = targets.get(action.get("targets", {}).get(_TARGET_NAME, ""))
        if target is None or target.get("resourceType") != _TARGET:
            _invalid(f"the action needs a target {_TARGET_NAME} of the type {_TARGET}")
        if target.get("selectionMode") != "ALL" or not target.get("resourceArns"):
            message = "the sandbox implements targets by their ARNs, with the selection mode ALL"
            raise AwsError("NotImplemented", message, status=_NOT_MODELLED)
        if len(target["resourceArns"]) > _MOST_TARGETS:
            _invalid(f"a target has at most {_MOST_TARGETS} resources")


def _list(region: Region, _request: dict[str, Any], _name: str) -> dict[str, Any]:
    return {"experimentTemplates": list(region.experiments.templates.values())}


def _delete(region: Region, _request: dict[str, Any], name: str) -> dict[str, Any]:
    template = region.experiments.templates.pop(name, None)
    if template is None:
        raise _missing(f"Experiment template {name}")
    return {"experimentTemplate": template}


def _missing(what: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"{what} does not exist.", status=_NOT_FOUND)


def _start(region: Region, request: dict[str, Any], _name: str) -> dict[str, Any]:
    known = region.experiments.tokens.get(f"start {request.get('clientToken', '')}")
    if known:
        return _get(region, {}, known)
    template = region.experiments.templates.get(request.get("experimentTemplateId", ""))
    if template is None:
        raise _missing(f"Experiment template {request.get('experimentTemplateId')}")
    made = {
        "id": f"EXP{region.world.random.getrandbits(64):016x}",
        "experimentTemplateId": template["id"],
        **{name: template[name] for name in ("targets", "actions", "stopConditions", "roleArn")},
        "creationTime": region.now(),
        "startTime": region.now(),
    }
    made["state"] = _run(region, template, made)
    region.experiments.started[made["id"]] = made
    region.experiments.tokens[f"start {request['clientToken']}"] = made["id"]
    return {"experiment": made}


def _run(region: Region, template: dict[str, Any], experiment: dict[str, Any]) -> dict[str, str]:
    """The state of an experiment that has begun."""
    for action in template["actions"].values():
        target = template["targets"][action["targets"][_TARGET_NAME]]
        ids = [name.rpartition("/")[2] for name in target["resourceArns"]]
        alive = [region.machines.get(name) for name in ids]
        if any(machine is None or machine.state != RUNNING or not machine.spot for machine in alive):
            return {"status": "failed", "reason": "Target resolution returned empty set"}
        reason = _refusal(region, template["roleArn"], ids)
        if reason:
            return {"status": "failed", "reason": reason}
        seconds = 60.0 * int(_MINUTES.fullmatch(action["parameters"]["durationBeforeInterruption"])[1])  # type: ignore[index]  # checked at its creation
        # Two minutes before the interruption comes its notice; until then only the recommendation.
        for name in ids:
            spot.recommend(region, name)
            notice = partial(spot.interrupt, region, name, notice_s=spot.NOTICE_S)
            region.later(seconds - spot.NOTICE_S, notice)
        region.later(seconds, lambda: experiment.update(state=_completed(), endTime=region.now()))
    return {"status": "running", "reason": "Experiment is running."}


def _completed() -> dict[str, str]:
    return {"status": "completed", "reason": "Experiment completed."}


def _refusal(region: Region, role_arn: str, ids: list[str]) -> str:
    """Why the role may not interrupt them; empty if it may."""
    role = role_of_arn(role_arn)
    if role is None or not trusts(role, "Service", {"fis.amazonaws.com"}):
        return f"Unable to assume role: {role_arn}"
    for name in ids:
        ask = Ask("ec2:SendSpotInstanceInterruptions", arn("ec2", region.name, f"instance/{name}"))
        if judge(documents(role.name), ask) is not Answer.ALLOWED:
            return f"The role may not perform {ask.action} on {ask.resource}"
    return ""


def _get(region: Region, _request: dict[str, Any], name: str) -> dict[str, Any]:
    experiment = region.experiments.started.get(name)
    if experiment is None:
        raise _missing(f"Experiment {name}")
    return {"experiment": experiment}
