"""Launch templates: stored by moto; this module has AWS's checks and the lookup for launches."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from moto.core.types import Base64EncodedString

from aws_spot_sandbox.ec2 import filters, paging, quotas
from aws_spot_sandbox.ec2.tags import tags_of
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

USER_DATA_LIMIT = 16384
NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
FILTERS: dict[str, filters.Getter[Any]] = {
    "launch-template-name": lambda template: template.name,
    "create-time": lambda template: template.create_time.isoformat(),
}


def check_user_data(text: str | None, *, code: str = "InvalidUserData.Malformed") -> bytes:
    """The decoded bytes. Templates and launches return different codes for the same error."""
    try:
        raw = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(raw) > USER_DATA_LIMIT:
        raise AwsError(code, f"User data is limited to {USER_DATA_LIMIT} bytes.")
    return raw


def create_template(region: Region, args: Args) -> Answer:
    """Moto would list the template's own tags among those of its instances, and treat user data as text."""
    quotas.check(region, "launch_templates")
    name = str(args.get("LaunchTemplateName") or "")
    if not NAME.fullmatch(name):
        raise AwsError(
            "InvalidLaunchTemplateName.MalformedException",
            "Launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the "
            "following characters: - ( ) . / _",
        )
    if name in region.backend.launch_template_name_to_ids:
        raise AwsError(
            "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use."
        )
    check_data(region, args)
    data = dict(args["LaunchTemplateData"])
    if data.get("UserData"):
        data["UserData"] = Base64EncodedString(data["UserData"])
    tags = {"launch-template": tags_of(args, "launch-template")}
    template = region.backend.create_launch_template(name, args.get("VersionDescription") or "", data, tags)
    template.create_time = template.versions[0].create_time = region.moment()
    return {"LaunchTemplate": _described(region, template)}


def check_data(_region: Region, args: Args) -> None:
    data = args.get("LaunchTemplateData") or {}
    if not data:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateData")
    if data.get("UserData"):
        check_user_data(data["UserData"])


def complete_version(region: Region, args: Args) -> None:
    """Date a new version by the sandbox's clock, and add the parameters of its source, which moto ignores.

    AWS: EC2 API Reference, CreateLaunchTemplateVersion, SourceVersion: the new version inherits the parameters that the
    call does not specify.
    """
    new = find(region, args).versions[-1]
    new.create_time = region.moment()
    if args.get("SourceVersion"):
        source = version(region, {**args, "Version": args["SourceVersion"]})
        new.data = {**source.data, **new.data}


def find(region: Region, specification: Mapping[str, Any]) -> Any:
    """The template that a specification names by id or by name."""
    backend, template_id = region.backend, specification.get("LaunchTemplateId")
    if template_id:
        if template_id not in backend.launch_templates:
            raise AwsError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {template_id}, does not exist.",
            )
        return backend.launch_templates[template_id]
    name = specification.get("LaunchTemplateName")
    if not name:
        raise AwsError(
            "MissingParameter",
            "The request must contain the parameter launchTemplateId or launchTemplateName",
        )
    if name not in backend.launch_template_name_to_ids:
        raise AwsError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name}, does not exist.",
        )
    return backend.launch_templates[backend.launch_template_name_to_ids[name]]


def version(region: Region, specification: Mapping[str, Any]) -> Any:
    template = find(region, specification)
    wanted = str(specification.get("Version") or "$Default")
    if wanted == "$Latest":
        return template.versions[-1]
    number = template.default_version_number if wanted == "$Default" else wanted
    for candidate in template.versions:
        if str(candidate.number) == str(number):
            return candidate
    raise AwsError(
        "InvalidLaunchTemplateId.VersionNotFound",
        f"Could not find launch template version {wanted} for launch template {template.id}.",
    )


def describe_templates(region: Region, args: Args) -> Answer:
    """Moto silently stops after 15 templates and omits tags added later; AWS paginates by 200."""
    backend = region.backend
    if args.get("LaunchTemplateIds") or args.get("LaunchTemplateNames"):
        matches = [
            find(region, {"LaunchTemplateId": template_id})
            for template_id in args.get("LaunchTemplateIds") or ()
        ]
        matches += [
            find(region, {"LaunchTemplateName": template_name})
            for template_name in args.get("LaunchTemplateNames") or ()
        ]
    else:
        matches = list(backend.launch_templates.values())
    matches = filters.select(matches, args.get("Filters"), FILTERS, lambda template: region.tags(template.id))
    shown, token = paging.page(matches, args, largest=200)
    return {"LaunchTemplates": [_described(region, template) for template in shown], "NextToken": token}


def _described(region: Region, template: Any) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.create_time,
        "CreatedBy": f"arn:aws:iam::{ACCOUNT_ID}:root",
        "DefaultVersionNumber": template.default_version_number,
        "LatestVersionNumber": template.latest_version_number,
        "Tags": region.tag_set(template.id) or None,
    }


def delete_template(region: Region, args: Args) -> Answer:
    template = find(region, args)
    region.backend.launch_templates.pop(template.id)
    region.backend.launch_template_name_to_ids.pop(template.name, None)
    answer = {"LaunchTemplate": _described(region, template)}
    region.forget_tags(template.id)
    return answer
