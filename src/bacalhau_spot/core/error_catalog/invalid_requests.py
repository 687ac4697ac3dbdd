"""Invalid requests: values of the configuration, or calls of this program, that AWS rejects.

Source: EC2 API reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from bacalhau_spot.core.error_catalog.categories import (
    MORE_TYPES,
    WAIT_FOR_OTHERS,
    Category,
    ErrorInfo,
    Recovery,
    rows_for,
)
from bacalhau_spot.project import REPORT


def _wrong(name: str, sentence: str, hint: str) -> ErrorInfo:
    """Other regions may accept it: ids and offers differ between regions."""
    return ErrorInfo(name, Category.CONFIG, Recovery.STOP_REGION, sentence, hint)


OPT_IN = _wrong(
    "opt-in",
    "region {region} is not enabled in this account",
    "take it out of `regions`, or enable it with `aws account enable-region --region-name {region}` (AWS takes minutes to hours)",
)
_STS_REGION = _wrong(
    "sts-region",
    "AWS's sign-in service is switched off for this account in the region that your AWS settings name",
    "`export AWS_DEFAULT_REGION=us-east-1` (China: cn-north-1, GovCloud: us-gov-west-1), "
    "or switch it on at https://console.aws.amazon.com/iam/home#/account_settings",
)
IMAGE = _wrong(
    "image",
    "the image does not exist in {region}, or is not shared with this account; image ids differ from region to region",
    "set `image: auto`, or an image of this region under `regions: {{{region}: {{image: ami-…}}}}`",
)
TYPE = _wrong(
    "instance-type",
    "instance type not available in {region}",
    "correct `instance_types`; `aws ec2 describe-instance-type-offerings --region {region} --output text "
    '--query "InstanceTypeOfferings[].InstanceType"` lists those of the region',
)
_ZONE = _wrong(
    "zone",
    "there is no such availability zone in {region}",
    "`aws ec2 describe-availability-zones --region {region}` lists them; a VPC that `vpc_id` names needs a subnet in one of them",
)
_NETWORK_ID = _wrong(
    "vpc",
    "the VPC that the configuration names for {region} is not one of that region",
    "`aws ec2 describe-vpcs --region {region}` lists them; correct `vpc_id`, or leave it out to have one created",
)
_ADDRESSES = _wrong(
    "addresses",
    "AWS does not accept an address range for {region}",
    "correct `ssh_cidrs`; a range is written like 203.0.113.0/24",
)
_KEY_PAIR = _wrong(
    "key-pair",
    "there is no such key pair in {region}",
    "name your own key instead, which is installed on every node in every region: "
    "`bacalhau-spot configure --set public_ssh_key_path=~/.ssh/id_ed25519.pub` (`ssh-keygen -t ed25519` creates one)",
)
_USER_DATA = _wrong(
    "user-data",
    "AWS does not accept the user-data of the nodes in {region}; it holds 16 KB at most",
    "shorten `instance.additional_commands` and `instance.files`, or fetch long files from the commands",
)
TAGS = _wrong(
    "tags",
    "AWS does not accept the tags for {region}",
    "correct `cluster.tags` and the cluster's names in the configuration: 50 tags at most, no key beginning with aws:",
)
_DISK = _wrong(
    "disk",
    "AWS does not accept the disk for {region}",
    "correct `instance.root_volume_gib`; it must be at least as large as the image's own disk",
)
_ENCRYPTION_KEY = _wrong(
    "encryption-key",
    "the account encrypts its disks, and its key for that (a KMS key) cannot be used in {region}",
    "`aws ec2 get-ebs-default-kms-key-id --region {region}` shows the key that EC2 uses for disks; ask your administrator to let "
    "you, and AWSServiceRoleForEC2Spot, AWS's role for spot instances, use it",
)
UNSUPPORTED = _wrong(
    "unsupported",
    "AWS does not support this in {region}",
    (
        f"the values that AWS names above do not fit together: choose other `instance_types` ({MORE_TYPES} lists some), "
        "or `image: auto`"
    ),
)
BAD_VALUE = _wrong(
    "bad-value",
    "AWS does not accept the request for {region}",
    "correct the value that AWS names in the configuration; `bacalhau-spot config show --sources` shows the source of each value",
)
_BUCKET_NAME = _wrong(
    "bucket-name",
    "another AWS account has the bucket name that this cluster needs for job results in {region}",
    "bucket names are global: set another `cluster.tag_value`, or another `orchestrator.region`",
)
_OTHER_CREATE = ErrorInfo(
    "other-create",
    Category.BUSY,
    Recovery.STOP_REGION,
    "another create of this cluster is running in {region}, or ran a moment ago",
    WAIT_FOR_OTHERS,
)
OUR_CALL = ErrorInfo(
    "our-call",
    Category.UNKNOWN,
    Recovery.STOP_REGION,
    "AWS rejected a call of bacalhau-spot as malformed in {region}",
    f"`bacalhau-spot doctor` prints the version; {REPORT} with the output of --debug",
)

ROWS = {
    **rows_for(OPT_IN, "OptInRequired"),
    **rows_for(_STS_REGION, "RegionDisabledException"),
    **rows_for(IMAGE, "AuthFailure.NotAuthorizedForImages"),
    **rows_for(_ZONE, "InvalidAvailabilityZone", "InvalidZone.NotFound", "VolumeTypeNotAvailableInZone"),
    **rows_for(_NETWORK_ID, "InvalidVpcId.Malformed", "InvalidSubnet.Range", "InvalidSubnetId.Malformed"),
    **rows_for(_NETWORK_ID, "VPCIdNotSpecified", "DefaultVpcDoesNotExist", "InvalidVpcState"),
    **rows_for(_ADDRESSES, "InvalidPermission.Malformed", "InvalidVpcRange"),
    **rows_for(_KEY_PAIR, "InvalidKeyPair.NotFound", "InvalidKeyPair.Format"),
    **rows_for(_USER_DATA, "InvalidUserData.Malformed"),
    **rows_for(_BUCKET_NAME, "BucketAlreadyExists"),
    **rows_for(TAGS, "TagLimitExceeded"),
    **rows_for(_DISK, "InvalidBlockDeviceMapping"),
    **rows_for(_ENCRYPTION_KEY, "InvalidKeyId", "KMSKeyNotAccessible", "EncryptedVolumesNotSupported"),
    **rows_for(UNSUPPORTED, "NonEBSInstance"),
    **rows_for(BAD_VALUE, "InvalidInput", "InvalidFormat", "MissingParameter"),
    **rows_for(_OTHER_CREATE, "IdempotentParameterMismatch", "InvalidIdempotencyToken"),
    **rows_for(_OTHER_CREATE, "InvalidLaunchTemplateName.AlreadyExistsException"),
    # No configuration can cause these. `classifier.FAMILIES` has those with the prefix Invalid or Malformed.
    **rows_for(OUR_CALL, "MissingAction", "UnknownOperationException", "UnknownParameter", "UnsupportedParameterType"),
    **rows_for(OUR_CALL, "ValidationError", "ValidationException", "SerializationException", "IllegalArgumentException"),
    **rows_for(OUR_CALL, "FilterLimitExceeded", "ExpiredNextTokenException", "PaginationTokenExpiredException"),
    **rows_for(OUR_CALL, "PackedPolicyTooLarge", "RequestEntityTooLargeException", "IncompatiblePolicyException"),
    **rows_for(OUR_CALL, "HierarchyLevelLimitExceededException", "HierarchyTypeMismatchException", "DryRunOperation"),
    **rows_for(OUR_CALL, "ParameterPatternMismatchException", "PoliciesLimitExceededException"),
    **rows_for(OUR_CALL, "AuthorizationHeaderMalformed", "PermanentRedirect"),
}  # fmt: skip
