"""The orchestrator's API (codes of orchestrator/http.py). There are no retries: resources on AWS do not depend on it."""

from __future__ import annotations

from bacalhau_spot.core.error_catalog.categories import AGAIN_IN_A_MINUTE, Category, ErrorInfo, Recovery


def _api(name: str, fault: Category, sentence: str, hint: str) -> ErrorInfo:
    return ErrorInfo(f"orchestrator-{name}", fault, Recovery.STOP, sentence, hint)


ROWS = {
    "OrchestratorUnauthorized": _api(
        "unauthorized",
        Category.CREDENTIALS,
        "the orchestrator does not accept the API key or password",
        "`bacalhau-spot config show --sources` shows the variable or file of each (`bacalhau.api.key_env`, or "
        "`user_env` and `password_env`): set it to the value under `API.Auth.Users` in the orchestrator's configuration, which "
        "its administrator has",
    ),
    "OrchestratorForbidden": _api(
        "forbidden",
        Category.PERMISSION,
        "the orchestrator's API key or user may not do this",
        "ask the administrator of the orchestrator to add the actions read:node and write:node under `API.Auth.Users`, and "
        "to restart it",
    ),
    "OrchestratorJobForbidden": _api(
        "job-forbidden",
        Category.PERMISSION,
        "the orchestrator's API key or user may not submit jobs",
        "configure a key or user that has the actions read:node, read:job and write:job (or `*`) under `API.Auth.Users` in the "
        "orchestrator's configuration: `bacalhau-spot config show --sources` shows the variable of the current one",
    ),
    "OrchestratorJobRejected": _api(
        "job-rejected",
        Category.CONFIG,
        "the orchestrator did not accept the job",
        "correct the job as the message above requires",
    ),
    "OrchestratorUnreachable": _api(
        "unreachable",
        Category.NETWORK,
        "the orchestrator's API cannot be reached",
        "`bacalhau-spot status` shows the machine of a managed orchestrator, and `bacalhau-spot create` repairs it; with another "
        "one, check `bacalhau.api.host` (the port is 1234 unless given), that it runs, and that this machine may reach it: "
        "`curl {host}/api/v1/agent/alive`",
    ),
    "OrchestratorTimeout": _api(
        "time-out",
        Category.NETWORK,
        "the orchestrator's API did not answer in time",
        "run the same command again; if it lasts, your address may have changed: `bacalhau-spot create` opens port 1234 of a "
        "managed orchestrator to the present `ssh_cidrs`; with another one, look at its own log",
    ),
    "OrchestratorTls": _api(
        "tls",
        Category.CONFIG,
        "the certificate of the orchestrator's API is not trusted here",
        "`bacalhau-spot configure --set bacalhau.api.ca_file=PATH` names the certificate of its signer (PEM; the "
        "administrator of the orchestrator has it); `bacalhau.api.host` has to be a name that the certificate holds",
    ),
    "OrchestratorScheme": _api(
        "scheme",
        Category.CONFIG,
        "`bacalhau.api.host` uses the wrong scheme (http or https)",
        "use the other scheme: `bacalhau-spot configure --set bacalhau.api.host={other}`",
    ),
    "OrchestratorRedirect": _api(
        "redirect",
        Category.CONFIG,
        "the orchestrator's API redirects to another address, and the key is not sent there",
        "if the address above is the right one, set `bacalhau.api.host` to it",
    ),
    "OrchestratorBusy": _api(
        "busy",
        Category.THROTTLED,
        "the orchestrator is overloaded",
        AGAIN_IN_A_MINUTE,
    ),
    "OrchestratorFailed": _api(
        "failed",
        Category.UNKNOWN,
        "the orchestrator's API answered with an error of its own",
        "read the orchestrator's own log for the reason (`journalctl -u bacalhau` on its machine), then run the same "
        "command again",
    ),
    "OrchestratorAnswer": _api(
        "answer",
        Category.UNKNOWN,
        "the orchestrator's API did not answer as Bacalhau 1.9 does",
        "check that `bacalhau.api.host` is the orchestrator's API (port 1234), not the address that nodes join (4222)",
    ),
}
