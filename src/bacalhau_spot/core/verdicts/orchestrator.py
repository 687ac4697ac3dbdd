"""The orchestrator's API (codes of orchestrator/http.py). Nothing is repeated: what AWS has does not depend on it."""

from __future__ import annotations

from bacalhau_spot.core.verdicts.kinds import Action, Fault, Verdict


def _api(name: str, fault: Fault, sentence: str, hint: str) -> Verdict:
    return Verdict(f"orchestrator-{name}", fault, Action.STOP, sentence, hint)


ROWS = {
    "OrchestratorUnauthorized": _api(
        "unauthorized",
        Fault.CREDENTIALS,
        "the orchestrator does not accept the API key or password",
        "set the variables that `bacalhau.api.key_env`, or `user_env` and `password_env`, name to what the orchestrator's "
        "`API.Auth.Users` lists; `bacalhau-spot config show` says where each value comes from",
    ),
    "OrchestratorForbidden": _api(
        "forbidden",
        Fault.PERMISSION,
        "the orchestrator's API key or user may not do this",
        "give it the actions read:node and write:node under `API.Auth.Users` of the orchestrator, and restart that",
    ),
    "OrchestratorUnreachable": _api(
        "unreachable",
        Fault.NETWORK,
        "the orchestrator's API cannot be reached",
        "check `bacalhau.api.host` (the port is 1234 unless given) and that this machine may reach it: "
        "`curl HOST:1234/api/v1/agent/alive`",
    ),
    "OrchestratorTimeout": _api(
        "time-out",
        Fault.NETWORK,
        "the orchestrator's API did not answer in time",
        "run the same command again; if it lasts, look at the orchestrator's own log",
    ),
    "OrchestratorTls": _api(
        "tls",
        Fault.CONFIG,
        "the certificate of the orchestrator's API is not trusted here",
        "set `bacalhau.api.ca_file` to the authority's certificate (PEM), and `bacalhau.api.host` to a name that the "
        "certificate holds",
    ),
    "OrchestratorScheme": _api(
        "scheme",
        Fault.CONFIG,
        "`bacalhau.api.host` has the wrong one of http:// and https://",
        "write the other one in front of the address",
    ),
    "OrchestratorRedirect": _api(
        "redirect",
        Fault.CONFIG,
        "the orchestrator's API points to another address, and the key is not sent there unasked",
        "if the address above is the right one, set `bacalhau.api.host` to it",
    ),
    "OrchestratorBusy": _api(
        "busy",
        Fault.THROTTLED,
        "the orchestrator has too much to do",
        "run the same command again in a minute",
    ),
    "OrchestratorAnswer": _api(
        "answer",
        Fault.UNKNOWN,
        "the orchestrator's API did not answer as Bacalhau 1.9 does",
        "check that `bacalhau.api.host` is the orchestrator's API (port 1234), not the address that nodes join (4222)",
    ),
}
