"""Agreements: what a month comes to under them is in the ledger, once, to the last digit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.agreements.apply import Applied, Applier
from streams.agreements.book import Agreement, Commitment, Step, Volume
from streams.agreements.eligible import names_applied, read_applied
from streams.agreements.statement import read_statement
from streams.cli.main import main
from streams.guard.money import pico
from streams.rating.pricebook import PriceBook
from streams.reconciliation.verdict import reconcile
from tests.integration.test_reconcile import Pipeline
from tests.integration.test_repricing import CutOff, Journal
from tests.support.events import call
from tests.support.ledger_rows import JOURNAL

pytestmark = pytest.mark.slow

MARCH = date(2026, 3, 1)
PROVIDERS = ("steps", "late", "cut", "race", "ended", "team", "shown", "other")
PRICES = "prices:\n" + "".join(
    f"  - {{provider: {name}, model: {model}, effective_from: 2020-01-01, "
    "usd_per_million_tokens: {input: 1, output: 1}}\n"
    for name in PROVIDERS
    for model in ("unit", "mini")
)
"""One dollar for a million tokens."""


@pytest.fixture(scope="module")
def pipeline(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A ledger for all of these tests: each has a provider of its own."""
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(PRICES)
    server = ClickHouse(endpoint)
    server.command("CREATE DATABASE agreements")
    connection = ClickHouse(endpoint, database="agreements")
    migrate(connection)
    pipeline = Pipeline(connection, PriceBook.load(file))
    # Whole dollars of every team, on two days.
    for number, provider in enumerate(PROVIDERS):
        for n, (team, model, day, dollars) in enumerate(
            [("search", "unit", 10, 30), ("support", "unit", 11, 50), ("search", "mini", 11, 20)]
        ):
            pipeline.both(number % 2, spend(f"{provider}-{n}", provider, team, dollars, day, model))
    yield pipeline
    connection.close()
    server.command("DROP DATABASE agreements")
    server.close()


def spend(
    event_id: str, provider: str, team: str, dollars: int, day: int = 10, model: str = "unit"
) -> dict[str, Any]:
    return call(
        event_id,
        team,
        dollars * 10**6,
        provider=provider,
        model=model,
        occurred_at=f"2026-03-{day}T12:00:00Z",
        department="shop",
    )


def volume(provider: str, **fields: Any) -> Agreement:
    """Of 100 dollars, 10 % of the 70 above 30."""
    steps = (Step(above=Decimal(30), percent=Decimal(10)),)
    return Agreement(
        **{
            "name": f"{provider}-2026",
            "provider": provider,
            "effective_from": MARCH,
            "volume": Volume(rebate_on="part_above", steps=steps),
        }
        | fields
    )


def committed(provider: str, usd: int, **fields: Any) -> Agreement:
    terms = Commitment(monthly_usd=usd, percent="20", overage="list", **fields)
    return volume(provider, volume=None, commitment=terms)


def apply(pipeline: Pipeline, agreement: Agreement, journal: Journal | None = None) -> Applied:
    sender: Any = journal or Journal(pipeline)
    applier = Applier(pipeline.clickhouse, sender, JOURNAL, "ada@host: test", lambda _: None)
    return asyncio.run(applier.apply(agreement, MARCH))


def owed(pipeline: Pipeline, provider: str) -> Decimal:
    """What the ledger says that a provider's month cost."""
    sql = "SELECT sum(cost) FROM spend WHERE provider = {provider:String}"
    total: Decimal = pipeline.clickhouse.query(sql, {"provider": provider})[0][0]
    return total


def test_a_rebate_goes_to_those_who_spent_in_proportion_and_only_once(pipeline):
    agreement = volume("steps")
    assert apply(pipeline, agreement) == Applied("steps-2026", 1, -7 * 10**12)
    assert owed(pipeline, "steps") == 93
    parts = pipeline.clickhouse.query(
        "SELECT toDayOfMonth(minute), department, team, model, cost, calls, price_ref FROM spend "
        "WHERE kind = 'true_up' AND provider = 'steps' ORDER BY ALL"
    )
    said = (0, "agreement steps-2026 2026-03")
    assert parts == [
        (10, "shop", "search", "unit", Decimal("-2.1"), *said),
        (11, "shop", "search", "mini", Decimal("-1.4"), *said),
        (11, "shop", "support", "unit", Decimal("-3.5"), *said),
    ]
    journal = Journal(pipeline)
    assert apply(pipeline, agreement, journal) == Applied("steps-2026", 0, 0)
    assert journal.sent == []
    assert reconcile(pipeline.clickhouse, pipeline.guard()).ok
    assert "steps-2026" in names_applied(pipeline.clickhouse, MARCH)


def test_late_spend_trues_up_the_difference_alone(pipeline):
    agreement = volume("late")
    apply(pipeline, agreement)
    pipeline.both(0, spend("late-9", "late", "risk", 33))
    assert apply(pipeline, agreement) == Applied("late-2026", 1, -33 * 10**11)
    assert owed(pipeline, "late") == Decimal("122.7")
    held = read_applied(pipeline.clickhouse, "late-2026", MARCH)
    assert sum(held.values()) == -pico(Decimal("10.3"))
    assert {place.named["team"] for place in held} == {"search", "support", "risk"}
    assert apply(pipeline, agreement).true_ups == 0


def test_cut_off_in_the_middle_it_is_completed_by_the_next_run(pipeline, monkeypatch):
    monkeypatch.setattr("streams.trueup.money.MOST_ROWS", 1)
    agreement = volume("cut")
    with pytest.raises(CutOff):
        apply(pipeline, agreement, Journal(pipeline, 2))
    assert owed(pipeline, "cut") != 93
    assert apply(pipeline, agreement).true_ups == 1
    assert owed(pipeline, "cut") == 93


def test_of_two_at_the_same_time_one_counts(pipeline):
    other = Journal(pipeline)

    class Late(Journal):
        async def send_and_wait(self, *given: Any, **named: Any) -> Any:
            await other.send_and_wait(*given, **named)
            return await super().send_and_wait(*given, **named)

    assert apply(pipeline, volume("race"), Late(pipeline)).true_ups == 0
    assert owed(pipeline, "race") == 93


def test_an_agreement_that_did_not_hold_takes_its_rebate_back(pipeline):
    apply(pipeline, volume("ended", effective_from=date(2026, 1, 1)))
    ended = volume("ended", effective_from=date(2026, 1, 1), effective_until=MARCH)
    assert apply(pipeline, ended) == Applied("ended-2026", 1, 7 * 10**12)
    assert owed(pipeline, "ended") == 100


def test_a_shortfall_is_billed_to_the_team_that_bears_it_or_to_everybody(pipeline):
    # 100 used at 20 % off is 80 of 200.
    apply(pipeline, committed("team", 200, shortfall_to="platform"))
    assert owed(pipeline, "team") == 200
    rows = pipeline.clickhouse.query(
        "SELECT toDate(minute), model, cost FROM spend WHERE team = 'platform'"
    )
    assert rows == [(date(2026, 3, 31), "commitment", Decimal(120))]
    apply(pipeline, committed("team", 200))
    assert owed(pipeline, "team") == 200
    rows = pipeline.clickhouse.query("SELECT sum(cost) FROM spend WHERE team = 'platform'")
    assert rows == [(Decimal(0),)]


def test_a_shortfall_of_a_month_without_spend_needs_somebody_to_bear_it(pipeline):
    with pytest.raises(UserError, match="nobody spent anything under it in 2026-03"):
        apply(pipeline, committed("unheard-of", 200))
    apply(pipeline, committed("unheard-of", 200, shortfall_to="platform"))
    assert owed(pipeline, "unheard-of") == 200


def test_true_ups_are_no_eligible_spend_and_a_proposed_agreement_is_never_applied(pipeline):
    before = read_statement(pipeline.clickhouse, volume("other"), MARCH).settled
    apply(pipeline, volume("other"))
    after = read_statement(pipeline.clickhouse, volume("other"), MARCH)
    assert after.settled == before
    assert after.outstanding == 0
    assert apply(pipeline, volume("other", name="more", proposed=True)).true_ups == 0


FILE = """
agreements:
  - {name: signed, provider: shown, effective_from: 2026-01-01, commitment:
     {monthly_usd: 60, percent: 25, overage: list}}
  - {name: wanted, provider: shown, effective_from: 2027-01-01, proposed: true, volume:
     {measure: tokens, rebate_on: whole_month, steps: [{above: 1000000, percent: 30}]}}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Run:
    """Run `spendstream agreements`: exit code, stdout, stderr."""
    (tmp_path / "agreements.yaml").write_text(FILE)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", pipeline.clickhouse.url)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", "agreements")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["agreements", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def test_the_report_has_every_figure_of_signed_and_proposed_agreements(run):
    march = ("report", "--file", "agreements.yaml", "--month", "2026-03")
    code, out, err = run(*march, "--json")
    assert (code, err) == (0, "")
    signed, wanted = json.loads(out)["agreements"]
    # 60 a month at 25 % off cover 80 of the 100; the other 20 are at list.
    assert signed["eligible_usd"] == "100"
    assert (signed["used_usd"], signed["utilisation"], signed["coverage"]) == ("60", "1", "0.8")
    assert (signed["rebate_usd"], signed["shortfall_usd"], signed["owed_usd"]) == ("20", "0", "80")
    assert (signed["break_even_usd"], signed["to_apply_usd"]) == ("60", "-20")
    assert wanted["step_reached"] == {"above": "1000000", "percent": "30"}
    assert (wanted["rebate_usd"], wanted["to_apply_usd"]) == ("30", None)
    _, out, _ = run(*march)
    assert "instead of signed  $10.00 less than now" in out
    assert "pays from $60.00 of spend a month on; this month is $40.00 above" in out


def test_months_stand_side_by_side_and_add_up(run):
    months = ("--file", "agreements.yaml", "--month", "2026-03", "--since", "2026-02")
    _, out, _ = run("report", *months)
    months_of_signed = out.partition("By month")[2].partition("wanted")[0]
    lines = [line.split() for line in months_of_signed.splitlines() if line.strip()][2:]
    assert lines == [
        ["month", "eligible", "rebate", "shortfall", "owed", "saved"],
        ["2026-02", "$0.00", "$0.00", "$60.00", "$60.00", "-$60.00"],
        ["2026-03", "$100.00", "$20.00", "$0.00", "$80.00", "$20.00"],
        ["in", "force", "$100.00", "$20.00", "$60.00", "$140.00", "-$40.00"],
    ]
    _, out, _ = run("report", *months, "--json")
    assert [one["month"] for one in json.loads(out)["months"]] == ["2026-02", "2026-03"]
    code, _, err = run("report", *months[:4], "--since", "2026-04")
    assert code == 2
    assert "--since: 2026-04 is after --month 2026-03; exchange them" in err


def test_what_the_file_forgot_is_said_and_nothing_is_applied_over_it(run, pipeline):
    apply(pipeline, volume("other", name="forgotten"))
    _, out, _ = run("report", "--file", "agreements.yaml", "--month", "2026-03")
    assert "the ledger was trued up for 'forgotten'" in out
    code, _, err = run(
        *("apply", "--file", "agreements.yaml", "--month", "2026-03", "--why", "x", "--yes")
    )
    assert code == 2
    assert "forgotten" in err
    assert err.count("\n") == 1


def test_a_month_that_is_not_over_is_not_applied(run):
    month = f"{datetime.now(UTC):%Y-%m}"
    code, _, err = run(
        *("apply", "--file", "agreements.yaml", "--month", month, "--why", "x", "--yes")
    )
    assert code == 2
    assert "is over when" in err
