"""The guard as a faust app: agents for the journal and the alerts, and timers."""

from __future__ import annotations

import asyncio
import functools
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import faust
from faust.types import TP
from faust.types.auth import CredentialsT

from schemas.alerts import Alert, Silence
from schemas.topics import ALERTS, JOURNAL
from streams.alerts.topic import key_of
from streams.guard.guard import Guard
from streams.guard.transport import GuardApp, NoTables
from streams.health import done, heartbeat, resuming, working
from streams.kafka_access import client_options
from streams.lag import behind
from streams.metrics import ALERT_LATENCY, DRIFT
from streams.settings import Settings
from streams.stage import Stopped
from streams.work import PATIENCE_SECONDS, Work

log = logging.getLogger(__name__)

GROUP = "spendstream-guard"
TICK_SECONDS = 1.0

_entry_appended: ContextVar[float | None] = ContextVar("entry_appended", default=None)
"""When the entry that is being applied was appended, in seconds since 1970."""


def create_app(settings: Settings, guard: Guard, data_folder: Path | None = None) -> GuardApp:
    """The only place where the faust app is made. Nothing is connected before it starts.

    ``data_folder``: faust insists on one and writes nothing there; a temporary one by default.
    """
    session = settings.session_timeout_ms / 1000
    app = GuardApp(
        id=GROUP,
        version=1,
        broker=[f"aiokafka://{server.strip()}" for server in settings.kafka.split(",")],
        broker_credentials=_credentials(settings),
        datadir=str(data_folder or tempfile.mkdtemp(prefix="spendstream-guard-")),
        store="memory://",
        TableManager=NoTables,
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        reply_create_topic=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 5,
        broker_rebalance_timeout=max(session, 6.0),
        broker_request_timeout=max(session + 1, 10.0),
        broker_commit_interval=1.0,
        # Waiting for streams at a rebalance would hold it up; the fence makes repeats harmless.
        stream_wait_empty=False,
        producer_linger=0.0,
        key_serializer="raw",
        value_serializer="raw",
        # `streams.guard.web` answers: faust's server would on the loop that applies entries.
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.fetch_max_wait_ms = settings.fetch_max_wait_ms
    # Nothing is fetched, or applied, while the gate is closed; what closed it gives signs of life.
    app.on_poll = heartbeat("fetching", excused=lambda: not guard.ready).begin
    _connect_gate(app, guard)
    _add_agents(app, guard)
    _add_timers(app, guard, settings)
    return app


def _credentials(settings: Settings) -> CredentialsT | None:
    """faust's form of `client_options`; it hands them to its consumers and its producer."""
    options = client_options(settings)
    context = options.get("ssl_context")
    if settings.kafka_password is not None:
        return faust.SASLCredentials(
            mechanism=options["sasl_mechanism"],
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def _connect_gate(app: GuardApp, guard: Guard) -> None:
    journal = TP(JOURNAL, 0)
    alerts = app.topic(ALERTS, key_type=bytes, value_type=bytes)

    async def committed() -> int:
        # faust's own record of it is only filled in after the assignment.
        thread = app.consumer._thread  # type: ignore[attr-defined]
        offset = await thread.call_thread(thread._consumer.committed, journal)
        return int(offset or 0)

    async def publish(record: Alert | Silence) -> None:
        await (await alerts.send(key=key_of(record), value=record.model_dump_json().encode()))
        done("append")
        if (appended := _entry_appended.get()) is not None:
            ALERT_LATENCY.observe(max(0.0, time.time() - appended))

    def journal_end() -> int | None:
        consumer = getattr(getattr(app._consumer, "_thread", None), "_consumer", None)
        return None if consumer is None else behind(consumer, {journal: 0}).lag[journal]

    guard.publish = publish
    guard.journal_end = journal_end
    # Signals hold their receivers weakly.
    app.gate_receivers = (  # type: ignore[attr-defined]
        on_assigned := _assigned(guard, journal, committed, app),
        on_revoked := _revoked(guard),
    )
    app.on_partitions_assigned.connect(on_assigned)
    app.on_partitions_revoked.connect(on_revoked)


def _assigned(
    guard: Guard, journal: TP, committed: Callable[[], Awaitable[int]], app: GuardApp
) -> Callable[..., Awaitable[None]]:
    async def on_assigned(_: Any, assigned: Sequence[TP], **__: Any) -> None:
        # Never wait in the signal itself: the rebalance is blocked meanwhile.
        guard.close_gate()
        if journal not in assigned:
            await guard.retire()
        else:
            app.add_future(_guarded(guard, guard.load)(committed))

    return on_assigned


def _revoked(guard: Guard) -> Callable[..., Awaitable[None]]:
    async def on_revoked(_: Any, __: Sequence[TP], **___: Any) -> None:
        guard.close_gate()

    return on_revoked


def _guarded(guard: Guard, body: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """An unexpected exception ends the process: faust would go on behind the failed message."""

    @functools.wraps(body)
    async def run(*args: Any, **kwargs: Any) -> None:
        try:
            await body(*args, **kwargs)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            guard.fail(error)
            # Park here, so that no further message is taken; stopping cancels it.
            await asyncio.Event().wait()

    return run


def _add_agents(app: GuardApp, guard: Guard) -> None:
    journal = app.topic(JOURNAL, key_type=bytes, value_type=bytes)
    alerts = app.topic(ALERTS, key_type=bytes, value_type=bytes)

    async def follow(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            message = event.message
            _entry_appended.set(message.timestamp)
            with working("following the journal", excused=lambda: not guard.ready):
                await guard.take(message.offset, message.headers, event.value)

    app.agent(journal, name="follower")(_guarded(guard, follow))

    async def notify(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            with working("taking on alerts", excused=lambda: not guard.ready):
                await guard.notify(event.value)

    app.agent(alerts, name="notifier")(_guarded(guard, notify))


def _add_timers(app: GuardApp, guard: Guard, settings: Settings) -> None:
    timers: list[Work] = []

    async def tick() -> None:
        if not timers:
            timers.append(heartbeat("timers"))
        with resuming(timers[0]):
            await guard.tick()

    app.timer(TICK_SECONDS, name="tick")(_guarded(guard, tick))
    for name, seconds, check in (
        ("repeats", TICK_SECONDS, guard.look_for_repeats),
        ("budgets", TICK_SECONDS, guard.land_budgets),
        ("drift", settings.drift_check_seconds, guard.check_drift),
        ("reconcile", settings.reconcile_seconds, guard.check_archive),
    ):
        app.timer(seconds, name=name)(_guarded(guard, _comparison(guard, name, check)))


def _comparison(
    guard: Guard, name: str, check: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    async def compare() -> None:
        # It may read and compare for long, and alerts do not wait for it.
        with working(name, limit=PATIENCE_SECONDS, awaited=False):
            await check()
        for concern, drift in guard.drift.items():
            if guard.ready:
                DRIFT.labels(concern).set(len(drift.differing))
            else:  # how another guard's counters stand is not known here
                DRIFT.remove(concern)

    return compare
