"""Results for programs: one envelope with a version, on failure too; and events, one a line, for long commands.

A module a family of commands: its models, and functions that fill them. The JSON Schemas in ../schemas and the reference in
docs/output.md are generated from the models (docs/output_models.py).

A command imports its own module only, when it uses it: help and errors need none of them.
"""

from typing import TYPE_CHECKING

from bacalhau_spot.lazy_package import import_when_used

if TYPE_CHECKING:
    from bacalhau_spot.ui.json_output.clusters import clusters_data
    from bacalhau_spot.ui.json_output.configuration import (
        config_show_data,
        config_upgrade_data,
        configure_data,
    )
    from bacalhau_spot.ui.json_output.console import console_data
    from bacalhau_spot.ui.json_output.cost import cost_data
    from bacalhau_spot.ui.json_output.create import archives_data, create_data, listing_data, plan_data
    from bacalhau_spot.ui.json_output.deletion import (
        deletion_data,
        destroy_preview_data,
        nuke_preview_data,
        order_data,
        resources_data,
    )
    from bacalhau_spot.ui.json_output.doctor import doctor_data
    from bacalhau_spot.ui.json_output.env import env_data
    from bacalhau_spot.ui.json_output.envelope import (
        VERSION,
        envelope,
        envelope_text,
        error_data,
        with_commands,
        write_envelope,
    )
    from bacalhau_spot.ui.json_output.events import Ndjson, event_name
    from bacalhau_spot.ui.json_output.explain import (
        completion_data,
        documentation_page_data,
        documentation_pages_data,
        version_data,
    )
    from bacalhau_spot.ui.json_output.extension import extension_data
    from bacalhau_spot.ui.json_output.history import history_data
    from bacalhau_spot.ui.json_output.iam_policy import policy_data
    from bacalhau_spot.ui.json_output.images import bake_data, image_deletion_data, images_data
    from bacalhau_spot.ui.json_output.logs import log_line_data, logs_data
    from bacalhau_spot.ui.json_output.node_change import node_change_data
    from bacalhau_spot.ui.json_output.notices import notice_data, notify_test_data
    from bacalhau_spot.ui.json_output.offers import backtest_data, offers_data
    from bacalhau_spot.ui.json_output.prices import prices_data
    from bacalhau_spot.ui.json_output.prune import prune_data, prune_result_data
    from bacalhau_spot.ui.json_output.reconcile import reconcile_data
    from bacalhau_spot.ui.json_output.report import report_data
    from bacalhau_spot.ui.json_output.sandbox import (
        sandbox_interrupt_data,
        sandbox_rebalance_data,
        sandbox_start_data,
        sandbox_status_data,
        sandbox_stop_data,
    )
    from bacalhau_spot.ui.json_output.smoke_test import smoke_test_data
    from bacalhau_spot.ui.json_output.ssh import ssh_data, ssh_lines_data
    from bacalhau_spot.ui.json_output.status import status_data
    from bacalhau_spot.ui.json_output.values import Data, instance_data, problem_data, time_text

__all__ = [
    "VERSION",
    "Data",
    "Ndjson",
    "archives_data",
    "backtest_data",
    "bake_data",
    "clusters_data",
    "completion_data",
    "config_show_data",
    "config_upgrade_data",
    "configure_data",
    "console_data",
    "cost_data",
    "create_data",
    "deletion_data",
    "destroy_preview_data",
    "doctor_data",
    "documentation_page_data",
    "documentation_pages_data",
    "env_data",
    "envelope",
    "envelope_text",
    "error_data",
    "event_name",
    "extension_data",
    "history_data",
    "image_deletion_data",
    "images_data",
    "instance_data",
    "listing_data",
    "log_line_data",
    "logs_data",
    "node_change_data",
    "notice_data",
    "notify_test_data",
    "nuke_preview_data",
    "offers_data",
    "order_data",
    "plan_data",
    "policy_data",
    "prices_data",
    "problem_data",
    "prune_data",
    "prune_result_data",
    "reconcile_data",
    "report_data",
    "resources_data",
    "sandbox_interrupt_data",
    "sandbox_rebalance_data",
    "sandbox_start_data",
    "sandbox_status_data",
    "sandbox_stop_data",
    "smoke_test_data",
    "ssh_data",
    "ssh_lines_data",
    "status_data",
    "time_text",
    "version_data",
    "with_commands",
    "write_envelope",
]

__getattr__ = import_when_used(
    __name__,
    {
        ".envelope": (
            "VERSION",
            "envelope",
            "envelope_text",
            "error_data",
            "with_commands",
            "write_envelope",
        ),
        ".events": ("Ndjson", "event_name"),
        ".values": ("Data", "instance_data", "problem_data", "time_text"),
        ".clusters": ("clusters_data",),
        ".configuration": ("config_show_data", "config_upgrade_data", "configure_data"),
        ".console": ("console_data",),
        ".cost": ("cost_data",),
        ".create": ("archives_data", "create_data", "listing_data", "plan_data"),
        ".deletion": (
            "deletion_data",
            "destroy_preview_data",
            "nuke_preview_data",
            "order_data",
            "resources_data",
        ),
        ".doctor": ("doctor_data",),
        ".env": ("env_data",),
        ".explain": (
            "completion_data",
            "documentation_page_data",
            "documentation_pages_data",
            "version_data",
        ),
        ".extension": ("extension_data",),
        ".history": ("history_data",),
        ".iam_policy": ("policy_data",),
        ".logs": ("log_line_data", "logs_data"),
        ".images": ("bake_data", "image_deletion_data", "images_data"),
        ".node_change": ("node_change_data",),
        ".notices": ("notice_data", "notify_test_data"),
        ".offers": ("backtest_data", "offers_data"),
        ".prices": ("prices_data",),
        ".prune": ("prune_data", "prune_result_data"),
        ".reconcile": ("reconcile_data",),
        ".report": ("report_data",),
        ".sandbox": (
            "sandbox_interrupt_data",
            "sandbox_rebalance_data",
            "sandbox_start_data",
            "sandbox_status_data",
            "sandbox_stop_data",
        ),
        ".smoke_test": ("smoke_test_data",),
        ".ssh": ("ssh_data", "ssh_lines_data"),
        ".status": ("status_data",),
    },
)
