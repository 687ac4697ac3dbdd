"""What is shown: values in, renderables out. Nothing here prints."""

from bacalhau_spot.ui.problems import from_problems
from bacalhau_spot.ui.views.cost import cost_view
from bacalhau_spot.ui.views.doctor import checkup_errors, checkup_view
from bacalhau_spot.ui.views.errors import error_view
from bacalhau_spot.ui.views.listing import listing_view
from bacalhau_spot.ui.views.nuke import nuke_preview_view, order_view
from bacalhau_spot.ui.views.offers import offers_view
from bacalhau_spot.ui.views.plan import over_budget, plan_view
from bacalhau_spot.ui.views.prices import prices_view
from bacalhau_spot.ui.views.prune import prune_preview_view, prune_receipt_view, still_listed, with_forgotten
from bacalhau_spot.ui.views.quotas import quota_lines
from bacalhau_spot.ui.views.reach import (
    everywhere_view,
    menu_view,
    reaching_view,
    silent_console_view,
    unreached_view,
    unseen_view,
)
from bacalhau_spot.ui.views.receipt import create_receipt_view
from bacalhau_spot.ui.views.status import StatusView, status_view
from bacalhau_spot.ui.views.teardown import (
    looking_again_view,
    other_cluster_warnings,
    teardown_preview_view,
    teardown_receipt_view,
)
from bacalhau_spot.ui.views.text import (
    config_view,
    configured,
    json_text,
    note,
    pages_view,
    sentence,
    tree_view,
    verbatim,
)

__all__ = [
    "StatusView",
    "checkup_errors",
    "checkup_view",
    "config_view",
    "configured",
    "cost_view",
    "create_receipt_view",
    "error_view",
    "everywhere_view",
    "from_problems",
    "json_text",
    "listing_view",
    "looking_again_view",
    "menu_view",
    "note",
    "nuke_preview_view",
    "offers_view",
    "order_view",
    "other_cluster_warnings",
    "over_budget",
    "pages_view",
    "plan_view",
    "prices_view",
    "prune_preview_view",
    "prune_receipt_view",
    "quota_lines",
    "reaching_view",
    "sentence",
    "silent_console_view",
    "status_view",
    "still_listed",
    "teardown_preview_view",
    "teardown_receipt_view",
    "tree_view",
    "unreached_view",
    "unseen_view",
    "verbatim",
    "with_forgotten",
]
