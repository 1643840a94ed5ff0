"""What the next steps would save, as a section of the board's report."""

from __future__ import annotations

from typing import Any

from reports.board.model import Board
from reports.board.references import References
from reports.page.words import NOTHING, shown
from reports.savings.model import Kind, Range, Saving

TITLE = "What the next steps would save, in USD"
_DEFINITION = (
    "What the calls of the month would have cost less: on its own, if nothing else is done; of the "
    "total, on top of the steps above it, so that nothing counts twice. The first amount is the "
    "cautious case, the second the hopeful one."
)
_PLAIN: dict[Kind, tuple[str, str]] = {
    "duplicates": ("Answer repeated requests from a cache", "calls whose prompt is recognised"),
    "prefixes": ("Have vendors cache what prompts begin with", "calls that begin like others"),
    "routing": ("Use the next cheaper tier of models", "calls that it does as well"),
    "retries": ("Fail and retry less", "failed calls and repeated attempts"),
    "context": ("Keep long workflows short", "calls of workflows of more than a few"),
}
"""Step, and what was looked at, in a board's words."""
_NOTHING_KNOWN = (
    "Nothing can be estimated yet. It takes events with a prompt hash (repeated requests and "
    "prefixes), calls whose shadows ran on a cheaper tier with a quality on both sides (routing), "
    "and attempts that say so (retries): docs/savings.md."
)


def savings_section(refs: References, board: Board) -> dict[str, Any]:
    """A line for each kind of saving; a range, as the evidence leaves something open."""
    found = board.savings
    if found.total is None:
        return {"title": TITLE, "ref": None, "sentences": [_NOTHING_KNOWN], "table": None}
    columns = [
        {"title": "Step", "number": False},
        {"title": "Looked at", "number": False},
        {"title": "Cost", "number": True},
        {"title": "On its own", "number": True},
        {"title": "Of the total", "number": True},
    ]
    rows = [_row(one) for one in found.kinds]
    rows.append(
        ["All together", "", shown("money", found.cost, "USD"), "", range_text(found.total)]
    )
    left = [one.not_estimated[0] for one in found.kinds if one.alone is None and one.not_estimated]
    note = f"Not estimated: {'; '.join(left[:2])}." if left else None
    table = {"columns": columns, "rows": rows, "empty": "", "note": note}
    ref = refs.number(TITLE, _DEFINITION)
    return {"title": TITLE, "ref": ref, "sentences": [], "table": table}


def range_text(found: Range | None) -> str:
    """`$120 to $180`; one amount where both are the same, – where there is no estimate."""
    if found is None:
        return NOTHING
    low, high = (shown("money", amount, "USD") for amount in (found.low, found.high))
    return low if low == high else f"{low} to {high}"


def _row(one: Saving) -> list[str]:
    title, looked_at = _PLAIN[one.kind]
    return [
        title,
        looked_at,
        shown("money", one.cost, "USD"),
        range_text(one.alone),
        range_text(one.added),
    ]
