"""Stops the orchestrator's machine after the cluster's lifetime, when no node is connected any more.

The cluster's own nodes end by themselves. A node that is still connected belongs to another cluster, which shares the
orchestrator, or has a later expiry. A stopped machine keeps its volumes, and `bacalhau-spot create` starts it again.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from .console import Console
from .expiry import INTERVAL_S, Expiry
from .metadata import Metadata
from .orchestrator_answers import API_PORT
from .orchestrator_credentials import CONFIG, FOLDER
from .shell import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

# Minutes without a node; nodes connect again within two minutes of an interruption of the network.
ALONE = 5
# Minutes without an answer: an orchestrator that does not answer for so long has no working nodes.
SILENT = 60


def watch(
    expiry: Expiry,
    connected: Callable[[], int],
    *,
    stop: Callable[[], object],
    say: Callable[[str, str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return after `stop`. `connected` returns the number of connected nodes, or raises an exception without an answer."""
    alone = silent = 0
    while alone < ALONE and silent < SILENT:
        try:
            over = expiry.is_over()
        except OSError as error:
            print(f"the metadata service does not answer: {error}", flush=True)
            over = False
        try:
            nodes = connected() if over else 1
            alone, silent = (0 if nodes else alone + 1), 0
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"the orchestrator does not answer: {error}", flush=True)
            alone, silent = 0, silent + 1
        if alone < ALONE and silent < SILENT:
            sleep(INTERVAL_S)
    say("stopped", "the lifetime of the cluster is over and no node is connected; the machine stops")
    stop()


def connected_nodes(*, folder: str = FOLDER, host: str = "127.0.0.1", port: int = API_PORT) -> int:
    """The compute nodes of all clusters. Raises OSError, ValueError, KeyError, TypeError or AttributeError without an answer."""
    config = json.loads(Path(folder, CONFIG).read_text("utf-8"))
    key = config["API"]["Auth"]["Users"][1]["APIKey"]
    trust = ssl.create_default_context(cafile=str(Path(folder, "ca.pem")))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    request = urllib.request.Request(
        f"https://{host}:{port}/api/v1/orchestrator/nodes", headers={"Authorization": f"Bearer {key}"}
    )
    with opener.open(request, timeout=10) as answer:
        nodes = json.load(answer)["Nodes"]
    return sum(
        node["Info"]["NodeType"] == "Compute" and node["ConnectionState"]["Status"] == "CONNECTED"
        for node in nodes
    )


def main() -> None:
    console = Console()
    watch(
        Expiry(Metadata(), console.say),
        connected_nodes,
        stop=lambda: run_command(["systemctl", "poweroff"], timeout_s=60),
        say=console.say,
    )


if __name__ == "__main__":
    main()
