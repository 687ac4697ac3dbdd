"""Values in, renderables out. Nothing here prints.

A command imports its own views only, when it shows them.
"""

from typing import TYPE_CHECKING

from bacalhau_spot.lazy_package import import_when_used
from bacalhau_spot.ui.views.blocks import (
    account_text,
    config_view,
    json_text,
    note,
    pages_view,
    raw,
    sentence_text,
    tree_view,
)

if TYPE_CHECKING:
    from bacalhau_spot.ui.error_messages import error_from_failures, interrupted_orchestrator, with_created
    from bacalhau_spot.ui.views.backtest_view import backtest_view
    from bacalhau_spot.ui.views.clusters_view import clusters_view
    from bacalhau_spot.ui.views.configure_view import configured
    from bacalhau_spot.ui.views.cost_view import cost_view
    from bacalhau_spot.ui.views.create_view import create_result_view, dry_run_view
    from bacalhau_spot.ui.views.deletion_view import (
        deletion_preview_view,
        deletion_result_view,
        other_cluster_warnings,
        other_label_warnings,
        rescan_notice_view,
    )
    from bacalhau_spot.ui.views.doctor_view import doctor_errors, findings_view
    from bacalhau_spot.ui.views.env_view import env_help_view
    from bacalhau_spot.ui.views.error_view import error_view
    from bacalhau_spot.ui.views.expiry_view import expiry_holders, extension_result_view, extension_view
    from bacalhau_spot.ui.views.groups_view import changed_groups
    from bacalhau_spot.ui.views.history_view import history_view
    from bacalhau_spot.ui.views.image_view import (
        bake_plan_view,
        bake_result_view,
        image_deletion_result_view,
        image_deletion_view,
        images_view,
    )
    from bacalhau_spot.ui.views.list_view import listing_view
    from bacalhau_spot.ui.views.logs_view import log_lines_view
    from bacalhau_spot.ui.views.node_change_view import (
        node_change_result_view,
        node_change_view,
        replacement_over_budget,
    )
    from bacalhau_spot.ui.views.notify_test_view import notify_test_view
    from bacalhau_spot.ui.views.nuke_view import nuke_preview_view, order_view
    from bacalhau_spot.ui.views.offers_view import offers_view
    from bacalhau_spot.ui.views.plan_view import over_budget, plan_view
    from bacalhau_spot.ui.views.prices_view import prices_view
    from bacalhau_spot.ui.views.prune_view import (
        not_removed_text,
        prune_preview_view,
        prune_result_view,
        with_prune_result,
    )
    from bacalhau_spot.ui.views.quotas_view import quota_lines
    from bacalhau_spot.ui.views.reconcile_view import pass_view
    from bacalhau_spot.ui.views.report_view import page_written_view, report_view
    from bacalhau_spot.ui.views.smoke_test_view import smoke_test_view, smoke_test_warnings
    from bacalhau_spot.ui.views.ssh_view import (
        awaited_host_keys_view,
        connecting_view,
        empty_console_view,
        failed_regions_view,
        fan_out_view,
        menu_view,
        unreachable_view,
    )
    from bacalhau_spot.ui.views.status_view import StatusView, status_view

__all__ = [
    "StatusView",
    "account_text",
    "awaited_host_keys_view",
    "backtest_view",
    "bake_plan_view",
    "bake_result_view",
    "changed_groups",
    "clusters_view",
    "config_view",
    "configured",
    "connecting_view",
    "cost_view",
    "create_result_view",
    "deletion_preview_view",
    "deletion_result_view",
    "doctor_errors",
    "dry_run_view",
    "empty_console_view",
    "env_help_view",
    "error_from_failures",
    "error_view",
    "expiry_holders",
    "extension_result_view",
    "extension_view",
    "failed_regions_view",
    "fan_out_view",
    "findings_view",
    "history_view",
    "image_deletion_result_view",
    "image_deletion_view",
    "images_view",
    "interrupted_orchestrator",
    "json_text",
    "listing_view",
    "log_lines_view",
    "menu_view",
    "node_change_result_view",
    "node_change_view",
    "not_removed_text",
    "note",
    "notify_test_view",
    "nuke_preview_view",
    "offers_view",
    "order_view",
    "other_cluster_warnings",
    "other_label_warnings",
    "over_budget",
    "page_written_view",
    "pages_view",
    "pass_view",
    "plan_view",
    "prices_view",
    "prune_preview_view",
    "prune_result_view",
    "quota_lines",
    "raw",
    "replacement_over_budget",
    "report_view",
    "rescan_notice_view",
    "sentence_text",
    "smoke_test_view",
    "smoke_test_warnings",
    "status_view",
    "tree_view",
    "unreachable_view",
    "with_created",
    "with_prune_result",
]

__getattr__ = import_when_used(
    __name__,
    {
        "..error_messages": ("error_from_failures", "interrupted_orchestrator", "with_created"),
        ".backtest_view": ("backtest_view",),
        ".clusters_view": ("clusters_view",),
        ".configure_view": ("configured",),
        ".cost_view": ("cost_view",),
        ".create_view": ("create_result_view", "dry_run_view"),
        ".deletion_view": (
            "deletion_preview_view",
            "deletion_result_view",
            "other_cluster_warnings",
            "other_label_warnings",
            "rescan_notice_view",
        ),
        ".doctor_view": ("doctor_errors", "findings_view"),
        ".env_view": ("env_help_view",),
        ".error_view": ("error_view",),
        ".expiry_view": ("expiry_holders", "extension_result_view", "extension_view"),
        ".groups_view": ("changed_groups",),
        ".history_view": ("history_view",),
        ".image_view": (
            "bake_plan_view",
            "bake_result_view",
            "image_deletion_result_view",
            "image_deletion_view",
            "images_view",
        ),
        ".list_view": ("listing_view",),
        ".logs_view": ("log_lines_view",),
        ".node_change_view": ("node_change_result_view", "node_change_view", "replacement_over_budget"),
        ".notify_test_view": ("notify_test_view",),
        ".nuke_view": ("nuke_preview_view", "order_view"),
        ".offers_view": ("offers_view",),
        ".plan_view": ("over_budget", "plan_view"),
        ".prices_view": ("prices_view",),
        ".prune_view": ("not_removed_text", "prune_preview_view", "prune_result_view", "with_prune_result"),
        ".quotas_view": ("quota_lines",),
        ".reconcile_view": ("pass_view",),
        ".report_view": ("page_written_view", "report_view"),
        ".smoke_test_view": ("smoke_test_view", "smoke_test_warnings"),
        ".ssh_view": (
            "awaited_host_keys_view",
            "connecting_view",
            "empty_console_view",
            "failed_regions_view",
            "fan_out_view",
            "menu_view",
            "unreachable_view",
        ),
        ".status_view": ("StatusView", "status_view"),
    },
)
