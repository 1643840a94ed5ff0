from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import yaml
from genai_prices import Usage, calc_price

from schemas.errors import InvalidEvent, UserError
from schemas.usage import UsageEvent
from schemas.wire import decode, encode
from streams.traffic.demo import demo_budgets, scenario
from streams.traffic.demo_bad import bad_values

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUDGETS = {entry["name"]: entry for entry in yaml.safe_load(demo_budgets())["budgets"]}


def run(seconds: int, seed: int = 0) -> list[list[UsageEvent]]:
    return list(scenario(START, seconds, seed))


def flat(ticks: Iterable[list[UsageEvent]]) -> list[UsageEvent]:
    return [event for tick in ticks for event in tick]


def cost(event: UsageEvent) -> Decimal:
    return calc_price(
        Usage(
            input_tokens=event.input_side_tokens,
            cache_read_tokens=event.cache_read_tokens or 0,
            output_tokens=event.output_side_tokens,
        ),
        event.model,
        provider_id=event.provider,
        genai_request_timestamp=event.occurred_at,
    ).total_price


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "seed"), [(30, 0), (60, 0), (60, 1)])
def test_budgets_are_crossed_at_the_same_points_of_a_run_of_any_length(
    seconds: int, seed: int
) -> None:
    spent: dict[str, Decimal] = defaultdict(Decimal)
    crossed: dict[tuple[str, int], float] = {}
    ticks = run(seconds, seed)
    for number, tick in enumerate(ticks):
        for event in tick:
            if event.team not in BUDGETS:
                continue
            spent[event.team] += cost(event)
            budget = BUDGETS[event.team]
            for percent in (50, 80, 100):
                if spent[event.team] * 100 >= Decimal(str(budget["limit"])) * percent:
                    crossed.setdefault((event.team, percent), number / len(ticks))
    assert crossed == {
        ("marketing", 50): pytest.approx(0.40, abs=0.04),
        ("marketing", 80): pytest.approx(0.64, abs=0.04),
        ("marketing", 100): pytest.approx(0.80, abs=0.04),
        ("research", 50): pytest.approx(0.70, abs=0.04),
        ("research", 80): pytest.approx(0.84, abs=0.04),
        ("research", 100): pytest.approx(0.91, abs=0.04),
    }
    assert 0 < spent["support"] < Decimal(BUDGETS["support"]["limit"]) / 50


def test_a_seed_and_a_start_make_one_run() -> None:
    assert run(10) == run(10)
    ids = {event.event_id for event in flat(run(10))}
    assert ids.isdisjoint(event.event_id for event in flat(run(10, seed=1)))
    later = flat(scenario(START + timedelta(seconds=1), 10, 0))
    assert ids.isdisjoint(event.event_id for event in later)


@pytest.mark.slow
def test_events_lie_in_their_tick_in_order_and_travel_unchanged() -> None:
    ticks = run(30)
    assert len(ticks) == 300
    for number, tick in enumerate(ticks):
        begin = START + number * timedelta(milliseconds=100)
        times = [event.occurred_at for event in tick]
        assert times == sorted(times)
        assert all(begin <= at < begin + timedelta(milliseconds=100) for at in times)
    events = flat(ticks)
    assert len({event.event_id for event in events}) == len(events)
    assert 100 <= len(events) / 30 <= 200
    assert [decode(encode(event)) for event in events] == events


def test_failed_calls_are_tried_again_and_storm_in_the_middle_of_the_run() -> None:
    ticks = run(60)
    checkout = [(n / 600, e) for n, t in enumerate(ticks) for e in t if e.team == "checkout"]
    by_id = {event.event_id: (done, event) for done, event in checkout}
    retries = [(done, event) for done, event in checkout if (event.attempt or 0) > 1]
    for done, event in retries:
        former_done, former = by_id[event.retry_of or ""]
        assert former_done < done
        assert former.status in ("rate_limited", "error")
        assert event.attempt == (former.attempt or 0) + 1
        assert event.prompt_hash == former.prompt_hash
        assert event.user == former.user
    assert all(event.retry_of is None for _, event in checkout if event.attempt == 1)
    assert {event.attempt for _, event in retries} == {2, 3, 4, 5, 6}

    storm = [event for done, event in checkout if 0.35 <= done < 0.7]
    calm = [event for done, event in checkout if done < 0.3 or done > 0.75]
    failed = Counter(event.status != "ok" for event in storm)
    assert failed[True] / len(storm) > 0.8
    assert {event.status for event in storm} == {"ok", "rate_limited", "error"}
    assert sum(event.status != "ok" for event in calm) / len(calm) < 0.05
    assert all(e.output_tokens == 0 for e in storm if e.status != "ok")
    assert all(e.input_tokens == 0 for e in storm if e.status == "rate_limited")


def test_the_runaway_agent_calls_faster_with_an_ever_larger_context() -> None:
    agent = [event for event in flat(run(60)) if event.application == "deep-agent"]
    assert len({event.workflow for event in agent}) == 1
    contexts = [event.context_tokens or 0 for event in agent]
    assert contexts == sorted(contexts)
    assert contexts[-1] > 10 * contexts[0] > 0
    first = sum(event.occurred_at < START + timedelta(seconds=15) for event in agent)
    last = sum(event.occurred_at >= START + timedelta(seconds=45) for event in agent)
    assert last > 3 * first > 0


def test_some_traffic_is_cached_some_is_batch_and_some_has_no_price() -> None:
    events = flat(run(30))
    assert sum(event.cache_read_tokens or 0 for event in events) > 100_000
    assert {event.team for event in events if event.service_tier == "batch"} == {"analytics"}
    unpriced = [event for event in events if event.team == "labs"]
    assert 5 <= len(unpriced) <= 30
    with pytest.raises(LookupError):
        cost(unpriced[0])
    for event in {e.model: e for e in events if e.team != "labs"}.values():
        assert cost(event) >= 0


def test_bad_values_come_every_five_seconds_each_refused_for_another_reason() -> None:
    ticks = list(bad_values(START, 30))
    assert len(ticks) == 300
    values = [value for tick in ticks for value in tick]
    codes = []
    for value in values:
        with pytest.raises(InvalidEvent) as raised:
            decode(value)
        codes.append(raised.value.refusal.code)
    assert len(codes) == 6
    assert set(codes) == {
        "undecodable_json",
        "tokens_do_not_add_up",
        "missing_field",
        "undecodable_avro",
        "unknown_framing",
    }
    assert values == [value for tick in bad_values(START, 30) for value in tick]


@pytest.mark.parametrize("seconds", [0, 9, 3601])
def test_a_run_of_a_wrong_length_is_one_line(seconds: int) -> None:
    with pytest.raises(UserError, match=f"seconds is {seconds}; the demo runs 10 to 3600"):
        scenario(START, seconds)
