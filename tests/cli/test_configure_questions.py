"""The questions of `configure`: their order, the check of each answer, and the plan at the end."""

from __future__ import annotations

import base64
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

from bacalhau_spot import config
from bacalhau_spot.cli.runtime import plan_preview
from bacalhau_spot.cli.runtime.configuration_questions import _unknown_size
from bacalhau_spot.core.model import CALLER, ClusterSpec, OrchestratorMode, OrchestratorSpec
from support import shared_clients
from support.cli_runner import CliResult, CliRunner
from support.seat import Seat

RAW = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + bytes(32)
PUBLIC_KEY = f"ssh-ed25519 {base64.b64encode(RAW).decode()} me@here\n"
PROMPTS = (
    "Orchestrator: managed, own, cluster or none [managed]:",
    "Number of nodes [12]:",
    "Regions: names, or auto and a number, such as auto 2 for the two cheapest [auto 3]:",
    "Instance types: names, or requirements for vCPUs and memory [t3.medium, t3a.medium, c6a.large, m6a.large]:",
    "Public SSH key, or none (port 22 then stays closed) [none]:",
    "Maximum cost of the cluster in US dollars an hour, or none [none]:",
    "Names and tags: press Enter for the usual ones, or type y to change them:",
)
NAMES = ("Key of the tag", "Cluster tag value", "Creator", "Prefix of all names", "Name of the VPCs")


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A user without a configuration, without a key and without credentials."""
    (tmp_path / ".git").mkdir()
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, shared_clients.NO_FILE)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    shared_clients.keep(monkeypatch)
    return CliRunner(folder=tmp_path)


@pytest.fixture
def customer(program: CliRunner) -> CliRunner:
    """A user with credentials and without a configuration."""
    (program.folder / "config.yaml").unlink()
    (program.folder / ".git").mkdir()
    return program


@pytest.fixture
def seated(newcomer: CliRunner) -> Iterator[CliRunner]:
    """The newcomer as the real program sees one, whose sandbox is stopped at the end."""
    newcomer.environ.update(HOME=str(newcomer.folder), XDG_STATE_HOME=str(newcomer.folder))
    yield newcomer
    newcomer("sandbox", "stop")


def answered(user: CliRunner, *answers: str) -> CliResult:
    return user("configure", answers="".join(f"{answer}\n" for answer in answers))


def spec_of(user: CliRunner, **environ: str) -> ClusterSpec:
    return config.load(user.folder / "config.yaml", environ=environ, home=user.folder).spec


def asked(result: CliResult, prompts: tuple[str, ...]) -> list[str]:
    """The prompts in the order in which they were shown."""
    shown = " ".join(result.stderr.split())
    return sorted((prompt for prompt in prompts if prompt in shown), key=shown.index)


def add_key(user: CliRunner, name: str, *, private: bool = True) -> None:
    folder = user.folder / ".ssh"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.pub").write_text(PUBLIC_KEY)
    if private:
        (folder / name).write_text("a private key")


def test_seven_times_enter_is_the_usual_cluster(newcomer: CliRunner) -> None:
    """In this order; the five names are not asked for."""
    result = answered(newcomer, *[""] * 7)
    assert result.code == 0, result.stderr
    assert asked(result, PROMPTS) == list(PROMPTS)
    assert asked(result, NAMES) == []
    spec, usual = spec_of(newcomer), config.defaults()
    assert spec.orchestrator == OrchestratorSpec(OrchestratorMode.MANAGED)
    assert (spec.nodes, spec.auto_regions, spec.instance_types) == (12, 3, usual.instance_types)
    assert (spec.public_key, spec.ssh_cidrs, spec.budget_usd_per_hour) == (None, (), None)
    assert spec.naming == usual.naming


def test_every_answer_reaches_the_file(newcomer: CliRunner) -> None:
    add_key(newcomer, "id_ed25519")
    result = answered(
        newcomer, "managed", "4", "us-east-1, eu-west-1", "t3.large m6a.large", "", "0.25", "yes",
        "", "blue", "me", "b-", "v",
    )  # fmt: skip
    assert result.code == 0, result.stderr
    assert asked(result, NAMES) == list(NAMES)
    spec = spec_of(newcomer)
    assert (spec.nodes, [region.name for region in spec.regions]) == (4, ["us-east-1", "eu-west-1"])
    assert spec.instance_types == ("t3.large", "m6a.large")
    assert spec.public_key == PUBLIC_KEY.strip()
    assert spec.private_ssh_key_path == str(newcomer.folder / ".ssh/id_ed25519")
    assert spec.ssh_cidrs == (CALLER,)
    assert spec.budget_usd_per_hour == Decimal("0.25")
    naming = spec.naming
    assert (naming.tag_key, naming.tag_value, naming.creator) == ("bacalhau-cluster", "blue", "me")
    assert (naming.resource_prefix, naming.vpc_name) == ("b-", "v")


@pytest.mark.parametrize(
    ("answers", "addresses", "token"),
    [
        (("own", "nats://o:4222", "none"), ("nats://o:4222",), None),
        (("own", "nats://o:4222 tls://p:4222", "token"), ("nats://o:4222", "tls://p:4222"), "from-a-file"),
        (("own", "[o:4222, p:4222]", "$TOKEN"), ("nats://o:4222", "nats://p:4222"), "from-the-environment"),
    ],
)
def test_an_orchestrator_of_ones_own(
    newcomer: CliRunner, answers: tuple[str, ...], addresses: tuple[str, ...], token: str | None
) -> None:
    (newcomer.folder / "token").write_text("from-a-file\n")
    newcomer.environ["TOKEN"] = "from-the-environment"
    assert answered(newcomer, *answers, *[""] * 7).code == 0
    spec = spec_of(newcomer, TOKEN="from-the-environment")
    assert (spec.orchestrator.mode, spec.bacalhau.orchestrators) == (OrchestratorMode.OWN, addresses)
    assert (spec.bacalhau.token and spec.bacalhau.token.reveal()) == token
    assert "\norchestrator: own\n" in (newcomer.folder / "config.yaml").read_text()


def test_the_api_of_ones_own_orchestrator(newcomer: CliRunner) -> None:
    """`status` reads the nodes from it."""
    newcomer.environ["KEY"] = "an-api-key"
    answers = ("own", "nats://o:4222", "none", "https://o:1234", "$KEY", *[""] * 6)
    assert answered(newcomer, *answers).code == 0
    bacalhau = spec_of(newcomer, KEY="an-api-key").bacalhau
    assert (bacalhau.api_host, bacalhau.api_key and bacalhau.api_key.reveal()) == (
        "https://o:1234",
        "an-api-key",
    )


def test_every_instance_type_of_aws_has_a_known_size() -> None:
    types = botocore.loaders.Loader().load_service_model("ec2", "service-2")["shapes"]["InstanceType"]["enum"]
    assert len(types) > 500
    assert _unknown_size({"instance_types": types}) is None


def test_another_clusters_orchestrator_and_none(newcomer: CliRunner) -> None:
    """The name of the cluster itself is refused at both questions that may lead there."""
    result = answered(
        newcomer, "cluster", "bacalhau-aws-spot", "blue", *[""] * 5, "y", "", "blue", "green", "", "", ""
    )
    assert result.code == 0, result.stderr
    assert result.stderr.count("is this cluster itself") == 2
    spec = spec_of(newcomer)
    assert spec.orchestrator == OrchestratorSpec(OrchestratorMode.SHARED, cluster="blue")
    assert spec.naming.tag_value == "green"
    (newcomer.folder / "config.yaml").unlink()
    assert answered(newcomer, "none", *[""] * 6).code == 0
    assert spec_of(newcomer).orchestrator.mode is OrchestratorMode.NONE


@pytest.mark.parametrize(
    ("answers", "count"),
    [(("",), 3), (("auto 2",), 2), (("auto", ""), 3), (("auto", "many", "5"), 5), (("auto 0", "auto 1"), 1)],
)
def test_regions_by_number(newcomer: CliRunner, answers: tuple[str, ...], count: int) -> None:
    assert answered(newcomer, "", "", *answers, *[""] * 4).code == 0
    assert spec_of(newcomer).auto_regions == count


def test_types_by_size(newcomer: CliRunner) -> None:
    result = answered(newcomer, "", "", "", "requirements", "4..2", "2..4", "x", '"8.."', "", "", "")
    assert result.code == 0, result.stderr
    assert "4..2 ends before it begins" in result.stderr
    needs = spec_of(newcomer).requirements
    assert needs is not None
    assert (needs.vcpus_min, needs.vcpus_max) == (2, 4)
    assert (needs.memory_gib_min, needs.memory_gib_max) == (Decimal(8), None)


@pytest.mark.parametrize(
    ("before", "wrong", "problem"),
    [
        ((), "manged", 'found "manged"; must be managed, own, none'),
        ((), "nats://o:4222", "takes no address; write it in `bacalhau.orchestrators`, and `own` here"),
        (("own",), "<address>", "is still the example's placeholder"),
        (("own",), "", "is needed; Ctrl-C cancels"),
        (("own",), "not a host!", 'found "not a host!"; must be an address'),
        (("own", "o:1", ""), "https://", "must be a host"),
        (("own", "o:1", "", "https://o"), "$NO_SUCH", "the environment variable NO_SUCH is not set"),
        (("own", "o:1"), "no-such-file", "there is no file "),
        (("own", "o:1"), "$NO_SUCH", "the environment variable NO_SUCH is not set"),
        (("",), "ten", 'found "ten"; must be a whole number from 0 to 10000'),
        (("",), "0", "found 0; a new cluster has at least 1 node"),
        (("", ""), "us-esat-1", 'found "us-esat-1", which is not a known region; did you mean us-east-1?'),
        (("", "", ""), "t3.mediun", 'no instance type has the size "mediun"; did you mean t3.medium?'),
        (("", ""), "us-east-1a", '"us-east-1a" is an availability zone; name its region, us-east-1'),
        (("", "", ""), "big", 'found "big"; must be an instance type such as t3.medium'),
        (("", "", "", ""), "~/key", "there is no file "),
        (("", "", "", "", ""), "free", 'found "free"; must be a price in US dollars an hour'),
        (("", "", "", "", "", ""), "change", "y, or Enter"),
        (("", "", "", "", "", "", "y"), "aws:bad", "reserved for AWS"),
    ],
)
def test_an_invalid_answer_is_asked_for_again(
    newcomer: CliRunner, before: tuple[str, ...], wrong: str, problem: str
) -> None:
    """In the words of the configuration's own errors; the file is as if it had not been given."""
    rest = ("o:1", *[""] * 12) if before == ("own",) else [""] * 12
    result = answered(newcomer, *before, wrong, *rest)
    assert result.code == 0
    assert problem in " ".join(result.stderr.split())
    text = (newcomer.folder / "config.yaml").read_text()
    assert answered_again(newcomer, *before, *rest).code == 0
    assert (newcomer.folder / "config.yaml").read_text() == text


def test_keys_are_found_and_offered(newcomer: CliRunner) -> None:
    """The most recent algorithm first; what is no public key is not offered."""
    for name in ("work", "id_rsa", "id_ecdsa"):
        add_key(newcomer, name, private=name == "id_ecdsa")
    (newcomer.folder / ".ssh/notes.pub").write_text("not a key")
    result = answered(newcomer, *[""] * 7)
    assert "Public SSH keys here: ~/.ssh/id_ecdsa.pub, ~/.ssh/id_rsa.pub, ~/.ssh/work.pub" in result.stderr
    spec = spec_of(newcomer)
    assert spec.private_ssh_key_path == str(newcomer.folder / ".ssh/id_ecdsa")
    assert answered_again(newcomer, "", "", "", "", "~/.ssh/work.pub", "", "").code == 0
    spec = spec_of(newcomer)
    assert (spec.public_key, spec.private_ssh_key_path) == (PUBLIC_KEY.strip(), None)
    assert answered_again(newcomer, "", "", "", "", "none", "", "").code == 0
    spec = spec_of(newcomer)
    assert (spec.public_key, spec.ssh_cidrs) == (None, ())


def answered_again(user: CliRunner, *answers: str) -> CliResult:
    return user("configure", "--overwrite", answers="".join(f"{answer}\n" for answer in answers))


def test_it_names_the_files_when_it_has_written_them(newcomer: CliRunner) -> None:
    result = answered(newcomer, *[""] * 7)
    assert f"the answers will be saved in {newcomer.folder}/config.yaml" in " ".join(result.stderr.split())
    said = f"wrote {newcomer.folder}/config.yaml and, for editors, bacalhau-spot.schema.json"
    assert said in " ".join(result.stdout.split())
    assert (newcomer.folder / "bacalhau-spot.schema.json").is_file()


def test_input_that_ends_leaves_no_file(newcomer: CliRunner) -> None:
    """After any number of answers."""
    for count in range(7):
        result = answered(newcomer, *[""] * count)
        assert result.code == 3
        assert "nothing was changed" in result.stderr
        assert sorted(path.name for path in newcomer.folder.iterdir()) == [".git"]


def test_without_credentials_it_ends_with_the_next_commands(newcomer: CliRunner) -> None:
    result = answered(newcomer, *[""] * 7)
    assert result.code == 0
    assert "no plan yet: no AWS credentials were found" in result.stdout
    assert "`bacalhau-spot create --dry-run` shows the plan and its price" in result.stdout


def test_with_credentials_it_ends_with_the_price(sandbox: Any, customer: CliRunner) -> None:
    """The plan of `create --dry-run`; nothing is created."""
    result = answered(customer, "none", "4", "us-west-2, us-east-1", *[""] * 4)
    assert result.code == 0, result.stderr
    planned = customer("create", "--dry-run").stdout
    rows = [line for line in planned.splitlines() if line.startswith(("us-", "total"))]
    assert len(rows) == 3
    assert [line for line in result.stdout.splitlines() if line.startswith(("us-", "total"))] == rows
    assert "`bacalhau-spot create` launches this plan" in result.stdout
    assert sandbox.leftovers() == []


def test_a_plan_that_create_would_refuse(sandbox: Any, customer: CliRunner) -> None:
    """A reason is no failure of `configure`."""
    result = answered(customer, "none", "4", "us-west-2", "t9.large", "", "", "")
    assert result.code == 0
    assert "no plan yet: " in result.stdout
    result = answered_again(customer, "none", "4", "us-west-2", "", "", "0.001", "")
    assert result.code == 0
    assert "may exceed its budget" in result.stdout


def test_the_price_can_be_skipped(newcomer: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file exists by then."""

    async def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan_preview, "gather_facts", interrupted)
    result = answered(newcomer, *[""] * 7)
    assert result.code == 0
    assert "no plan yet: skipped" in result.stdout
    assert spec_of(newcomer).orchestrator.mode is OrchestratorMode.MANAGED


def test_no_price_without_questions(newcomer: CliRunner) -> None:
    """A script that sets keys makes no call to AWS."""
    for argv in (("--defaults",), ("--set", "nodes=3")):
        result = newcomer("configure", *argv, answers="")
        assert result.code == 0
        assert "asking AWS" not in result.stderr
        assert "create --dry-run" in result.stdout


def test_the_whole_walk_on_a_terminal(seated: CliRunner) -> None:
    """From the first question to the price, in a narrow window, with mistakes on the way; each answer after its prompt."""
    seated.environ["COLUMNS"] = "30"
    add_key(seated, "id_ed25519")
    seat = Seat(seated, "configure", "--sandbox")
    for prompt, *typed in (
        ("none [managed]:", "manged", "managed"),
        ("Number of nodes", "\x1b[A4", "4"),
        ("Regions", "us-east-1a", "us-east-1, us-west-2"),
        ("Instance types", "t3.medium t3a.medium"),
        ("Public SSH key", "no-such-key", ""),
        ("Maximum cost", "little", "2"),
        ("Names and tags", "maybe", "y"),
        ("Key of the tag", "aws:key", ""),
        ("Cluster tag value", "blue"),
        ("Creator", ""),
        ("Prefix of all names", "sg-", "b-"),
        ("Name of the VPCs", ""),
    ):
        for times, text in enumerate(typed, 1):
            seat.until(prompt, times=times)
            seat.type(f"{text}\n")
    assert seat.end() == 0, seat.shown
    spec = spec_of(seated)
    assert spec.orchestrator.mode is OrchestratorMode.MANAGED
    assert (spec.nodes, [region.name for region in spec.regions]) == (4, ["us-east-1", "us-west-2"])
    assert spec.instance_types == ("t3.medium", "t3a.medium")
    assert (spec.public_key, spec.budget_usd_per_hour) == (PUBLIC_KEY.strip(), Decimal(2))
    assert (spec.naming.tag_value, spec.naming.resource_prefix) == ("blue", "b-")
    shown = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", seat.shown).split())
    assert "launch the orchestrator and 4 instances: $" in shown
    assert "`bacalhau-spot create --sandbox` launches this plan" in shown


def test_the_same_without_questions(seated: CliRunner) -> None:
    """The keys of the page, set by a script, are the same configuration."""
    answers = ("managed", "4", "auto 2", "t3.medium t3a.medium", "none", "2", "y", "", "blue", "", "b-", "")
    assert answered(seated, *answers).code == 0
    asked_for = spec_of(seated)
    values = (
        *("orchestrator=managed", "nodes=4", "regions={auto: {count: 2}}", "ssh_cidrs=none"),
        *("instance_types=[t3.medium, t3a.medium]", "budget_usd_per_hour=2"),
        *("cluster.tag_value=blue", "cluster.resource_prefix=b-"),
    )
    options = [word for value in values for word in ("--set", value)]
    assert seated("configure", "--overwrite", *options).code == 0
    assert spec_of(seated) == asked_for


def test_answers_typed_ahead_count(seated: CliRunner) -> None:
    """Pasted as a block, before the first question is shown, into a narrow window."""
    seated.environ["COLUMNS"] = "30"
    seat = Seat(seated, "configure", "--sandbox")
    seat.type("none\n5\nus-west-2\n\n\n\n\n")
    seat.until("Names and tags")
    assert seat.end() == 0
    spec = spec_of(seated)
    assert (spec.orchestrator.mode, spec.nodes) == (OrchestratorMode.NONE, 5)
    assert [region.name for region in spec.regions] == ["us-west-2"]


def test_after_a_problem_the_rest_of_a_block_is_discarded(seated: CliRunner) -> None:
    """It was meant for the questions behind the invalid answer."""
    seat = Seat(seated, "configure", "--sandbox")
    seat.type("wrong\n5\n")
    seat.until("must be managed")
    seat.until("Orchestrator: managed, own, cluster or none", times=2)
    seat.type("none\n")
    seat.until("Number of nodes")
    seat.type("\n\n\n\n\n\n")
    assert seat.end() == 0
    assert spec_of(seated).nodes == 12


def test_the_end_of_input_leaves_no_file(seated: CliRunner) -> None:
    """Ctrl-D; also after bytes that are no text, where the locale is strict about them: a wrong answer like any other."""
    seated.environ["PYTHONIOENCODING"] = "utf-8:strict"
    seat = Seat(seated, "configure")
    seat.until("none [managed]:")
    seat.type("man\udcff\n")
    seat.until("none [managed]:", times=2)
    seat.type("\x04")
    assert seat.end() == 3
    assert "nothing was changed" in seat.shown
    assert "Traceback" not in seat.shown
    assert "internal error" not in seat.shown
    assert not (seated.folder / "config.yaml").exists()


def test_a_pipe_is_nobody(seated: CliRunner) -> None:
    """Answers through a pipe are none: the flags are named, and no file is written."""
    done = subprocess.run(
        [sys.executable, "-m", "bacalhau_spot", "configure"],
        cwd=seated.folder,
        env={**os.environ, **seated.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        input="\n" * 7,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "--defaults" in done.stderr
    assert not (seated.folder / "config.yaml").exists()


def test_an_interrupt_leaves_no_file(seated: CliRunner) -> None:
    seat = Seat(seated, "configure")
    seat.until("Orchestrator: managed")
    seat.type("\n\n")
    seat.until("[auto 3]:")
    seat.signal(signal.SIGINT)
    assert seat.end() == 3
    assert "nothing was changed" in seat.shown
    assert not (seated.folder / "config.yaml").exists()
