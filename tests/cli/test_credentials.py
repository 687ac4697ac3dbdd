"""Credentials are the first thing asked for, and whatever can be wrong with them has its words: crafted ~/.aws files."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import botocore.credentials
import botocore.utils
import pytest

from aws_spot_sandbox.state import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY
from bacalhau_spot.cloud import credentials
from support.cli_runner import CliResult, CliRunner
from support.misbehaving_servers import SILENT, bad_server, page
from support.planted_secrets import SESSION_TOKEN

KEYS = f"aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
SSO = """\
[profile work]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = admin
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = us-east-1
"""
ROLE = f"""\
[profile work]
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = base
[profile base]
{KEYS}
"""

# Asked at once, and each but once: the answer of one is not needed for the others.
ABOUT_THE_ACCOUNT = {"sts:GetCallerIdentity", "ec2:DescribeRegions", "iam:ListAccountAliases"}


class User:
    """Somebody with a home of their own and no keys in the environment."""

    def __init__(self, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program = program
        self._monkeypatch = monkeypatch
        self.home = program.folder / "home"
        self.home.mkdir()
        self.set(HOME=str(self.home), AWS_CONFIG_FILE=str(self.home / "config"))
        self.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
            self.program.environ[name] = value

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(name, raising=False)

    def aws(self, text: str) -> None:
        (self.home / "config").write_text(text)

    def list(self, *options: str) -> CliResult:
        return self.program("list", "--region", "us-east-1", *options)


@pytest.fixture
def user(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> User:
    return User(program, monkeypatch)


def refused(result: CliResult, *words: str, code: int = 4) -> None:
    """The exit code, nothing on stdout, an error with a hint and its place in the documentation, and these words."""
    assert result.code == code, result.stdout + result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for part in ("error: ", "hint: ", "docs: bacalhau-spot explain ", *words):
        assert part in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID}, ["are incomplete", "explain half-credentials"]),
        ({}, ["no AWS credentials were found", "add --sandbox", "explain no-credentials"]),
        ({"AWS_PROFILE": "wrok"}, ["no AWS profile of that name", "(wrok)", "aws configure list-profiles"]),
        ({"AWS_DEFAULT_PROFILE": "wrok"}, ["no AWS profile of that name", "(wrok)"]),
        ({"AWS_DEFAULT_REGION": "us east 1"}, ["does not exist", "us east 1", "explain home-region"]),
        ({"AWS_METADATA_SERVICE_TIMEOUT": "soon"}, ["cannot be used", "'soon'", "explain aws-config"]),
        ({"AWS_ENDPOINT_URL": "nonsense"}, ["cannot be used", "nonsense", "explain aws-config"]),
    ],
)
def test_what_the_environment_says(user: User, variables: dict[str, str], words: list[str]) -> None:
    """Each with its name, as the user wrote it."""
    if "AWS_DEFAULT_REGION" in variables or "AWS_ENDPOINT_URL" in variables:
        user.aws(f"[default]\n{KEYS}")
    user.set(**variables)
    refused(user.list(), *words)


def test_a_profile_of_the_command_line(user: User) -> None:
    """As one of the environment, and in JSON too."""
    refused(user.list("--profile", "wrok"), "no AWS profile of that name", "(wrok)")
    (error,) = user.list("--profile=wrok", "-o", "json").envelope["errors"]
    assert error["code"] == "ProfileNotFound"


PRINT = f"credential_process = {sys.executable} -c \"print('{{}}')\""
FAIL = f"credential_process = {sys.executable} -c \"import sys; sys.exit('vault is locked, password: hunter22hunter')\""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[profile work\nregion = x\n", ["cannot be used", "config", "explain aws-config"]),
        (
            "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/a\nsource_profile = gone\n",
            ['source_profile "gone"', "explain aws-config"],
        ),
        ("[profile work]\nrole_arn = arn:aws:iam::123456789012:role/a\n", ["explain half-credentials"]),
        (f"[profile work]\n{FAIL}\n", ["credential_process returned no credentials", "vault is locked"]),
        (f"[profile work]\n{PRINT.format('what?')}\n", ["is not JSON", "explain credential-process"]),
        (
            "[profile work]\ncredential_process = /no/such/program\n",
            ["/no/such/program", "explain credential-file"],
        ),
        (
            "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/a\nweb_identity_token_file = /no/token\n",
            ["/no/token", "explain credential-file"],
        ),
        (ROLE.replace("source_profile", "mfa_serial = arn:aws:iam::1:mfa/ann\nsource_profile"), ["MFA code"]),
        (SSO, ["not signed in to AWS", "`aws sso login --profile work`", "explain sso"]),
        ("[profile work]\nlogin_session = arn:aws:sts::1:x\n", ["explain aws-login"]),
    ],
)
def test_what_a_profile_says(user: User, config: str, words: list[str]) -> None:
    """Each kind of profile fails in its own way; the hint names the profile, and no secret is told."""
    user.aws(config)
    user.set(AWS_PROFILE="work")
    result = user.list()
    refused(result, *words)
    assert "hunter22hunter" not in result.stderr


def test_a_program_that_does_not_end(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be waiting for an answer that nobody sees the question of."""
    monkeypatch.setattr(credentials, "PROCESS_S", 0.2)
    user.aws(f'[profile work]\ncredential_process = {sys.executable} -c "import time; time.sleep(600)"\n')
    refused(user.list("--profile", "work"), "did not end", "explain slow-credential-process")


def test_an_sso_session_that_has_ended(user: User) -> None:
    """The token is on disk and too old; refreshing it is not possible."""
    user.aws(SSO)
    cache = user.home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    name = botocore.utils.hashlib.sha1(b"corp").hexdigest()
    token = {"accessToken": "sso-token-sso-token", "expiresAt": "2026-01-01T00:00:00Z", "startUrl": "x"}
    (cache / f"{name}.json").write_text(json.dumps(token))
    result = user.list("--profile", "work")
    refused(result, "`aws sso login --profile work`")
    assert "sso-token-sso-token" not in result.stderr


def test_the_checkup_names_the_profile_too(user: User) -> None:
    """To be followed as it stands, like any other hint; what waits for the credentials is told in one line."""
    user.aws(SSO)
    (user.program.folder / "config.yaml").write_text("regions: [us-east-1]\n")
    user.program.environ["PATH"] = ""  # no pip that would ask for a newer version
    result = user.program("doctor", "--profile", "work")
    assert result.code == 4
    assert "fix: run `aws sso login --profile work`, then" in result.stdout
    assert result.stdout.count("needs the credentials first") == 1
    assert "WARN  8 checks        not checked" in result.stdout


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (
            "User: arn:aws:iam::1:user/ann is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/a",
            "AccessDenied",
            ["not allowed to assume the role", "AssumeRole: AccessDenied", "explain assume-role"],
        ),
        ("The security token included in the request is expired", "ExpiredToken", ["have expired", "--profile work"]),
        ("STS is not activated in this region", "RegionDisabledException", ["explain sts-region"]),
    ],
)  # fmt: skip
def test_a_role_that_is_refused(sandbox: Any, user: User, message: str, code: str, words: list[str]) -> None:
    """The call that was refused is the one that is named."""
    sandbox.world.settings.faults = [{"match": "AssumeRole", "code": code, "message": message, "status": 403}]
    user.aws(ROLE)
    refused(user.list("--profile", "work"), *words, code=2 if code.startswith("Region") else 4)


def test_a_container_that_gives_no_credentials(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its service hangs, or has none: some seconds, and words."""
    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
    for answer in (SILENT, page("500 Internal Server Error"), page("200 OK", "{}", "application/json")):
        with bad_server(answer) as address:
            user.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{address}/")
            refused(user.list(), "hint: ")


def test_instance_metadata_that_hangs(user: User) -> None:
    """The AWS library's own end is a second; it then has nobody to ask."""
    with bad_server(SILENT) as address:
        user.set(
            AWS_EC2_METADATA_DISABLED="false",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://{address}/",
            AWS_METADATA_SERVICE_TIMEOUT="1",
        )
        refused(user.list(), "no AWS credentials were found")


def test_keys_and_a_profile_at_once(user: User) -> None:
    """Which one is used is told before anything is done: botocore's rules are not everybody's."""
    user.aws(f"[profile work]\n{KEYS}")
    user.set(AWS_PROFILE="work")
    assert "note:" not in user.list().stderr
    user.set(AWS_ACCESS_KEY_ID=ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY="wrong-secret-wrong-secret")
    result = user.list()
    refused(result, "AWS_PROFILE=work gives only the other settings", "explain wrong-secret")
    chosen = user.list("--profile", "work")
    assert chosen.code == 0
    assert "AWS_ACCESS_KEY_ID in the environment is not" in chosen.stderr


def test_no_region_is_no_problem(user: User) -> None:
    """The cluster's regions are in its configuration; where to ask who we are is the same everywhere."""
    user.unset("AWS_DEFAULT_REGION")
    user.aws(f"[default]\n{KEYS}")
    assert user.list().code == 0


@pytest.mark.parametrize(
    "command",
    [["create", "--yes"], ["create", "--dry-run"], ["destroy", "--yes"], ["nuke", "--force"], ["nuke", "--dry-run"]],
)  # fmt: skip
def test_credentials_come_first(sandbox: Any, user: User, command: list[str]) -> None:
    """Before anything of the cluster is looked at or changed, in every command that needs them."""
    user.aws(f"[default]\n{KEYS.replace(ACCESS_KEY_ID, 'AKIAWRONG')}")
    refused(user.program(*command), "AWS does not accept these credentials")
    asked = {action for _, action, _ in sandbox.world.calls}
    assert {"sts:GetCallerIdentity"} <= asked <= ABOUT_THE_ACCOUNT


def admin_role(sandbox: Any) -> None:
    """Which the account's identities may assume, and which may do everything."""
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]}
    policy = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam, version = sandbox.client("iam"), {"Version": "2012-10-17"}
    iam.create_role(RoleName="admin", AssumeRolePolicyDocument=json.dumps(version | trust))
    iam.put_role_policy(RoleName="admin", PolicyName="all", PolicyDocument=json.dumps(version | policy))


def test_an_mfa_code_is_asked_for_on_a_terminal(
    sandbox: Any, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; the session is kept where the AWS CLI keeps its own."""
    requests: list[str] = []

    def ask(_: str, *, stream: TextIO) -> str:
        requests.append(stream.getvalue().splitlines()[-1])  # type: ignore[attr-defined]  # a StringIO
        return "123456"

    monkeypatch.setattr("bacalhau_spot.ui.prompts.getpass", ask)
    admin_role(sandbox)
    role = ROLE.replace("123456789012", ACCOUNT_ID)
    user.aws(role.replace("source_profile", "mfa_serial = arn:aws:iam::1:mfa/ann\nsource_profile"))
    # The session expires by the sandbox's clock, and botocore looks at this machine's.
    sandbox.clock.advance(max(0.0, time.time() - sandbox.clock.now()))
    for _ in range(2):
        result = user.program("list", "--profile", "work", answers="")
        assert result.code == 0, result.stderr
    assert requests == ["Enter MFA code for arn:aws:iam::1:mfa/ann: "]
    assert list((Path(user.home) / ".aws" / "cli" / "cache").glob("*.json"))


def test_a_refused_mfa_code_is_asked_for_once(
    sandbox: Any, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls that a command begins together need the same credentials: each would ask for a code of its own."""
    requests: list[str] = []

    def ask(prompt: str, *, stream: TextIO) -> str:
        requests.append(prompt)
        return "123456"

    monkeypatch.setattr("bacalhau_spot.ui.prompts.getpass", ask)
    message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    sandbox.settings.faults = [
        {"match": "AssumeRole", "code": "AccessDenied", "message": message, "status": 403}
    ]
    user.aws(ROLE.replace("source_profile", "mfa_serial = arn:aws:iam::1:mfa/ann\nsource_profile"))
    result = user.program("list", "--profile", "work", answers="")
    assert (result.code, "AWS does not accept the MFA code" in result.stderr) == (4, True)
    assert len(requests) == 1
    assert {action for _, action, _ in sandbox.world.calls} == {"sts:AssumeRole"}


SIGN_IN = "arn:aws:iam::123456789012:user/me"


def login(user: User, *, token: bool) -> None:
    """What `aws login` leaves behind: a profile, and a token with keys that are good for a while."""
    user.aws(f"[profile work]\nlogin_session = {SIGN_IN}\nregion = us-east-1\n")
    user.set(AWS_PROFILE="work", AWS_LOGIN_CACHE_DIRECTORY=str(user.home))
    keys = {
        "accessKeyId": ACCESS_KEY_ID,
        "secretAccessKey": SECRET_ACCESS_KEY,
        "sessionToken": SESSION_TOKEN,
        "accountId": "123456789012",
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    cached_token = {"accessToken": keys, "clientId": "c", "refreshToken": "r", "dpopKey": "k"}
    if token:
        name = botocore.utils.generate_login_cache_key(SIGN_IN)
        (user.home / f"{name}.json").write_text(json.dumps(cached_token))


def test_a_profile_of_aws_login(user: User) -> None:
    """Complaint 11 (nextstrain/cli#533): with the extra `login` it is a profile like any other."""
    login(user, token=True)
    result = user.list()
    assert result.code == 0, result.stderr
    for file in user.home.glob("*.json"):
        file.unlink()  # it holds the keys, and is AWS's own


def test_a_profile_of_aws_login_that_is_not_signed_in(user: User) -> None:
    """Complaint 11: the command that signs in."""
    login(user, token=False)
    refused(user.list(), "aws login")


def test_a_profile_of_aws_login_without_the_extra(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 11: the error says what to type, for both ways to run the program."""
    monkeypatch.setattr(botocore.credentials, "EC", None)
    login(user, token=False)
    refused(
        user.list(),
        "needs a library",
        "`uv tool install '.[login]'`",
        "`uv run --with 'botocore[crt]' -s deploy_spot.py list --profile work`",
    )
