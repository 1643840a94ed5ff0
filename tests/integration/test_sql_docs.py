"""docs/sql.md against the database: every query runs and answers, every column is named."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.dead_letters import Letter
from schemas.journal import Adjustment, Counted, SourcePartition
from schemas.outcome import checked_outcome
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from sinks.alert_log import AlertLog
from sinks.archive import Archive, Landed
from sinks.budget_log import BudgetLog, RateRow, StandingRow
from sinks.clickhouse import ClickHouse
from sinks.closings import Closing, Total, record_closing
from sinks.dead_letters import DeadLetters
from sinks.invoices import Charge, Invoices
from sinks.ledger import Ledger
from sinks.migrate import migrate, migrations
from sinks.outcomes import Outcomes, Read, Reported
from streams.landing.archive import archive_rows
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from streams.repricing.prices import record_prices
from tests.support.ledger_rows import journal_row, journal_rows
from tests.support.records import Record

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
QUERIES = [
    pytest.param(query, id=f"{title}-{number}")
    for title, body in SECTIONS.items()
    for number, query in enumerate(
        re.findall(r"^```sql\n(.*?)^```", body, re.DOTALL | re.MULTILINE)
    )
]
TABLES = {"spend", "spend_daily", "spend_by_day", "spend_by_workflow"}
TOKENS = ("input_tokens", "cache_read_tokens", "output_tokens")
SOURCE, JOURNAL = "cluster/llm.usage", "cluster/llm.spend"

SERVER = """
import asyncio, signal, sys
from pathlib import Path
from sinks.embedded import User, serve

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(Path(sys.argv[1]), "127.0.0.1", 0, (User("default"),), stop=stop,
                ready=lambda url: print(url, flush=True))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """An embedded endpoint with migrations, and a few events, entries and alerts."""
    folder = tmp_path_factory.mktemp("sql")
    command = [sys.executable, "-c", SERVER, str(folder / "data")]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            connection = ClickHouse(process.stdout.readline().strip())
            migrate(connection)
            fill(connection)
            yield connection
            connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0


def event(number: int, **changes: Any) -> bytes:
    fields = {
        "event_id": f"e{number}",
        "occurred_at": datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(minutes=number),
        "provider": "openai",
        "model": "gpt-4o",
        "team": "search",
        "application": "agent",
        "usage_source": "reported",
        "input_tokens": 1000,
        "cache_read_tokens": 500,
        "output_tokens": 100,
        "prompt_hash": "same",
    }
    return encode(UsageEvent.model_validate(fields | changes))


def fill(connection: ClickHouse) -> None:
    values = [
        event(0, provider_cost="0.01", workflow="run-7", user="ada", customer="acme"),
        event(1, attempt=2, status="timeout", error_code="deadline", workflow="run-7"),
        event(2, model="no-such-model", team="support"),
        event(3, usage_source="missing", **dict.fromkeys(TOKENS)),
        event(4, served_from_cache=True),
        event(5, served_from_cache=True, prompt_hash="another"),
    ]
    records = [Record(0, offset, value) for offset, value in enumerate(values)]
    book = PriceBook.load()
    record_prices(connection, book, [("openai", "gpt-4o", None, None)])
    span = Span(SOURCE, 0, 0, records)
    (draft,) = meter_batch([span], {0: IdWindow(1000)}, book, no_registry, 10**6).drafts
    counted = Counted(draft.ranges, None, draft.rows)
    Ledger(connection, JOURNAL).write(0, draft.ranges, counted, datetime.now(UTC))
    late = Adjustment(
        adjustment_id="reconciliation/1",
        reason="reconciliation",
        source=SOURCE,
        partition=0,
        start=0,
        through=0,
    )
    counted = Counted((), late, journal_rows(journal_row(calls=-1)))
    Ledger(connection, JOURNAL).write(1, (), counted, datetime.now(UTC))
    archive = Archive(connection, SOURCE)
    events, refusals = decoded_records(records, book, no_registry)
    assert not refusals
    key = SourcePartition(SOURCE, 0)
    archive.write(
        archive_rows(events), [Landed(key, 0, len(records) - 1)], archive.register_source()
    )
    now = datetime.now(UTC)
    opened = Alert(
        rule="budget",
        scope={"team": "search"},
        period="2026-11",
        threshold="80",
        transition="opened",
        severity="warning",
        title="Team search has used 81.2 % of its 2026-11 budget",
        detail="The threshold of 80 % was reached.",
        action="See which application grew.",
        since=now,
        at=now,
        journal=JOURNAL,
        position=0,
    )
    taken = {"transition": "acknowledged", "number": 2, "by": "ada"}
    AlertLog(connection).record_alerts([opened, opened.model_copy(update=taken)])
    record_budget(connection)
    close_month(connection)
    refused = Letter(SOURCE, 0, 9, b"search", b"{}", (), now, "missing_field", "team is required")
    DeadLetters(connection).record([refused])
    fields = {"occurred_at": "2026-11-01T13:00:00Z", "of": "e0", "workflow": "run-7"}
    outcomes = [
        checked_outcome(fields | {"outcome_id": name, "name": name, "value": "0.9"})
        for name in ("quality", "resolved_ticket")
    ]
    invoiced = {"provider": "openai", "format": "openai", "file": "costs.csv", "line": 2}
    on = {"day": now.date(), "last_day": now.date(), "zone": "UTC", "account": "search"}
    said = {"amount_said": "0.25", "amount": Decimal("0.25"), "currency": "USD"}
    fee = {"sku": "web search", "charge": "fee", "model": None, "token_class": None, "tokens": None}
    usd = {"units_per_usd": None, "usd": Decimal("0.25")}
    charge = Charge(line_id="1", **invoiced, **on, **said, **fee, **usd)
    Invoices(connection, "openai").write([charge])
    Outcomes(connection, SOURCE).write(
        [Reported(outcome, 0, offset, 0) for offset, outcome in enumerate(outcomes)], {0: Read(1)}
    )


def close_month(connection: ClickHouse) -> None:
    """Before anything was recorded, so that all of it restates the month."""
    at = datetime(2026, 12, 1, tzinfo=UTC)
    closing = Closing(date(2026, 11, 1), 1, at, "ada", "", {JOURNAL: -1}, 1, None)
    record_closing(connection, closing, [Total(None, "search", 1, None)])


def record_budget(connection: ClickHouse) -> None:
    """A budget that the one priced call has used nearly nothing of, and a rate for it."""
    now = datetime.now(UTC)
    standing = StandingRow(
        budget="organisation",
        each=(),
        member=(),
        scope={},
        selects={},
        period="2026-11",
        period_start=datetime(2026, 11, 1, tzinfo=UTC),
        period_end=datetime(2026, 12, 1, tzinfo=UTC),
        unit="USD",
        limit=Decimal(1000),
        used=Decimal(1),
        used_usd=Decimal(1),
        hourly=None,
        forecast=None,
        breach_at=None,
        journal=JOURNAL,
        position=1,
        as_of=datetime(2026, 11, 1, 13, tzinfo=UTC),
    )
    BudgetLog(connection).record([standing], now)
    rate = RateRow("HKD", datetime(2026, 1, 1, tzinfo=UTC), Decimal("7.8"), "budgets.yaml")
    BudgetLog(connection).record_rates([rate], now)


def test_every_public_table_and_view_has_a_section_and_a_query():
    views = {
        name
        for migration in migrations()
        for name in re.findall(r"CREATE VIEW IF NOT EXISTS (\w+)", migration.sql)
    }
    assert set(SECTIONS) == views | TABLES
    assert [title for title, body in SECTIONS.items() if "```sql" not in body] == []


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_answers(clickhouse, query):
    names, rows = clickhouse.query_columns(query)
    assert names
    assert rows


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_names_every_column_in_its_table(clickhouse, title):
    documented = [
        name
        for row in re.findall(r"^\| (`.*?) \|", SECTIONS[title], re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    # A view with parameters has columns only as it is asked.
    asked = re.search(rf"FROM ({title}\([^)]*\))", SECTIONS[title])
    described = clickhouse.query(f"DESCRIBE TABLE {asked[1] if asked else title}")
    columns = [name for name, *_ in described]
    assert sorted(documented) == sorted(columns)


def test_a_cache_hit_saves_what_the_newest_call_with_its_prompt_was_billed(clickhouse):
    rows = clickhouse.query(
        "SELECT event_id, paid_event_id, saved = (SELECT cost FROM usage WHERE event_id = 'e0') "
        "FROM cache_savings ORDER BY event_id"
    )
    assert rows == [("e4", "e0", True), ("e5", None, None)]
