"""Who is asking: credentials that are missing, wrong, expired or not given out, and what an identity may not do.

Sources: EC2, STS, IAM Identity Center and S3 API references, "Common errors"; IAM user guide, "Troubleshoot access denied error
messages"; botocore.exceptions for what never reaches AWS.
"""

from __future__ import annotations

from bacalhau_spot.core.error_catalog.categories import Category, ErrorInfo, Recovery, rows_for

# Where one's own access keys are made.
_KEYS = "https://console.aws.amazon.com/iam/home#/security_credentials"


def _nobody(name: str, sentence: str, hint: str) -> ErrorInfo:
    """Without credentials nothing else can succeed either."""
    return ErrorInfo(name, Category.CREDENTIALS, Recovery.STOP, sentence, hint)


def _forbidden(name: str, sentence: str, hint: str, *, action: Recovery = Recovery.STOP_REGION) -> ErrorInfo:
    """One region only, as a rule: service control policies forbid single regions."""
    return ErrorInfo(name, Category.PERMISSION, action, sentence, hint)


_RENEW = _nobody(
    "expired-credentials",
    "your AWS credentials have expired",
    "get new ones from the same source (with single sign-on: `aws sso login{profile}`; keys copied from AWS's sign-in page: "
    "copy all three again), then run the same command again; if new ones are refused, too, compare `date -u` with the real time",
)
_WRONG_KEY = _nobody(
    "unknown-key",
    "AWS does not accept these credentials",
    "`aws configure list{profile}` shows which ones are in use and where they are from (`env`: AWS_ACCESS_KEY_ID, which `unset` "
    f"removes); enter others with `aws configure{{profile}}` (create a new key at {_KEYS}), or name another profile with "
    "--profile",
)
_WRONG_SECRET = _nobody(
    "wrong-secret",
    "the secret access key is not the one that belongs to the access key id",
    "enter both again with `aws configure{profile}` (AWS shows a secret only once; if it is lost, make a new key at "
    f"{_KEYS}); if they are right, compare `date -u` with the real time",
)
CLOCK = _nobody(
    "clock",
    "this machine's clock is wrong: AWS rejects signatures with a different time",
    "compare `date -u` with the real time and set the clock (Linux: `sudo timedatectl set-ntp true`, macOS: "
    "`sudo sntp -sS time.apple.com`), then run the same command again",
)
_BLOCKED = _nobody(
    "account-blocked",
    "AWS has closed or blocked this account, or it has never been activated",
    "the owner of the account has to sign in at https://console.aws.amazon.com/support and ask AWS why",
)
_NO_KEY = _nobody(
    "no-credentials",
    "no AWS credentials were found",
    f"create an access key at {_KEYS} and enter it with `aws configure{{profile}}`, or set up single sign-on with "
    "`aws configure sso{profile}`, or name a profile that has some with --profile; to try without an account, add --sandbox",
)
_HALF_KEY = _nobody(
    "half-credentials",
    "the AWS credentials are incomplete",
    "if AWS's message above names env: set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `unset AWS_ACCESS_KEY_ID "
    "AWS_SECRET_ACCESS_KEY`; if it names a file: `aws configure{profile}` asks for both; if it names a role: the "
    "profile needs source_profile in addition to role_arn",
)
_NO_PROFILE = _nobody(
    "no-such-profile",
    "there is no AWS profile of that name",
    "`aws configure list-profiles` lists them; correct --profile or AWS_PROFILE",
)
_SIGN_IN = _nobody(
    "sso",
    "you are not signed in to AWS, or no longer",
    "run `aws sso login{profile}`, then the same command again",
)
_LOG_IN = _nobody(
    "aws-login",
    "your AWS sign-in has ended, or cannot be used",
    "run `aws login{profile}`, then the same command again",
)
_LOG_IN_DENIED = _nobody(
    "aws-login-denied",
    "your AWS identity may not be used from the command line through `aws login`",
    "ask your administrator to attach AWS's own policy SignInLocalDevelopmentAccess to your user or role; "
    "or use another profile with --profile",
)
_NO_LIBRARY = _nobody(
    "missing-library",
    "this AWS profile needs a library that is not installed",
    "profiles of `aws login` need the extra `login`: install it with `uv tool install '.[login]'` in this program's folder, or "
    "run `uv run --with 'botocore[crt]' -s deploy_spot.py list{profile}`, likewise for other commands; or use another profile "
    "with --profile",
)
SOURCE = _nobody(
    "credential-source",
    "the source of your AWS profile's credentials returned none",
    "`aws sts get-caller-identity{profile}` asks the same place; when that works, run the same command again",
)
METADATA = _nobody(
    "metadata",
    "this machine or container returned no credentials",
    "give it an IAM role, which is an identity for machines (of an EC2 instance: EC2 console, Actions, Security, Modify IAM "
    "role), or name a profile that has keys with --profile",
)
PROCESS = _nobody(
    "credential-process",
    "the program that your AWS profile names as its credential_process returned no credentials",
    "run the program by itself (`aws configure get credential_process{profile}` shows it); "
    "it has to print the JSON that AWS describes",
)
_SLOW_PROCESS = _nobody(
    "slow-credential-process",
    "the program that your AWS profile names as its credential_process did not end",
    "run the program by itself (`aws configure get credential_process{profile}` shows it); it may be waiting for an answer",
)
_FILE = _nobody(
    "credential-file",
    "a file or program in your AWS settings does not exist or cannot be read",
    "correct the path named above in ~/.aws/config or in AWS_WEB_IDENTITY_TOKEN_FILE",
)
_WEB_IDENTITY = _nobody(
    "web-identity",
    "AWS does not accept the web identity token for the role",
    "get a new token (your CI system or cluster gives it out) into the file that AWS_WEB_IDENTITY_TOKEN_FILE names; if new ones "
    "are refused, too, have an administrator name their issuer in the trust policy of the role (IAM console, Roles)",
)
_MFA = _nobody(
    "mfa",
    "your AWS profile asks for an MFA code, and there is no terminal to ask on",
    "run `aws sts get-caller-identity{profile}` on a terminal; the session that it opens is used here too",
)
_MFA_AGAIN = _nobody(
    "mfa-again",
    "the AWS session that your MFA code opened has ended",
    "run the same command again and enter a new code",
)
_BAD_FILE = _nobody(
    "aws-config",
    "the AWS configuration of this machine cannot be used",
    "correct the setting named above in ~/.aws/config, ~/.aws/credentials or the AWS_… variables; "
    "`aws configure list` reads the same",
)
_HOME = _nobody(
    "home-region",
    "the region that your AWS settings name does not exist",
    "`export AWS_DEFAULT_REGION=us-east-1` (China: cn-north-1, GovCloud: us-gov-west-1), "
    "or correct `region` with `aws configure{profile}`",
)
_NO_REGION = _nobody(
    "no-region",
    "your AWS settings name no region, and this profile cannot be used without one",
    "`export AWS_DEFAULT_REGION=us-east-1` (China: cn-north-1, GovCloud: us-gov-west-1), "
    "or set `region` with `aws configure{profile}`",
)

NOT_ALLOWED = _forbidden(
    "not-allowed",
    "your AWS identity is not allowed to do this in {region}",
    "ask your administrator to allow {action} (`bacalhau-spot iam-policy` prints the policy with all that is needed, for them to "
    "attach), or use another profile with --profile",
)
_NOT_YOURS = _forbidden(
    "not-yours",
    "it belongs to another account, or to a service of AWS",
    "delete it in the AWS service that created it, named above",
)
_NOT_PERMITTED = _forbidden(
    "not-permitted",
    "AWS does not allow this: the resource is protected, or an AWS service manages it",
    "`bacalhau-spot destroy --disable-protection` lifts protection against deletion; delete a resource that an AWS service "
    "created in that service",
)
_SSO_ROLE = _forbidden(
    "sso-role",
    "your SSO user does not have the role of this AWS profile",
    "`aws configure sso{profile}` lists the accounts and roles that you have: choose one of them; "
    "or ask your administrator to assign the role to you",
    action=Recovery.STOP,
)
_TOKEN_REGION = _forbidden(
    "token-not-valid-in-region",
    "AWS accepts these credentials elsewhere, but not in {region}",
    "if {regions} was enabled today, wait: that takes minutes to hours; if these are temporary credentials, "
    "`export AWS_STS_REGIONAL_ENDPOINTS=regional` and sign in again, because tokens of the global STS endpoint are valid in "
    "the default regions only; or have an administrator run "
    "`aws iam set-security-token-service-preferences --global-endpoint-token-version v2Token`",
)
_SERVICE_ROLE = _forbidden(
    "spot-role",
    "the account has never used spot instances, and you may not create the service-linked role that they need",
    "have an administrator run once: `aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`; "
    "then run the same command again",
    action=Recovery.STOP,
)
_SCALING_ROLE = _forbidden(
    "auto-scaling-role",
    "AWS's own role for Auto Scaling is missing or cannot be used",
    "have an administrator run once: `aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com`; "
    "then run the same command again",
)
_TAG_POLICY = _forbidden(
    "tag-policy",
    "your organization has rules for tags (a tag policy), and does not allow these",
    "ask the administrator of the AWS organization for the rules, and set the tags under `cluster.tags` in the configuration",
)

ROWS = {
    **rows_for(_RENEW, "RequestExpired", "ExpiredToken", "TokenRefreshRequired"),
    **rows_for(_WRONG_KEY, "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
    **rows_for(_WRONG_KEY, "MissingAuthenticationToken", "InvalidToken", "IncompleteSignature", "InvalidSecurity"),
    **rows_for(_WRONG_SECRET, "SignatureDoesNotMatch", "InvalidSignatureException"),
    **rows_for(CLOCK, "RequestTimeTooSkewed", "InvalidSecurity.RequestHasExpired"),
    **rows_for(_BLOCKED, "Blocked", "AccountProblem", "AllAccessDisabled", "NotSignedUp"),
    **rows_for(_SIGN_IN, "UnauthorizedException"),
    **rows_for(_WEB_IDENTITY, "InvalidIdentityToken", "IDPRejectedClaim"),
    # What never reaches AWS: the codes of cloud.exception_codes
    **rows_for(_NO_KEY, "NoCredentialsError"),
    **rows_for(_HALF_KEY, "PartialCredentialsError"),
    **rows_for(_NO_PROFILE, "ProfileNotFound"),
    **rows_for(_SIGN_IN, "SSOError"),
    **rows_for(_LOG_IN, "LoginError"),
    **rows_for(_LOG_IN_DENIED, "LoginInsufficientPermissions"),
    **rows_for(_NO_LIBRARY, "MissingDependencyException"),
    **rows_for(SOURCE, "CredentialRetrievalError"),
    **rows_for(METADATA, "MetadataRetrievalError"),
    **rows_for(_SLOW_PROCESS, "CredentialProcessTimeout"),
    **rows_for(PROCESS, "CredentialProcessOutput"),
    **rows_for(_FILE, "CredentialFileError"),
    **rows_for(_MFA, "MfaRequired"),
    **rows_for(_MFA_AGAIN, "RefreshWithMFAUnsupportedError"),
    **rows_for(_BAD_FILE, "InvalidSetting"),
    **rows_for(_HOME, "UnknownRegionError"),
    **rows_for(_NO_REGION, "NoRegionError"),
    # What the identity may not do
    **rows_for(NOT_ALLOWED, "UnauthorizedOperation", "AccessDenied", "NotAuthorized", "AuthorizationError"),
    **rows_for(NOT_ALLOWED, "MethodNotAllowed"),
    **rows_for(_TOKEN_REGION, "AuthFailure.Region", "InvalidClientTokenId.Region", "InvalidToken.Region"),
    **rows_for(_TOKEN_REGION, "UnrecognizedClientException.Region"),
    **rows_for(_NOT_YOURS, "AuthFailure.NotYours"),
    **rows_for(_NOT_PERMITTED, "OperationNotPermitted", "UnmodifiableEntity", "ManagedRuleException"),
    **rows_for(_NOT_PERMITTED, "InvalidOperationException"),
    **rows_for(_SSO_ROLE, "ForbiddenException"),
    **rows_for(_SERVICE_ROLE, "AuthFailure.ServiceLinkedRoleCreationNotPermitted"),
    **rows_for(_SCALING_ROLE, "ServiceLinkedRoleFailure"),
    **rows_for(_TAG_POLICY, "TagPolicy", "TagPolicyViolation"),
}  # fmt: skip
