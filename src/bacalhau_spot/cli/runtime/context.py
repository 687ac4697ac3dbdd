"""One run of a command: its configuration, its connection to AWS, its output on the terminal."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot import config as configuration
from bacalhau_spot.cli.runtime import aws_profile, environment_variables, other_clusters
from bacalhau_spot.cli.runtime.account_line import AccountLine
from bacalhau_spot.cli.runtime.endpoint import endpoint_override_label
from bacalhau_spot.cli.runtime.environment_variables import unknown_variables
from bacalhau_spot.cli.runtime.redaction import secrets_of
from bacalhau_spot.cli.runtime.reporting import consoles, record
from bacalhau_spot.cli.runtime.runner import NullProgress, Runner, Screen
from bacalhau_spot.cli.state.cache import FileCache
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch.node_spec import drifted_nodes
from bacalhau_spot.core.model import BacalhauSpec, Naming, OrchestratorMode, OrchestratorSpec, Secret
from bacalhau_spot.core.partitions import COMMERCIAL, partition_of
from bacalhau_spot.core.tags import other_value_problem
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance.bacalhau_config import label_value
from bacalhau_spot.ui import prompts, terminal, views
from bacalhau_spot.ui.progress.look_line import LookLine
from bacalhau_spot.ui.table_columns import column_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from bacalhau_spot.cli.runtime.environment import Runtime
    from bacalhau_spot.cli.runtime.shared_options import CommonOptions
    from bacalhau_spot.cloud.connection import AwsConnection
    from bacalhau_spot.core.launch.node_spec import DriftedNode
    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.orchestrator.http import HttpOrchestrator
    from bacalhau_spot.orchestrator.port import Orchestrator

# Commands without a line about the account, and those with one that names no cluster.
_WITHOUT_ACCOUNT = frozenset({"reconcile", "doctor"})
_WITHOUT_CLUSTER = frozenset({"nuke", "clusters", "offers", "image bake", "image list", "image delete"})
# The time limit of one AWS call with its retries, for read-only commands.
_LOOK_S = 30


class CommandContext:
    """Shared by all commands. Raises UserError for every problem that the user can solve."""

    def __init__(self, command: str, common: CommonOptions, runtime: Runtime) -> None:
        self.command = command
        self.common = common
        self.runtime = runtime
        _, self.err = consoles(runtime)
        self._loaded: configuration.Loaded | None = None
        self._variables_told = False
        self._held: list[RenderableType] = []  # with --quiet
        self._access: AwsConnection | None = None
        _check_columns(command, common)
        self._line = self._look_line()
        self.call_listener: Callable[[str], None] | None = None  # of every AWS call; set before the first
        self._account_line = self._display_of_account()
        self._warned_of_clear_login = False
        self.local_api: str | None = None  # the managed orchestrator's API, on its own machine

        # Output

    @property
    def for_people(self) -> bool:
        return self.common.output not in {"json", "yaml", "ndjson"}

    @property
    def asks(self) -> bool:
        """Whether somebody is there to be asked."""
        return self.runtime.interactive and self.for_people

    @property
    def quiet(self) -> bool:
        return self.common.quiet

    def print_status(self, shown: RenderableType) -> None:
        if not self.for_people:
            return
        if self.quiet:
            self._held.append(shown)
            return
        wide = self.common.output == terminal.WIDE
        self.err.print(terminal.UnwrappedOutput(shown) if wide else shown, crop=False)

    def before_question(self) -> None:
        """With --quiet, print what the question is about: it was held back."""
        held, self._held = self._held, []
        for shown in held:
            self.err.print(shown, crop=False)

    def _decision(self, *, confirmed: bool) -> prompts.Decision:
        decision = prompts.confirmation_decision(tty=self.asks, yes=confirmed)
        if decision is prompts.Decision.ASK:
            self.before_question()
        return decision

    def confirm(self, question: str, *, impact: prompts.Impact, confirmed: bool) -> None:
        """Raises UserError (exit code 3) unless the user agrees."""
        prompts.require_confirmation(
            self._decision(confirmed=confirmed),
            impact=impact,
            question=question,
            console=self.err,
            stdin=self.runtime.stdin,
            reason=self.runtime.no_answers,
        )

    def confirm_typed(
        self,
        question: str,
        *,
        word: str,
        confirmed: bool,
        danger: prompts.Impact = prompts.Impact.ERASES,
        name: str = "",
    ) -> None:
        """As `confirm`, for irreversible changes: the user types `word`, the `name` of the thing to be deleted."""
        prompts.require_typed_confirmation(
            self._decision(confirmed=confirmed),
            impact=danger,
            question=question,
            word=word,
            name=name,
            console=self.err,
            stdin=self.runtime.stdin,
            reason=self.runtime.no_answers,
        )

    def _ask_secret(self, question: str) -> str:
        with self._line.hidden() if self._line else nullcontext():
            return prompts.ask_secret(question, console=self.err, stdin=self.runtime.stdin)

    def _look_line(self) -> LookLine | None:
        """The line of looks that take long: on a terminal, unless --debug writes its own lines there."""
        if not self.err.is_terminal or self.common.debug or self.quiet:
            return None
        return LookLine(
            self.err.file,
            width=lambda: self.err.width,
            clock=self.runtime.clock,
            after_s=self.runtime.look_line_after_s,
            stdin=self.runtime.stdin,
        )

    def screen(self, regions: Sequence[str], *, title: str) -> Screen:
        """The progress display: a live frame on a terminal, lines elsewhere, JSON lines for ndjson; otherwise none."""
        if self.common.output == "ndjson":
            from bacalhau_spot.ui.json_output import Ndjson  # noqa: PLC0415 - with every event of the engine

            return Ndjson(self.runtime.stdout, now=self.runtime.clock.now)
        if not self.for_people or self.quiet:
            return NullProgress()
        # Only changes have a display.
        from bacalhau_spot.ui.progress.progress_live import LiveScreen  # noqa: PLC0415
        from bacalhau_spot.ui.progress.progress_log import PlainScreen  # noqa: PLC0415

        if self.err.is_terminal and not self.common.debug:  # the lines of --debug would break the frame
            return LiveScreen(
                self.err,
                regions=tuple(regions),
                title=title,
                clock=self.runtime.clock,
                stdin=self.runtime.stdin,
            )
        return PlainScreen(self.err, clock=self.runtime.clock)

    def errors_of(
        self, failures: Sequence[ApiFailure], *, exit_code: ExitCode = ExitCode.FAILED
    ) -> tuple[UserError, ...]:
        if not failures:
            return ()
        profile = aws_profile.selected_profile(self.common.profile, environ=self.runtime.environ)
        return (views.error_from_failures(failures, exit_code=exit_code, profile=profile),)

    @staticmethod
    def incomplete(unseen: Sequence[ApiFailure]) -> ExitCode:
        return ExitCode.INCOMPLETE if unseen else ExitCode.DONE

    def record(self, mistakes: Sequence[Exception]) -> tuple[str, ...]:
        """Save the tracebacks of internal errors; returns the warnings about them."""
        if not mistakes:
            return ()
        return (f"internal error: {record(mistakes, self.runtime)}",)

    @property
    def cache_dir(self) -> Path:
        """The folder of the audit log and of cached answers. The sandbox has its own, which is deleted with it."""
        if not self.common.sandbox:
            return self.runtime.state_dir
        from bacalhau_spot.cli.runtime.sandbox_connection import sandbox_cache_dir  # noqa: PLC0415 - as for `connection`

        return sandbox_cache_dir(self.runtime)

    # Configuration

    def _find(self) -> configuration.ConfigLocation | None:
        location = configuration.find_config(
            self.common.config, environ=self.runtime.environ, cwd=self.runtime.cwd
        )
        if not self._variables_told:
            self._variables_told = True
            self._tell_variables(location)
        return location

    def _tell_variables(self, found: configuration.ConfigLocation | None) -> None:
        """A mistyped variable may select the wrong cluster: warn once, also with JSON output."""
        try:
            configured = configuration.read_config_text(found.path) if found else ""
        except UserError:  # reported when the file is needed
            configured = ""
        for text in () if self.quiet else unknown_variables(self.runtime.environ, configured=configured):
            self.err.print(views.note("warning", text), crop=False)

    def config_path(self) -> Path:
        """The configuration file in use. Raises UserError if there is none."""
        location = self._find()
        if location is None:
            raise UserError(
                "no config.yaml in this folder or one above",
                hint="`bacalhau-spot configure` writes one; `--sandbox` works without",
                exit_code=ExitCode.USAGE,
            )
        return location.path

    def config_path_or_default(self) -> Path:
        """The configuration file in use, or the path for a new one."""
        location = self._find()
        return location.path if location else self.runtime.cwd / configuration.NAME

    @property
    def first_time(self) -> bool:
        """There is no configuration, and the command is not for the sandbox."""
        location = self._find()
        return location is None and not self.common.sandbox

    def loaded(self, *, lenient: bool = False) -> configuration.Loaded:
        """The configuration; the default one if there is no file and none is required."""
        if self._loaded is None:
            location = self._find()
            if location is not None:
                self._loaded = configuration.load(
                    location.path, environ=self.runtime.environ, home=self.runtime.home, lenient=lenient
                )
            elif self.common.sandbox or lenient:
                self._loaded = configuration.Loaded(configuration.defaults())
            else:
                self.config_path()
                raise AssertionError("no file was found, and then one was")
            self.runtime.secrets.update(secrets_of(self._loaded.spec))
            self._print_migration_notes(self._loaded)
        return self._loaded

    def spec(self, *, lenient: bool = False) -> ClusterSpec:
        """`lenient`: for commands that only read or delete, which also work without the configuration or a key file."""
        return self.loaded(lenient=lenient).spec

    def naming(self, cluster: str | None = None) -> Naming:
        """The cluster's names and tags; `cluster` selects another one by its tag value. Raises UserError for an invalid value."""
        naming = self.spec(lenient=True).naming
        if cluster is None:
            return naming
        problem = other_value_problem(cluster)
        if problem is not None:
            raise UserError(
                f"--cluster: {problem}",
                hint="`bacalhau-spot clusters` lists the clusters in the account",
                exit_code=ExitCode.USAGE,
            )
        return replace(naming, tag_value=cluster)

    def drifted(
        self, instances: Sequence[Instance], *, cluster: str | None = None
    ) -> tuple[DriftedNode, ...]:
        """The nodes that differ from the configuration; none without a configuration of this cluster."""
        loaded = self.loaded(lenient=True)
        known = loaded.path is not None or self.common.sandbox
        if not known or self.naming(cluster) != loaded.spec.naming:
            return ()
        return drifted_nodes(loaded.spec, instances, unread=loaded.unread)

    def label(self, cluster: str | None = None) -> str:
        """The value of the label that the cluster's nodes have in the orchestrator."""
        naming, spec = self.naming(cluster), self.spec(lenient=True)
        return label_value(spec.name if naming == spec.naming else naming.tag_value)

    def notes(self, notes: Sequence[configuration.MigrationNote]) -> None:
        for note in notes if self.for_people and not self.quiet else ():
            where = f"{note.where}  " if note.where else ""
            self.err.print(views.note("note", f"{where}{note.text}"), crop=False)

    def _print_migration_notes(self, loaded: configuration.Loaded) -> None:
        self.notes(loaded.notes)
        if loaded.path is None and self.for_people and not self.quiet:
            self.err.print("no config.yaml found: using the default configuration", highlight=False)

    # AWS

    @property
    def connection(self) -> AwsConnection:
        if self._access is None:
            if self.common.sandbox:
                # Imported only here and only on request: the rest of the program does not depend on the sandbox.
                from bacalhau_spot.cli.runtime.sandbox_connection import connect_sandbox  # noqa: PLC0415 - moto takes seconds to import

                self._access = connect_sandbox(self.runtime)
            else:
                self._warn_credential_precedence()
                # With the HTTP client of public documents, which refusals do not need.
                from bacalhau_spot.cloud.advisor import ADVISOR_URL  # noqa: PLC0415
                from bacalhau_spot.cloud.connection import AwsConnection  # noqa: PLC0415

                self._access = AwsConnection(
                    profile=self.common.profile,
                    advisor_url=self.runtime.environ.get(environment_variables.ADVISOR_URL, ADVISOR_URL),
                    prompt=self._ask_secret if self.runtime.interactive else None,
                    learned=self.runtime.secrets.add,
                    home_region=self._home_region(),
                )
            self._access = replace(
                self._access,
                models_folder=self.runtime.state_dir / "cache" / "aws-models",
                on_call=self._on_call if self.common.debug or self.call_listener else None,
            )
        return self._access

    @property
    def endpoint(self) -> str:
        """The endpoint used instead of AWS: the sandbox, or addresses from the user's settings; empty for AWS itself."""
        return endpoint_override_label(self.common.profile, sandbox=self.common.sandbox, environ=os.environ)

    def _home_region(self) -> str:
        """Of the configured regions' partition: credentials are valid in only one partition."""
        with suppress(UserError):  # commands that need the configuration report the error
            for region in self.spec(lenient=True).regions:
                return partition_of(region.name).home
        return COMMERCIAL.home

    @property
    def lock_region(self) -> str:
        """The region of the cluster's lock: the same for every command with this configuration."""
        return self.spec(lenient=True).planned_home or self._home_region()

    def orchestrator(self, runner: Runner, *, cluster: str | None = None) -> Orchestrator | None:
        """The orchestrator's API; None if not configured. `cluster`: of another cluster, if it has a managed one.

        Raises UserError, CloudError for a managed one that is not found.
        """
        return self.api_client(self._api(runner, cluster=cluster))

    def orchestrator_if_any(self, runner: Runner, *, cluster: str | None = None) -> Orchestrator | None:
        """As `orchestrator`, for commands that also work without: a managed one that is not found is a note."""
        try:
            return self.orchestrator(runner, cluster=cluster)
        except UserError as error:
            text = error.what
        except CloudError as error:
            text = f"the orchestrator's credentials cannot be read: {error.operation}: {error.code}"
        self.print_status(views.note("note", text))
        return None

    def orchestrator_or_failure(
        self, runner: Runner, *, cluster: str | None = None
    ) -> tuple[Orchestrator | None, ApiFailure | None]:
        """As `orchestrator`: None for one that is not found, and AWS's refusal to return its credentials."""
        try:
            return self.orchestrator(runner, cluster=cluster), None
        except UserError:
            return None, None
        except CloudError as error:
            failure = api_failure(error)
            return None, replace(failure, region=failure.region or self._home_region())

    def managed_client(self, runner: Runner, naming: Naming, *, region: str) -> Orchestrator | None:
        """The API of the managed orchestrator of the cluster with these names; None if its credentials cannot be read."""
        from bacalhau_spot.engine.orchestrator.resolve import resolve_orchestrator  # noqa: PLC0415 - as for `_api`

        managed = OrchestratorSpec(mode=OrchestratorMode.MANAGED, region=region)
        spec = replace(self.spec(lenient=True), naming=naming, orchestrator=managed)
        try:
            resolved = runner.run_readonly(resolve_orchestrator(runner.calls, spec))
        except (CloudError, UserError):
            return None
        self.learn(resolved)
        return self.api_client(resolved.bacalhau)

    def _api(self, runner: Runner, *, operator: bool = False, cluster: str | None = None) -> BacalhauSpec:
        """The settings for the API. Those of a managed orchestrator are read from AWS."""
        spec = replace(self.spec(lenient=True), naming=self.naming(cluster))
        if not spec.orchestrator.in_account:
            return self._configured_api()
        # Other orchestrators need no AWS.
        from bacalhau_spot.engine.orchestrator.resolve import resolve_orchestrator  # noqa: PLC0415

        resolved = runner.run_readonly(resolve_orchestrator(runner.calls, spec, operator=operator))
        self.learn(resolved)
        return replace(resolved.bacalhau, api_host=self.local_api or resolved.bacalhau.api_host)

    def joining(self, runner: Runner) -> BacalhauSpec:
        """The nodes' settings for joining. Raises UserError, CloudError for a managed orchestrator that is not found."""
        spec = self.spec(lenient=True)
        return self._api(runner) if spec.orchestrator.in_account else spec.bacalhau

    def api_of(self, joining: BacalhauSpec) -> BacalhauSpec:
        """The settings for the API that belong to these settings for joining."""
        return joining if self.spec(lenient=True).orchestrator.in_account else self._configured_api()

    def learn(self, spec: ClusterSpec) -> None:
        """Keep the secrets of this specification out of all output."""
        self.runtime.secrets.update(secrets_of(spec))

    def _configured_api(self) -> BacalhauSpec:
        """The settings for the API of an orchestrator that bacalhau-spot does not manage."""
        if self.common.sandbox and not _is_alone(self.spec(lenient=True)):
            url, key = self.connection.orchestrator_url, self.connection.orchestrator_key
            return BacalhauSpec(api_host=url, api_key=Secret(key) if key else None)
        return self.spec(lenient=True).bacalhau

    def api_client(self, api: BacalhauSpec) -> HttpOrchestrator | None:
        """The client for these settings; None without an address. Warns once if it sends a key without encryption."""
        if api.api_host is None:
            return None
        # Most commands do not use the orchestrator, and need no HTTP client.
        from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login  # noqa: PLC0415

        login = Login(api.api_key, user=api.api_user, password=api.api_password)
        client = HttpOrchestrator(api.api_host, login=login, ca_pem=api.api_ca_pem)
        if client.sends_login_in_clear and not self._warned_of_clear_login:
            self._warned_of_clear_login = True
            self.print_status(
                views.note(
                    "warning",
                    f"the key of the orchestrator's API crosses the network unencrypted, to {client.address}: "
                    "use https in `bacalhau.api.host`, or a tunnel to this machine",
                )
            )
        return client

    def operator_api(self) -> BacalhauSpec:
        """The settings for the API, with the key or user that may submit jobs. `api_host` is set.

        Calls AWS for the credentials of a managed orchestrator. Raises UserError without an API.
        """
        spec = self.spec()
        if spec.orchestrator.in_account:
            with self.runner(spec) as runner, self.naming_other_clusters(runner):
                api = self._api(runner, operator=True)
        else:
            api = self._configured_api()
        if api.api_host is None:
            raise _no_orchestrator(self.command) if _is_alone(spec) else no_api(self.command)
        return api

    @contextmanager
    def naming_other_clusters(self, runner: Runner, *, cluster: str | None = None) -> Iterator[None]:
        """Add the names of other clusters to the UserError of a missing orchestrator."""
        try:
            yield
        except UserError as error:
            others = other_clusters.error_details(runner, self.naming(cluster), command=self.command)
            error.details = (*error.details, *others)
            raise

    def addresses(self, bacalhau: BacalhauSpec) -> tuple[str, ...] | None:
        """The nodes' orchestrator addresses. None in the sandbox if its nodes join its own orchestrator."""
        own = not self.spec(lenient=True).orchestrator.in_account
        return None if self.common.sandbox and own else bacalhau.orchestrators

    def _on_call(self, line: str) -> None:
        if self.common.debug:
            self._trace(line)
        if self.call_listener is not None:
            self.call_listener(line)

    def _trace(self, line: str) -> None:
        """With --debug: prints every AWS call on stderr, with any output format."""
        self.runtime.stderr.write(f"debug: {line}\n")
        self.runtime.stderr.flush()

    def _warn_credential_precedence(self) -> None:
        """Two identities are set: using the wrong one is worse than a refusal."""
        note = aws_profile.credential_precedence_note(self.common.profile, environ=self.runtime.environ)
        if note:
            self.print_status(views.note("note", note))

    def runner(self, spec: ClusterSpec | None = None, *, run_id: str = "") -> Runner:
        """`run_id`: as for `Runner`."""
        api_s = spec.timeouts.api_s if spec else _LOOK_S
        runner = Runner(self.runtime, self.connection, api_s=api_s, run_id=run_id, line=self._line)
        runner.calls.account_display = self._account_line
        return runner

    def cache(self) -> FileCache:
        """Answers that earlier commands heard."""
        return FileCache(self.cache_dir, clock=self.runtime.clock)

    def _display_of_account(self) -> AccountLine | None:
        """None where it would be noise: a pass of `reconcile` is a line of a log, and `doctor` has a check for it."""
        if self.common.output not in {"table", terminal.WIDE} or self.command in _WITHOUT_ACCOUNT:
            return None
        return AccountLine(
            self.err,
            cluster=self._cluster_of_command,
            cache=self.cache,
            look=self._line,
            hold=self.print_status if self.quiet else None,
        )

    def _cluster_of_command(self) -> str:
        """Empty for a command that is not about one cluster."""
        if self.command in _WITHOUT_CLUSTER:
            return ""
        try:
            return self.runtime.invocation.cluster or self.spec(lenient=True).naming.tag_value
        except UserError:  # reported where the configuration is needed
            return ""


def _check_columns(command: str, common: CommonOptions) -> None:
    """Raises UserError for columns that the command does not have, before it asks anybody."""
    names = getattr(common, "columns", ())
    if not names:
        return
    if common.output in {"json", "yaml", "ndjson"}:
        raise UserError(
            f"--columns is for tables, and -o {common.output} is none",
            hint="leave out --columns: the object has all values",
            exit_code=ExitCode.USAGE,
        )
    problem = column_problem(command, names)
    if problem is not None:
        raise UserError(
            f"{command} has no column {problem[0]}",
            details=(f"columns: {', '.join(problem[1])}",),
            hint=f"for example: `bacalhau-spot {command} --columns {','.join(problem[1][:3])}`",
            exit_code=ExitCode.USAGE,
        )


def _is_alone(spec: ClusterSpec) -> bool:
    return spec.orchestrator.mode is OrchestratorMode.NONE


def _no_orchestrator(command: str) -> UserError:
    return UserError(
        f"{command} needs an orchestrator, and the configuration has `orchestrator: none`",
        why="nodes keep the orchestrator that they were launched with",
        hint="`bacalhau-spot destroy`, then `bacalhau-spot configure --set orchestrator=managed` and `bacalhau-spot create`",
        docs="docs/orchestrator.md",
        exit_code=ExitCode.USAGE,
    )


def no_api(command: str) -> UserError:
    """The error of a command that needs the orchestrator's API."""
    return UserError(
        f"{command} needs the orchestrator's API, which is not configured",
        hint="`bacalhau-spot configure --set bacalhau.api.host=HOST`, where HOST is the orchestrator's machine; and "
        "`key_env` if its API needs a key",
        docs="docs/prune.md" if command == "prune" else "docs/jobs.md#the-orchestrators-api",
        exit_code=ExitCode.USAGE,
    )
