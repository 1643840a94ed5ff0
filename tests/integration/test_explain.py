"""`spendstream explain` over a ledger, an archive and an alert that were written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.journal import Adjustment, Counted, SourcePartition
from schemas.usage import UsageEvent
from schemas.wire import encode_json, no_registry
from sinks.alert_log import AlertLog
from sinks.archive import Archive, Landed
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.cli.main import main
from streams.landing.archive import archive_rows
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.events import PRICES, call
from tests.support.ledger_rows import JOURNAL, SOURCE, journal_row, journal_rows
from tests.support.records import Record

pytestmark = pytest.mark.slow

Explain = Callable[..., tuple[int, dict[str, Any], str]]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
OWN = {"provider": "own", "model": "unit"}
DAY = ("--from", "2026-03-10", "--to", "2026-03-10")
BUDGETS = """
shadow: ignore
budgets:
  - {name: teams, each: team, limit: 10, unit: USD, period: month}
"""


@pytest.fixture
def explain(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> Explain:
    """Run a subcommand with --json: exit code, what it explained, stderr."""
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", clickhouse.url)
    for name, text in (("prices", PRICES), ("budgets", BUDGETS)):
        (tmp_path / f"{name}.yaml").write_text(text)
        monkeypatch.setenv(f"SPENDSTREAM_{name.upper()}", str(tmp_path / f"{name}.yaml"))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, dict[str, Any], str]:
        with pytest.raises(SystemExit) as end:
            main(["explain", *arguments, "--json"])
        said = capsys.readouterr()
        return int(end.value.code or 0), json.loads(said.out or "{}"), said.err

    return command


@pytest.fixture
def landed(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """Team search: $2, a retry of $1, a call without a price, a shadow of $4. Support: $3."""
    events = [
        call("two", "search", 2_000_000, user="ada"),
        call("again", "search", 1_000_000, attempt=2),
        call("dark", "search", 5, model="no-such", provider="openai"),
        call("copy", "search", 4_000_000, shadow_of="two"),
        call("three", "support", 3_000_000),
    ]
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    book = PriceBook.load(prices)
    records = [
        Record(0, offset, encode_json(UsageEvent.model_validate(fields)))
        for offset, fields in enumerate(events)
    ]
    span = Span(SOURCE, 0, 0, records)
    (draft,) = meter_batch([span], {0: IdWindow(1000)}, book, no_registry, 10**6).drafts
    Ledger(clickhouse, JOURNAL).write(
        0, draft.ranges, Counted(draft.ranges, None, draft.rows), NOON
    )
    decoded, _ = decoded_records(records, book, no_registry)
    archive = Archive(clickhouse, SOURCE)
    here = Landed(SourcePartition(SOURCE, 0), 0, len(records) - 1)
    archive.write(archive_rows(decoded), [here], archive.register_source())


def correct(clickhouse: ClickHouse, usd: str) -> None:
    """A correction of event `three` that nobody told the archive of."""
    correction = Adjustment(
        adjustment_id="by-hand/1",
        reason="by hand",
        source=SOURCE,
        partition=0,
        start=4,
        through=4,
        note="agreed with support",
    )
    row = journal_row(**OWN, minute=NOON, team="support", calls=0, cost=Decimal(usd))
    Ledger(clickhouse, JOURNAL).write(1, (), Counted((), correction, journal_rows(row)), NOON)


def alert(value: str, **changes: Any) -> Alert:
    fields = {
        "rule": "budget",
        "scope": {"team": "support", "budget": "teams"},
        "period": "2026-03",
        "threshold": "20",
        "transition": "opened",
        "severity": "warning",
        "title": "Team support has used 30 % of its 2026-03 budget",
        "detail": "The threshold of 20 % was reached.",
        "action": "See what grew.",
        "value": Decimal(value),
        "limit": Decimal(10),
        "since": NOON.replace(day=1, hour=0),
        "until": NOON.replace(month=4, day=1, hour=0),
        "at": NOON + timedelta(seconds=5),
        "journal": JOURNAL,
        "position": 0,
    }
    return Alert.model_validate(fields | changes)


def titled(step: dict[str, Any], beginning: str) -> dict[str, Any]:
    """The step below it, at any depth, whose title begins so."""
    found = [
        one
        for below in step.get("because", ())
        for one in (below, *below.get("because", ()))
        if one["title"].startswith(beginning)
    ]
    assert found, f"no step {beginning!r} in {json.dumps(step, indent=1)}"
    return found[0]


@pytest.mark.usefixtures("landed")
def test_an_event_is_traced_to_its_price_its_entry_and_its_offset(explain):
    code, step, _ = explain("event", "two")
    assert (code, step["usd"]) == (0, "2")
    price = titled(step, "price: ")
    assert price["usd"] == "2"
    assert price["facts"][0] == "2,000,000 input tokens at $1 per million"
    ledger = titled(step, f"ledger: entry 0 of the journal {JOURNAL}")
    assert ledger["usd"] == "2"
    assert "offsets 0 to 4" in ledger["facts"][0]
    assert titled(step, "log: ")["title"] == f"log: {SOURCE}[0], offset 0"


@pytest.mark.usefixtures("landed")
def test_an_event_without_a_price_has_no_cost_and_says_why(explain):
    code, step, _ = explain("event", "dark")
    assert code == 0
    assert "usd" not in step
    assert titled(step, "price: unpriced")["facts"][0].startswith("no price is known")


@pytest.mark.usefixtures("landed")
def test_a_price_that_has_changed_since_is_a_doubt(explain, tmp_path):
    (tmp_path / "prices.yaml").write_text(PRICES.replace("input: 1", "input: 3"))
    code, step, _ = explain("event", "two")
    assert (code, step["usd"]) == (1, "2")
    assert "gives $6" in titled(step, "price: ")["doubt"]


@pytest.mark.usefixtures("landed")
def test_a_cell_adds_up_by_price_by_journal_and_in_the_archive(explain):
    code, step, _ = explain("spend", *DAY, "--where", "team=search")
    assert (code, step["usd"]) == (0, "7")
    assert step["facts"] == ["4 calls", "1 call not in it, as no price is known"]
    assert titled(step, "own/unit")["usd"] == "7"
    assert "usd" not in titled(step, "openai/no-such")
    assert titled(step, "1 entry of the journal")["usd"] == "7"
    assert titled(step, "4 events in the archive")["usd"] == "7"
    assert titled(step, "event copy")["usd"] == "4"


@pytest.mark.usefixtures("landed")
def test_every_query_that_is_shown_gives_the_figure_beside_it(explain, clickhouse):
    _, step, _ = explain("spend", *DAY, "--where", "team=search", "--where", "user=ada")
    asked = [step, titled(step, "1 event in the archive")]
    assert [clickhouse.query(one["sql"])[0][0] for one in asked] == [Decimal(2), Decimal(2)]


@pytest.mark.usefixtures("landed")
def test_a_correction_is_named_and_what_the_archive_lacks_is_a_doubt(explain, clickhouse):
    correct(clickhouse, "-1.5")
    code, step, _ = explain("spend", *DAY, "--where", "team=support")
    assert (code, step["usd"]) == (1, "1.5")
    correction = titled(step, "correction by-hand/1 (by hand)")
    assert (correction["usd"], correction["facts"][1]) == ("-1.5", "agreed with support")
    assert "the ledger has $1.5" in titled(step, "1 event in the archive")["doubt"]
    _, step, _ = explain("event", "three")
    assert titled(step, "correction by-hand/1")["usd"] == "-1.5"


@pytest.mark.usefixtures("landed")
def test_an_alert_is_held_against_the_ledger_as_of_its_evidence(explain, clickhouse):
    AlertLog(clickhouse).record_alerts(
        [alert("3"), alert("3", transition="acknowledged", number=2)]
    )
    correct(clickhouse, "100")
    code, step, _ = explain("alert", alert("3").alert_id)
    evidence = titled(step, "as of journal entry 0")
    assert evidence["usd"] == "3"
    assert "the figure of the alert, to the last digit" in evidence["facts"]
    assert titled(step, "team support, 2026-03-01 to 2026-03-31")["usd"] == "103"
    assert titled(step, "2. acknowledged")
    assert code == 1  # what the archive does not have


@pytest.mark.usefixtures("landed")
def test_an_alert_with_another_figure_than_the_ledgers_is_a_doubt(explain, clickhouse):
    AlertLog(clickhouse).record_alerts([alert("2")])
    code, step, _ = explain("alert", alert("2").alert_id)
    assert code == 1
    assert "the alert said $2.00" in titled(step, "as of journal entry 0")["doubt"]


@pytest.mark.usefixtures("landed")
def test_a_budget_is_its_fullest_member_or_the_one_that_is_named_without_shadows(explain):
    code, step, _ = explain("budget", "teams")
    assert (code, step["usd"]) == (0, "3")
    assert "what its spend below adds up to, to the last digit" in step["facts"]
    code, step, _ = explain("budget", "teams", "--of", "team=support")
    assert step["title"] == "budget teams, Team support, 2026-03"


@pytest.mark.usefixtures("landed")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("event", "to"), "no event 'to' is in the archive"),
        (("alert", "x"), "no alert 'x' is on record"),
        (("budget", "team"), "did you mean teams?"),
        (("budget", "teams", "--of", "team=none"), "known: Team"),
        (("spend", *DAY, "--where", "tem=search"), "did you mean team?"),
        (("spend", *DAY, "--where", "search"), "is not DIMENSION=NAME"),
        (("spend", "--from", "2026-03-10", "--to", "2026-03-01"), "is before --from"),
    ],
)
def test_a_mistake_is_one_line_with_what_would_be_right(explain, arguments, said):
    code, step, error = explain(*arguments)
    assert (code, step) == (2, {})
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("landed")
def test_names_are_data_whatever_is_in_them(explain):
    code, step, _ = explain("spend", *DAY, "--where", "team=') OR 1 = 1 --")
    assert (code, step["facts"][0]) == (0, "0 calls")
