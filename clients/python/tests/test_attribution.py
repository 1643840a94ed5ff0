"""Who pays, by the context of the call."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from spendstream import attribution
from spendstream._attribution import current_attribution
from spendstream._event import completed, resolved_defaults


def test_inner_blocks_win_over_outer_ones_and_tags_are_merged():
    with attribution(team="search", workflow="run-7", tags={"a": "1", "b": "1"}):
        with attribution(team="ads", tags={"b": "2"}):
            assert current_attribution() == {
                "team": "ads",
                "workflow": "run-7",
                "tags": {"a": "1", "b": "2"},
            }
        assert current_attribution()["tags"] == {"a": "1", "b": "1"}
    assert current_attribution() == {}


def test_emit_wins_over_the_block_and_that_over_defaults_and_those_over_the_environment():
    names = ("team", "project", "use_case", "customer")
    environment = {f"SPENDSTREAM_{name.upper()}": "environment" for name in names}
    defaults = resolved_defaults(
        {"team": "default", "project": "default", "use_case": "default", "tags": {"a": "default"}},
        environment,
    )
    with attribution(team="block", project="block", tags={"b": "block"}):
        event = completed({"team": "emit", "tags": {"c": "emit"}}, defaults, current_attribution())
    assert [event[name] for name in names] == ["emit", "block", "default", "environment"]
    assert event["tags"] == {"a": "default", "b": "block", "c": "emit"}


async def test_a_block_holds_for_the_tasks_started_in_it_and_for_nobody_else():
    async def team():
        await asyncio.sleep(0)
        return current_attribution().get("team")

    async def of(name):
        with attribution(team=name):
            return await asyncio.create_task(team()), await asyncio.to_thread(
                lambda: current_attribution()["team"]
            )

    assert await asyncio.gather(of("a"), of("b"), team()) == [("a", "a"), ("b", "b"), None]


def test_a_thread_sees_the_block_in_a_copy_of_its_context_only():
    with attribution(team="search"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_attribution).result() == {}
        copied = contextvars.copy_context()
        assert pool.submit(copied.run, current_attribution).result() == {"team": "search"}


def test_one_block_may_be_entered_again():
    block = attribution(team="search")
    with block:
        with block:
            pass
        assert current_attribution() == {"team": "search"}
    assert current_attribution() == {}


def test_one_block_may_be_shared_by_threads():
    block, first_is_out = attribution(team="search"), threading.Event()

    def stays():
        with block:
            assert first_is_out.wait(10)
        return current_attribution()

    with block, ThreadPoolExecutor(1) as pool:
        staying = pool.submit(stays)
        with block:
            pass
        first_is_out.set()
        assert staying.result() == {}
        assert current_attribution() == {"team": "search"}


def test_none_is_left_out():
    with attribution(team="search"), attribution(team=None, user=None):
        assert current_attribution() == {"team": "search"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tema": "x"}, "'tema' is none of department, team, project"),
        ({"input_tokens": 3}, "'input_tokens' is none of"),
        ({"team": 3}, "team must be text, not int"),
        ({"team": " "}, "team is empty"),
        ({"user": "x" * 1025}, "1024 are allowed"),
        ({"tags": ["a"]}, "tags must be a mapping"),
        ({"tags": {"a": 1}}, "tags must be text"),
    ],
)
def test_a_mistake_is_an_error_at_once(fields, words):
    with pytest.raises(ValueError, match=f"^attribution: .*{words}"):
        attribution(**fields)
