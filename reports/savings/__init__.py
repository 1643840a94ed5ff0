"""What would be saved: by duplicates, prefixes, routing, retries, and context that does not grow.

    from reports.savings import Span, savings

    found = savings(clickhouse, Span(date(2026, 11, 1), date(2026, 11, 30)))
    found.total                      # Range(low, high), USD; None: nothing is estimated
    found.of("routing").alone        # what routing alone would save
    for one in found.kinds:          # in the order in which they are taken off
        one.title, one.added, one.evidence, one.assumptions, one.not_estimated, one.sql

``Span(first, last, team=None, viewer=EVERYBODY)``: whole days, UTC, the last one included. A viewer
sees what their departments' and teams' calls would save. It blocks, and reads the archive of the
time: seconds for a month of some millions of calls. It raises ClickHouseError.
"""

from reports.routing.figures import Span
from reports.savings.model import Evidence, Kind, Part, Range, Saving, Savings, Terms
from reports.savings.savings import savings

__all__ = ["Evidence", "Kind", "Part", "Range", "Saving", "Savings", "Span", "Terms", "savings"]
