"""`/prompts`: prompts and caches."""

from __future__ import annotations

from reports.charts.parts import parts_chart
from reports.figures.archive import MOST_CALLS, repeats, small_enough
from reports.figures.lens import Lens
from reports.figures.prompts import prompts
from reports.page.asked import Asked
from reports.page.content import Chart, Content, Rows, Section
from sinks.clickhouse import ClickHouse


def prompts_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = prompts(clickhouse, lens)
    sections = [
        Section(
            "Providers' caches",
            lead="Providers keep the beginning of a prompt that is sent again, and charge less.",
            figures=list(found.totals.values()),
            charts=[
                Chart(
                    "cache_by_model",
                    parts_chart(
                        found.by_model, "model", "cache_read_share", "", title="Share", kind="share"
                    ),
                    "Prompt tokens from the provider's cache, as a share of all, by model.",
                    found.by_model,
                )
            ],
            tables=[Rows(found.by_team, lambda row: asked.of("team", row["team"]).url("/prompts"))],
        )
    ]
    if small_enough(clickhouse, lens):
        single = repeats(clickhouse, lens)
        sections += [
            Section("A gateway's cache", figures=list(single.cache.values())),
            Section("Repeated prompts", tables=[Rows(single.repeated)]),
            Section(
                "Context", tables=[Rows(single.context, empty="No call says its context_tokens.")]
            ),
        ]
    else:
        sections.append(Section("A gateway's cache, repeats and context", notes=[too_many()]))
    return Content("Prompts and caches", sections)


def too_many() -> str:
    """Why figures of single calls are left out."""
    return (
        f"The period has more than {MOST_CALLS:,} calls, and these figures read each of them: "
        "choose fewer days, or run `spendstream report savings`."
    )
