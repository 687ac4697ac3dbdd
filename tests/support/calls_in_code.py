"""Which calls of AWS's API the code can make, read from the code: every string in cloud/ that names one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import botocore.session
from botocore import xform_name

from bacalhau_spot import cloud

FOLDER = Path(str(cloud.__file__)).parent
SERVICES = (
    *(
        "autoscaling",
        "cloudwatch",
        "ec2",
        "events",
        "iam",
        "logs",
        "pricing",
        "resourcegroupstaggingapi",
        "s3",
    ),
    *("secretsmanager", "service-quotas", "sns", "sqs", "ssm", "sts"),
)
# As policies spell the services, where boto3 has another name.
SPELLED = {"service-quotas": "servicequotas"}


def calls_in_code() -> frozenset[str]:
    """`ec2:CreateVpc` and so on. An operation is of the service named beside it; else of its file's, which is EC2's or IAM's."""
    session = botocore.session.Session()
    known = {
        service: {xform_name(name): name for name in session.get_service_model(service).operation_names}
        for service in SERVICES
    }
    calls: set[str] = set()
    for path in sorted(FOLDER.rglob("*.py")):
        own = "iam" if path.name == "iam.py" else "ec2"
        for service, word in _words(ast.parse(path.read_text(encoding="utf-8")), own):
            name = known[service].get(word)
            if name is not None:
                calls.add(f"{SPELLED.get(service, service)}:{name}")
    return frozenset(calls)


def _words(tree: ast.AST, own: str) -> Iterator[tuple[str, str]]:
    taken: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            words = [arg for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            services = [str(word.value) for word in words if word.value in SERVICES]
            for constant in words if services else ():
                taken.add(id(constant))
                yield services[0], str(constant.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in taken:
            yield own, node.value
