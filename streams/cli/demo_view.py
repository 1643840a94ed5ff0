"""What the demo shows: spend by team, live, and the summary at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.alerts import Alert
from sinks.amounts import amount_text

BAR_WIDTH = 12
_COLOURS = {"critical": "red", "warning": "yellow", "info": "blue"}


@dataclass(frozen=True, slots=True)
class TeamLine:
    """One team's spend. ``cost``: USD, None where none of it is priced; ``limit``: its budget."""

    team: str
    calls: int
    tokens: int
    cost: Decimal | None
    unpriced: int
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is shown at one moment."""

    elapsed: float
    seconds: int
    published: int
    teams: Sequence[TeamLine]
    alerts: Sequence[Alert]
    refused: int


def live(picture: Picture) -> RenderableType:
    """The table while the demo runs."""
    done = min(picture.elapsed, picture.seconds)
    head = Text.assemble(
        ("spendstream demo", "bold"),
        f"   {done:.0f} of {picture.seconds} s   {picture.published:,} events published   "
        f"{picture.refused} refused (dead letters)",
    )
    return Group(head, Text(), teams_table(picture.teams), Text(), *alert_lines(picture.alerts))


def teams_table(teams: Sequence[TeamLine]) -> Table:
    """Spend by team, the largest first."""
    table = Table(show_edge=False, header_style="bold", pad_edge=False)
    table.add_column("team")
    for name in ("calls", "tokens", "spend, USD"):
        table.add_column(name, justify="right")
    table.add_column("of budget")
    for line in sorted(teams, key=lambda line: line.cost or 0, reverse=True):
        unpriced = f"  ({line.unpriced} calls without a price)" if line.unpriced else ""
        table.add_row(
            line.team,
            f"{line.calls:,}",
            f"{line.tokens:,}",
            "not known" if line.cost is None else f"{line.cost:.4f}",
            Text.assemble(_bar(line), (unpriced, "dim")),
        )
    total = sum((line.cost for line in teams if line.cost is not None), Decimal(0))
    table.add_section()
    table.add_row(
        "all",
        f"{sum(line.calls for line in teams):,}",
        f"{sum(line.tokens for line in teams):,}",
        f"{total:.4f}",
        "",
    )
    return table


def _bar(line: TeamLine) -> Text:
    if line.limit is None or line.cost is None:
        return Text("–", style="dim")
    share = line.cost / line.limit
    filled = min(BAR_WIDTH, int(share * BAR_WIDTH))
    colour = "red" if share >= 1 else "yellow" if share >= Decimal("0.8") else "green"
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    return Text.assemble((bar, colour), f" {int(share * 100)} % of {line.limit:f}")


def alert_lines(alerts: Sequence[Alert]) -> list[RenderableType]:
    """The alerts so far, oldest first."""
    lines: list[RenderableType] = [Text("alerts", style="bold")]
    for alert in sorted(alerts, key=lambda alert: alert.at):
        colour = "green" if alert.transition == "resolved" else _COLOURS[alert.severity]
        lines.append(
            Text.assemble(
                f"  {alert.at:%H:%M:%S} ",
                (f"{alert.transition:<13}", colour),
                _headline(alert),
                (f"  {_amount(alert)}", "dim"),
            )
        )
    if not alerts:
        lines.append(Text("  none yet", style="dim"))
    return lines


def _headline(alert: Alert) -> str:
    """Shorter than the title that a channel gets: a terminal's line is."""
    if alert.rule == "budget":
        return f"budget of {alert.scope['team']}: {alert.threshold} %"
    if alert.rule == "retry_storm":
        return f"retry storm: {alert.scope.get('application', 'no application')}"
    return alert.title


def _amount(alert: Alert) -> str:
    if alert.value is None:
        return ""
    limit = "" if alert.limit is None else f" of {amount_text(alert.limit, alert.unit)}"
    what = "wasted " if alert.rule == "retry_storm" else ""
    return f"{what}{amount_text(alert.value, alert.unit)}{limit}"


def team_lines(
    rows: Sequence[tuple[str, int, int, Decimal | None, int]], limits: Mapping[str, Decimal]
) -> list[TeamLine]:
    """Lines from rows of `spend_by_team`."""
    return [
        TeamLine(team, calls, tokens, cost, unpriced, limits.get(team))
        for team, calls, tokens, cost, unpriced in rows
    ]
