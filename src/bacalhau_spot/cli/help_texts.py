"""The parts of a help page that the CLI library does not have: the groups of commands, examples, the page to read."""

from __future__ import annotations

from typing import Final

# The order of the commands on the first page. Every command stands in one of these groups.
HELP_GROUPS: Final = {
    "Cluster": ("create", "list", "status", "clusters", "reconcile", "extend", "destroy", "nuke"),
    "Nodes": ("scale", "replace", "remove", "ssh", "logs", "console", "prune", "image"),
    "Jobs": ("env", "smoke-test"),
    "Money": ("offers", "prices", "cost", "report", "history"),
    "Setup": ("configure", "config", "doctor", "iam-policy", "notify-test", "sandbox", "completion"),
    "Help": ("explain", "help", "version"),
}

Examples = tuple[tuple[str, str], ...]  # a command line without the program's name, and what it does

EXAMPLES: Final[dict[str, Examples]] = {
    "": (
        ("create --sandbox --yes", "try it: nothing is launched on AWS, nothing costs money"),
        ("configure", "write a config.yaml, with a question for each decision"),
        ("create", "show the plan with its price, ask, launch"),
        ("status --watch", "follow the cluster"),
        ("destroy", "delete the cluster, and verify the deletion"),
    ),
    "create": (
        ("create --dry-run", "the plan and its price; nothing is changed"),
        ("create --ttl 8h --budget 2.50", "a cluster that ends itself, below a cost an hour"),
        ("create --allow-removal --yes", "after lowering `nodes`: terminate the surplus ones, too"),
    ),
    "list": (
        ("list --region us-east-1,eu-west-1", "the instances in two regions"),
        ("list -o csv --columns id,zone,public_ip", "for a spreadsheet or a script"),
        ("list --all -o wide", "with terminated instances and every column"),
    ),
    "status": (
        ("status --watch", "until Ctrl-C"),
        ("status -o csv --columns node,verdict", "each node with its verdict"),
        ("status --json", "for a program; the exit code is 0 if all is well"),
    ),
    "clusters": (("clusters -o csv", "every cluster of the account, for a spreadsheet"),),
    "reconcile": (
        ("reconcile --dry-run", "what the next pass would change"),
        ("reconcile --every 5m", "again and again, until Ctrl-C"),
    ),
    "extend": (
        ("extend 4h", "the cluster ends four hours from now"),
        ("extend --until 2026-11-28T20:00", "at this time, in UTC"),
    ),
    "ssh": (
        ("ssh i-0123", "a shell on the node whose id begins so"),
        ("ssh us-east-1a -- docker ps", "a command on the node in this zone"),
        ("ssh --all --group -- uptime", "on all nodes; equal output is shown once"),
    ),
    "logs": (
        ("logs --follow", "the journals of all nodes, merged by time, until Ctrl-C"),
        ("logs us-east-1 --since 10m", "the last ten minutes of the nodes in a region"),
        ("logs i-0123 --console", "EC2's console output of a node, without SSH"),
    ),
    "console": (
        ("console i-0123 --phases", "the phases of its first boot"),
        ("console i-0123 --follow", "new output, until Ctrl-C"),
    ),
    "env": (
        ("env --shell fish", "for another shell than the present one"),
        ("env --client-url", "the address of Bacalhau's client for this machine"),
    ),
    "smoke-test": (("smoke-test --timeout 300", "with five minutes for each node"),),
    "scale": (
        ("scale 8", "launch or remove nodes until there are eight"),
        ("scale 3 --region us-east-1 --write", "three in this region, in config.yaml, too"),
    ),
    "replace": (
        ("replace i-0123", "this node by a new one"),
        ("replace --drifted --at-once 25%", "all that differ from the configuration, a quarter at a time"),
    ),
    "remove": (("remove i-0123 --grace 10m", "after at most ten minutes for its jobs"),),
    "destroy": (
        ("destroy --dry-run", "the resources that would be deleted"),
        ("destroy --yes", "without the question"),
    ),
    "nuke": (
        ("nuke --dry-run", "everything under the tag key, in every region"),
        ("nuke --region us-east-1,eu-west-1 --min-age 7d", "in two regions, and nothing younger than a week"),
    ),
    "prices": (("prices --region us-east-1 --since 30d", "the spot prices of a month in a region"),),
    "prune": (("prune --dry-run", "the nodes that would be removed from the orchestrator"),),
    "cost": (
        ("cost --since 24h --by type", "of the last day, by instance type"),
        ("cost -o csv", "a row for each instance, volume and address"),
    ),
    "report": (
        ("report -o html --output-file report.html", "a page for a browser, without a network"),
        ("report --since 90d -o json", "the same data, for a program"),
    ),
    "history": (("history --since 30d --region us-east-1", "a month in a region"),),
    "offers": (
        ("offers --vcpus 4.. --memory 16.. --arch arm64", "pools with four vCPUs and 16 GiB or more"),
        ("offers --by region --sort price", "the cheapest regions"),
        (
            "offers --backtest 30d",
            "the cost of the configuration in the last 30 days, and of other regions and types",
        ),
        ("offers --write --count 3", "write the three best regions into config.yaml"),
    ),
    "configure": (
        ("configure", "a question for each decision"),
        ("configure --set nodes=8 --set max_price_usd_per_hour=0.05", "change keys, and keep the rest"),
        ("configure --defaults", "without questions"),
    ),
    "doctor": (("doctor -o json", "for a program: each check with its result and fix"),),
    "notify-test": (("notify-test --event interruption", "one kind of notice"),),
    "iam-policy": (("iam-policy --command list --command status", "to look, and not to change anything"),),
    "completion": (
        ('eval "$(bacalhau-spot completion bash)"', "in ~/.bashrc"),
        ('eval "$(bacalhau-spot completion zsh)"', "in ~/.zshrc, after compinit"),
        ("completion fish > ~/.config/fish/completions/bacalhau-spot.fish", "once"),
    ),
    "explain": (
        ("explain", "the list of pages"),
        ("explain VpcLimitExceeded", "an error of AWS, and its remedy"),
    ),
    "help": (
        ("help create", "the help of a command"),
        ("help clock", "as `explain clock`: any other topic"),
    ),
    "version": (("version -o json", "for a program"),),
    "config": (("config show --sources", "every value, and where it comes from"),),
    "config show": (("config show --sources", "every value, and where it comes from"),),
    "config upgrade": (("config upgrade --write", "after `config upgrade` alone has shown the result"),),
    "config schema": (("config schema > config.schema.json", "for an editor"),),
    "image": (("image bake", "an image in every configured region"),),
    "image bake": (("image bake --region us-east-1,eu-west-1", "an image in two regions"),),
    "image list": (("image list -o json", "for a program"),),
    "image delete": (("image delete --older-than 30d", "those made before"),),
    "sandbox": (
        ("sandbox status", "its switches and resources"),
        ("sandbox interrupt i-0123", "as AWS does"),
    ),
    "sandbox start": (("sandbox start", "in the background; it stops itself when idle"),),
    "sandbox stop": (("sandbox stop", "with all that was launched in it"),),
    "sandbox status": (("sandbox status -o json", "for a program"),),
    "sandbox set": (("sandbox set latency_s=0.2", "a slower AWS"),),
    "sandbox interrupt": (("sandbox interrupt i-0123 --notice-s 20", "20 seconds after the notice"),),
    "sandbox rebalance": (("sandbox rebalance i-0123", "an instance at risk"),),
}

# The page of documentation for each command, as `explain` names it.
DOCUMENTATION: Final = {
    "": "operating",
    "create": "operating",
    "list": "operating",
    "status": "status",
    "clusters": "clusters",
    "reconcile": "reconcile",
    "extend": "lifetime",
    "ssh": "ssh",
    "logs": "logs",
    "console": "ssh#console",
    "env": "first-job",
    "smoke-test": "first-job",
    "scale": "lifecycle",
    "replace": "lifecycle",
    "remove": "lifecycle",
    "destroy": "cleanup",
    "nuke": "cleanup",
    "prices": "cost",
    "prune": "prune",
    "cost": "cost",
    "report": "report",
    "history": "history",
    "offers": "offers",
    "configure": "configuration",
    "doctor": "doctor",
    "notify-test": "notices",
    "iam-policy": "permissions",
    "completion": "command-line",
    "help": "command-line",
    "version": "command-line",
    "config": "configuration",
    "config show": "configuration",
    "config upgrade": "configuration",
    "config schema": "configuration",
    "image": "images",
    "image bake": "images",
    "image list": "images",
    "image delete": "images",
    **dict.fromkeys(
        (
            *("sandbox", "sandbox start", "sandbox stop", "sandbox status", "sandbox set"),
            *("sandbox interrupt", "sandbox rebalance"),
        ),
        "sandbox",
    ),
}
