"""The deliveries of test notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.notices import DeliveryResult

_HEADS = ("number", "receiver", "event", "result")


def notify_test_view(results: Sequence[DeliveryResult]) -> Group:
    """A row a delivery, and the number of failures."""
    if not results:
        return Group(Paragraph("no receiver receives notices of this kind"))
    failed = sum(not result.delivered for result in results)
    rows = [
        (str(result.number), result.target.label, result.notice.kind.value, result.problem or "delivered")
        for result in results
    ]
    total = f"{len(results) - failed} of {plural(len(results), 'notice')} delivered"
    return Group(
        TextTable(_HEADS, rows, right=("number",)),
        Paragraph(total, style="bold yellow" if failed else "bold green"),
    )
