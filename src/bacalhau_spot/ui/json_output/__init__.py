"""Results for programs: one envelope with a version, on failure too; and events, one a line, for long commands.

A module a family of commands. Their form is published in ../schemas/, and a test holds the two together.
"""

from bacalhau_spot.ui.json_output.cost import cost_data
from bacalhau_spot.ui.json_output.create import archives_data, create_data, listing_data, plan_data
from bacalhau_spot.ui.json_output.deletion import deletion_data, nuke_preview_data, order_data, resources_data
from bacalhau_spot.ui.json_output.doctor import checkup_data
from bacalhau_spot.ui.json_output.envelope import (
    VERSION,
    envelope,
    envelope_text,
    error_data,
    with_commands,
    write_envelope,
)
from bacalhau_spot.ui.json_output.events import Ndjson, event_name
from bacalhau_spot.ui.json_output.iam_policy import policy_data
from bacalhau_spot.ui.json_output.offers import offers_data
from bacalhau_spot.ui.json_output.prices import prices_data
from bacalhau_spot.ui.json_output.prune import prune_data, prune_result_data
from bacalhau_spot.ui.json_output.ssh import console_data, ssh_data, ssh_lines_data
from bacalhau_spot.ui.json_output.status import status_data
from bacalhau_spot.ui.json_output.values import Data, instance_data, problem_data, time_text

__all__ = [
    "VERSION",
    "Data",
    "Ndjson",
    "archives_data",
    "checkup_data",
    "console_data",
    "cost_data",
    "create_data",
    "deletion_data",
    "envelope",
    "envelope_text",
    "error_data",
    "event_name",
    "instance_data",
    "listing_data",
    "nuke_preview_data",
    "offers_data",
    "order_data",
    "plan_data",
    "policy_data",
    "prices_data",
    "problem_data",
    "prune_data",
    "prune_result_data",
    "resources_data",
    "ssh_data",
    "ssh_lines_data",
    "status_data",
    "time_text",
    "with_commands",
    "write_envelope",
]
