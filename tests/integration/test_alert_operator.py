"""What people do about alerts, by the commands and by the guard's web, through the real topic."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from schemas.alerts import Alert, Silence
from schemas.errors import UserError
from streams.alerts import operator
from streams.alerts.topic import publish, read_topic
from streams.cli.alerts import alerts
from streams.guard import requests
from streams.guard.guard import Guard
from tests.support.alerts import an_alert
from tests.support.stores import running_stores

pytestmark = pytest.mark.slow

JOURNAL = "cluster/llm.spend"
A, B = an_alert(), an_alert(threshold="100", severity="critical")


@pytest.fixture
async def settings(tmp_path):
    async with running_stores(tmp_path) as settings:
        for alert in (A, B):
            await publish(settings, alert)
        yield settings


async def command(settings, *arguments: str) -> tuple[int, str]:
    places = ("--kafka", settings.kafka, "--clickhouse", settings.clickhouse)
    run = CliRunner().invoke
    result = await asyncio.to_thread(run, alerts, [*arguments, *places])
    if isinstance(result.exception, UserError):
        return 2, str(result.exception)
    return result.exit_code, result.output


async def test_commands_list_acknowledge_and_silence(settings):
    code, shown = await command(settings, "list")
    assert (code, len(shown.splitlines())) == (0, 2)
    code, said = await command(settings, "ack", B.alert_id[:6], "--by", "ada")
    assert (code, "acknowledged by ada" in said) == (0, True)
    code, said = await command(settings, "ack", B.alert_id, "--by", "bob")
    assert (code, "acknowledged already, by ada" in said) == (2, True)
    assert (await command(settings, "ack", "zz"))[1].startswith("no alert's id begins with 'zz'")

    silence = ("silence", "team=search", "--rule", "budget", "--for", "2h", "--why", "known")
    code, said = await command(settings, *silence)
    assert code == 0
    shown = (await command(settings, "list"))[1]
    assert "acknowledged by ada" in shown
    assert "silence " in shown
    assert "team=search" in shown
    name = said.split()[1]
    assert (await command(settings, "unsilence", name))[0] == 0
    assert "team=search" not in (await command(settings, "list"))[1]
    assert "no silence" in (await command(settings, "unsilence", name))[1]
    assert "no scope" in (await command(settings, "silence", "search", "--for", "1h"))[1]


async def test_of_two_who_acknowledge_at_once_one_does(settings):
    results = await asyncio.gather(
        *(operator.acknowledge(settings, A.alert_id, by) for by in ("ada", "bob")),
        return_exceptions=True,
    )
    taken = [result for result in results if isinstance(result, Alert)]
    state = await operator.current(settings)
    history = state.histories.get(A.alert_id)
    assert history is not None
    assert history.newest.by in {alert.by for alert in taken}
    assert history.newest.number == 2


async def test_the_guards_web_does_the_same(settings):
    guard = Guard(settings, JOURNAL, [], asyncio.Event())

    async def post(path: str, body: object, kind: str = "application/json") -> tuple[int, str]:
        asked = requests.REQUESTS[path]
        status, said = await requests.answer(guard, asked, kind, json.dumps(body).encode())
        return status, json.dumps(said)

    async def committed() -> int:
        return 0

    async def to_topic(record: Alert | Silence) -> None:
        await publish(settings, record)

    taking = {"alert_id": A.alert_id, "by": "ada"}
    assert (await post("/v1/acknowledgements", taking))[0] == 503
    guard.publish = to_topic
    await guard.load(committed)
    assert (await post("/v1/acknowledgements", taking, "text/plain"))[0] == 415
    assert (await post("/v1/acknowledgements", taking))[0] == 202
    assert (await post("/v1/acknowledgements", {**taking, "alert_id": "x"}))[0] == 409
    status, said = await post("/v1/acknowledgements", {"id": "x"})
    assert status == 400
    assert "known fields are alert_id, by" in said
    quiet = {"scope": {"team": "search"}, "for": "2h", "by": "ada"}
    assert (await post("/v1/silences", quiet))[0] == 202
    status, said = await post("/v1/silences", {**quiet, "for": "long"})
    assert status == 400
    assert "such as 90s" in said
    await guard.close()

    published, silences = await read_topic(settings)
    assert [(a.transition, a.by) for a in published if a.number == 2] == [("acknowledged", "ada")]
    (made,) = silences
    assert made.scope == {"team": "search"}
    assert timedelta(hours=1) < made.until - datetime.now(UTC) <= timedelta(hours=2)
