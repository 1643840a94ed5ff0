"""`spendstream report savings`, on months in which the right answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.savings import Range, Savings, Span, Terms, read, savings
from reports.viewer import Viewer
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.cli.main import main
from streams.repricing.recording import record_rates_in_use
from tests.support.known_savings import Month, known_month, land
from tests.support.known_savings_truth import Truth, grown, truth
from tests.support.simulated_month import MonthTruth, cost_of, fill_month

pytestmark = pytest.mark.slow

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
NOVEMBER = Span(FIRST, LAST)
EXACT = ("duplicates", "prefixes", "retries")
TWO_PERCENT = Decimal("0.02")
Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Landed:
    """A database, what is in it, and where its price file is."""

    clickhouse: ClickHouse
    month: Month
    folder: Path


def database(endpoint: str, name: str) -> ClickHouse:
    server = ClickHouse(endpoint)
    server.command(f"CREATE DATABASE {name}")
    server.close()
    connection = ClickHouse(endpoint, database=name)
    migrate(connection)
    return connection


@pytest.fixture(scope="module")
def landed(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    """The month of `tests.support.known_savings`."""
    connection, folder = database(endpoint, "known_savings"), tmp_path_factory.mktemp("prices")
    month = known_month()
    book = land(connection, month, folder)
    models = ("own", "large"), ("own", "small")
    record_rates_in_use(connection, book, FIRST, LAST, [models])
    yield Landed(connection, month, folder)
    connection.close()


@pytest.fixture(scope="module")
def found(landed: Landed) -> Savings:
    return savings(landed.clickhouse, NOVEMBER)


@pytest.fixture(scope="module")
def truths(landed: Landed) -> tuple[Truth, Truth]:
    """Of the cautious and of the hopeful case."""
    return truth(landed.month, hopeful=False), truth(landed.month, hopeful=True)


@pytest.fixture
def run(landed: Landed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Run:
    """Run `spendstream report savings`: exit code, stdout, stderr."""
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", "known_savings")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", landed.clickhouse.url)
    monkeypatch.setenv("SPENDSTREAM_PRICES", str(landed.folder / "prices.yaml"))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["report", "savings", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def near(found: Range | None, low: Decimal, high: Decimal) -> bool:
    """Both ends are within 2 % of what is true."""
    assert found is not None
    return (
        abs(found.low - low) <= TWO_PERCENT * low and abs(found.high - high) <= TWO_PERCENT * high
    )


def test_the_month_is_as_it_is_said_to_be(landed, found):
    calls = len(landed.month.calls)
    hundred = found.of("duplicates").evidence[0].value * 100
    assert 9 * calls < hundred < 11 * calls
    read_calls = found.of("prefixes").evidence[0].value
    served = sum("cache_read_tokens" in event for event in landed.month.calls)
    assert 29 * calls < (read_calls + served) * 100 < 32 * calls
    assert 64 * calls < found.of("routing").calls * 100 < 66 * calls


@pytest.mark.parametrize("kind", EXACT)
def test_what_is_counted_call_by_call_is_exact(found, truths, kind):
    low, high = truths
    assert found.of(kind).alone == Range(low.alone[kind], high.alone[kind])


@pytest.mark.parametrize("kind", ["duplicates", "prefixes"])
def test_what_comes_before_routing_is_exact_on_top_of_the_others(found, truths, kind):
    low, high = truths
    assert found.of(kind).added == Range(low.added[kind], high.added[kind])


def test_routing_and_the_total_are_within_two_percent_of_the_truth(found, truths):
    low, high = truths
    routing = found.of("routing")
    assert near(routing.alone, low.alone["routing"], high.alone["routing"])
    assert near(routing.added, low.added["routing"], high.added["routing"])
    assert near(found.of("retries").added, low.added["retries"], high.added["retries"])
    assert near(found.total, low.total, high.total)


def test_growing_context_is_exact_and_only_ever_an_upper_bound(landed, found):
    context = found.of("context")
    assert context.alone == Range(Decimal(0), grown(landed.month))
    assert context.added is None


def test_the_total_is_less_than_all_savings_alone(found):
    alone = sum(one.alone.high for one in found.kinds if one.kind != "context")
    assert found.total.high < alone * Decimal("0.9")
    added = [one.added for one in found.kinds if one.added is not None]
    assert found.total == Range(sum(one.low for one in added), sum(one.high for one in added))


@pytest.mark.parametrize("kind", ["duplicates", "prefixes", "retries", "context"])
def test_the_query_behind_a_saving_gives_it(landed, found, kind):
    saving = found.of(kind)
    ((low, high),) = landed.clickhouse.query(saving.sql)
    assert Range(Decimal(low), high) == saving.alone


def test_the_query_behind_routing_gives_what_the_calls_cost(landed, found):
    rows = landed.clickhouse.query(found.of("routing").sql)
    assert sum(row[3] for row in rows if row[0] == "answers") == found.of("routing").cost


def test_some_days_at_a_time_give_the_same(landed, found, monkeypatch):
    monkeypatch.setattr(read, "MOST_CALLS", 1500)
    assert savings(landed.clickhouse, NOVEMBER) == found


def test_a_team_and_a_viewer_see_their_own(landed, found):
    teams = [savings(landed.clickhouse, Span(FIRST, LAST, name)) for name in ("search", "support")]
    viewer = Viewer.of("ada", departments=["product"])
    theirs = savings(landed.clickhouse, Span(FIRST, LAST, viewer=viewer))
    assert theirs.calls == teams[0].calls + teams[1].calls
    alone = [one.of("duplicates").alone for one in (*teams, theirs)]
    assert alone[0].low + alone[1].low == alone[2].low
    assert theirs.of("routing").evidence[1].value < found.of("routing").evidence[1].value


def test_a_longer_window_finds_more_and_a_shorter_one_less(landed, found):
    saved = [found.of("duplicates").alone.low]
    for hours in (48, 1):
        terms = Terms(answer_window=timedelta(hours=hours))
        saved.append(savings(landed.clickhouse, NOVEMBER, terms).of("duplicates").alone.low)
        exact = truth(landed.month, hopeful=False, window=terms.answer_window)
        assert saved[-1] == exact.alone["duplicates"]
    day, longer, shorter = saved
    assert shorter < day < longer


def test_a_quality_that_is_tolerated_lets_more_calls_go(landed, found):
    terms = Terms(tolerated_loss=Decimal("0.5"))
    loose = savings(landed.clickhouse, NOVEMBER, terms).of("routing")
    assert loose.calls == found.calls
    assert loose.alone.low > found.of("routing").alone.low * Decimal("1.4")


def test_a_named_model_prices_what_has_no_shadows(landed):
    # So few days that no use case has 30 pairs.
    days = Span(FIRST, date(2026, 11, 2))
    routing = savings(landed.clickhouse, days).of("routing")
    assert routing.alone is None
    assert "fewer than 30 pairs" in routing.not_estimated[0]
    terms = Terms(cheaper={("own", "large"): ("own", "small")})
    named = savings(landed.clickhouse, days, terms).of("routing")
    # Each rate of the small model is a fifth of the large one's.
    assert named.alone == Range(Decimal(0), named.cost * Decimal("0.8"))
    terms = Terms(cheaper={("own", "large"): ("own", "unheard-of"), ("own", "x"): ("own", "y")})
    unknown = savings(landed.clickhouse, days, terms).of("routing")
    assert unknown.alone is None
    assert [sentence.split(":")[0] for sentence in unknown.not_estimated] == [
        "own/large at own/unheard-of",
        "own/x, which is named",
        unknown.not_estimated[2].split(":")[0],
    ]


def test_prefixes_without_recorded_rates_are_not_estimated_and_it_is_said(clickhouse, tmp_path):
    land(clickhouse, known_month(), tmp_path)
    found = savings(clickhouse, NOVEMBER)
    assert found.of("prefixes").alone is None
    assert found.of("context").alone is None
    assert "own/large: no input and cache read rates" in found.of("prefixes").not_estimated[1]
    assert found.total.low > 0


def test_nothing_is_known_of_days_without_calls(clickhouse):
    found = savings(clickhouse, NOVEMBER)
    assert (found.calls, found.cost, found.kinds, found.total) == (0, None, (), None)


def test_the_command_shows_every_kind_and_what_it_rests_on(run, found):
    code, out, err = run("--from", "2026-11-01", "--to", "2026-11-30")
    assert (code, err) == (0, "")
    for one in found.kinds:
        assert one.title in out
        assert all(sentence in out for sentence in one.assumptions)
    assert "All together" in out
    assert max(map(len, out.splitlines())) < 1000


def test_the_command_says_it_to_machines_exactly(run, found):
    code, out, _ = run("--from", "2026-11-01", "--to", "2026-11-30", "--json")
    said = json.loads(out)
    assert code == 0
    assert Decimal(said["total"]["low_usd"]) == found.total.low
    assert [one["kind"] for one in said["kinds"]] == [one.kind for one in found.kinds]
    assert Decimal(said["kinds"][0]["alone"]["high_usd"]) == found.of("duplicates").alone.high


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-11-02", "--to", "2026-11-01"), "exchange them"),
        (("--from", "2026-10-01", "--to", "2026-10-02"), "there are no calls from"),
        (("--from", "2026-11-01", "--to", "2026-11-02", "--team", "x"), "of team 'x'"),
        (("--from", "2026-11-01", "--to", "2026-11-02", "--cheaper", "gpt-4o"), "no exchange"),
        (("--from", "2026-11-01", "--to", "2026-11-02", "--tolerate", "-1"), "is no quality"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, said):
    code, out, err = run(*arguments)
    assert (code != 0, out, len(err.splitlines())) == (True, "", 1)
    assert said in err


@pytest.fixture(scope="module")
def company(endpoint: str) -> Iterator[tuple[ClickHouse, MonthTruth]]:
    """A month of the simulated company."""
    connection = database(endpoint, "company_savings")
    yield connection, fill_month(connection, FIRST, thinned=60)
    connection.close()


def test_the_savings_of_the_simulated_company_are_found_within_two_percent(company):
    clickhouse, month = company
    found = savings(clickhouse, Span(month.first, month.last))
    duplicated = cost_of(month.duplicates)
    assert near(found.of("duplicates").alone, duplicated, duplicated)
    assert near(found.of("routing").alone, month.routable_saved, month.routable_saved)
    cacheable = sum(call.cacheable_tokens for call in month.work)
    assert found.of("prefixes").evidence[1].value == cacheable
    assert found.cost == cost_of(month.work)
