"""Public images and their SSM parameters.

Source: Canonical, "Find Ubuntu images on AWS"; Systems Manager user guide, "Calling AMI public parameters".
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

NOBLE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"
JAMMY = "/aws/service/canonical/ubuntu/server/22.04/stable/current/{}/hvm/ebs-gp2/ami-id"
DEBIAN = "/aws/service/debian/release/12/latest/{}"
CANONICAL = "099720109477"


def parameters(sandbox: Any, region: str, *names: str) -> dict[str, str]:
    answer = sandbox.client("ssm", region).get_parameters(Names=list(names))
    return {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}


@pytest.mark.parametrize("pattern", [NOBLE, JAMMY, DEBIAN])
def test_parameters_name_images_that_exist(sandbox: Any, pattern: str) -> None:
    """The value is an image of that region and that architecture."""
    for word, architecture in (("amd64", "x86_64"), ("arm64", "arm64")):
        image_id = sandbox.client("ssm").get_parameter(Name=pattern.format(word))["Parameter"]["Value"]
        assert re.fullmatch(r"ami-0[0-9a-f]{16}", image_id)
        image = sandbox.client().describe_images(ImageIds=[image_id])["Images"][0]
        assert image["Architecture"] == architecture
        assert image["State"] == "available"


def test_ids_differ_by_region(sandbox: Any) -> None:
    """The same build has a different id in each region."""
    east = parameters(sandbox, "us-east-1", NOBLE.format("amd64"))
    west = parameters(sandbox, "us-west-2", NOBLE.format("amd64"))
    assert east != west
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        sandbox.client(region="us-west-2").describe_images(ImageIds=list(east.values()))


def test_unknown_names_are_listed_beside_the_known(sandbox: Any) -> None:
    """GetParameters: unknown names are InvalidParameters, not an error; the account's own parameters are included."""
    ssm = sandbox.client("ssm")
    ssm.put_parameter(Name="/mine", Value="x", Type="SecureString", Overwrite=True)
    names = [NOBLE.format("amd64"), "/aws/service/canonical/ubuntu/server/99.99/nothing", "/mine"]
    answer = ssm.get_parameters(Names=names, WithDecryption=True)
    assert {parameter["Name"] for parameter in answer["Parameters"]} == {names[0], "/mine"}
    assert answer["InvalidParameters"] == [names[1]]
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name=names[1])


def test_ubuntu_is_found_by_owner_and_name(sandbox: Any) -> None:
    """Finding the newest image without SSM: owner, name pattern, creation date."""
    images = sandbox.client().describe_images(
        Owners=[CANONICAL],
        Filters=[
            {"Name": "name", "Values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]},
            {"Name": "architecture", "Values": ["x86_64"]},
        ],
    )["Images"]
    newest = max(images, key=lambda image: image["CreationDate"])
    assert newest["ImageId"] == parameters(sandbox, "us-east-1", NOBLE.format("amd64"))[NOBLE.format("amd64")]
    assert newest["RootDeviceName"] == "/dev/sda1"
    assert newest["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8
    assert newest["Public"] is True


def test_a_malformed_id_is_told_from_an_unknown_one(sandbox: Any) -> None:
    """InvalidAMIID.Malformed and InvalidAMIID.NotFound (EC2 API reference, error codes)."""
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Malformed"):
        sandbox.client().describe_images(ImageIds=["ami-xyz"])
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        sandbox.client().describe_images(ImageIds=["ami-00000000000000000"])
