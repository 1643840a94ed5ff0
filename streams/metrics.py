"""Every metric of spendstream: one name, what it means, and what to do about it, in one place.

`python -m streams.metrics` prints `docs/metrics.md`. Whatever is counted is counted once per batch
or entry, never per event. A process exposes the metrics of its own stage only: a meter must not say
that it has flushed nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

PREFIX = "spendstream_"

METER, LEDGER, ARCHIVE, GUARD, WEB = "meter", "ledger", "archive", "guard", "web"
EVERY = (METER, LEDGER, ARCHIVE, GUARD, WEB)

LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""Seconds: fine where it should be, and coarse where a backlog is worked off."""
INSERT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# No second series per counter for the process's start: process_start_time_seconds has it.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

M = TypeVar("M", bound=MetricWrapperBase)


@dataclass(frozen=True, slots=True)
class Documented:
    """A metric and its line in the documentation. ``name`` is as Prometheus shows it."""

    metric: MetricWrapperBase
    name: str
    labels: tuple[str, ...]
    stages: tuple[str, ...]
    meaning: str
    advice: str


CATALOGUE: list[Documented] = []
"""Every metric, in the order of the documentation."""


def registry_of(stage: str) -> CollectorRegistry:
    """What a process of this stage exposes: its metrics, and those of the process (Linux only)."""
    registry = CollectorRegistry()
    for documented in CATALOGUE:
        if stage in documented.stages:
            registry.register(documented.metric)
    ProcessCollector(registry=registry)
    return registry


def _metric(
    kind: type[M],
    name: str,
    stages: Iterable[str],
    meaning: str,
    advice: str,
    labels: Iterable[str] = (),
    **options: Any,
) -> M:
    if kind is Histogram:
        options = {"buckets": LATENCY_BUCKETS, **options}
    metric = kind(PREFIX + name, meaning, labels, registry=None, **options)
    CATALOGUE.append(
        Documented(metric, PREFIX + name, tuple(labels), tuple(stages), meaning, advice)
    )
    return metric


READY = _metric(
    Gauge,
    "ready",
    EVERY,
    "1 where /readyz answers 200, else 0. A guard on standby has 0, a sink on standby 1.",
    "0 for minutes on a stage that is not on standby: /readyz says what it waits for.",
)
STEP_AGE = _metric(
    Gauge,
    "step_age_seconds",
    EVERY,
    "Seconds since the step was last done: poll (the stage looked for records), fetch (the broker "
    "answered), append (an entry was accepted, an alert published, events taken), commit (an "
    "offset was committed), flush (ClickHouse has taken a batch). A step that was not done yet has "
    "no value.",
    "poll above 10: something else holds the stage up; /healthz and /readyz say what. fetch above "
    "10 without it: Kafka is away. The others grow while there is nothing to do; together with a "
    "lag they say which step is stuck.",
    labels=("step",),
)
LAG = _metric(
    Gauge,
    "lag_records",
    (METER, LEDGER, ARCHIVE, GUARD),
    "Records of an assigned partition that this stage has not dealt with: events for meter and "
    "archive, journal entries for ledger and guard. What the last fetch told, without asking anew; "
    "a partition that was not fetched from yet has no value.",
    "It grows for minutes: the stage is too slow or stuck. Meter, archive: start another one, up "
    "to the partitions. Ledger: look at spendstream_clickhouse_insert_seconds.",
    labels=("topic", "partition"),
)
QUEUED = _metric(
    Gauge,
    "queued",
    (METER, ARCHIVE, GUARD, WEB),
    "What is held in memory: records (read, batch not closed yet), dead_letters (refused, not "
    "written yet), deliveries (of alerts, under way or waiting for their next try), alert_records "
    "(alerts not on record in ClickHouse yet), in_flight (posted, not in Kafka yet).",
    "deliveries stays above 0: a channel is away, see the guard's log. alert_records or "
    "dead_letters stays: ClickHouse or Kafka is away. Nothing is lost meanwhile.",
    labels=("queue",),
)
RETRIES = _metric(
    Counter,
    "retries_total",
    EVERY,
    "Tries that failed because a neighbour was away or refused, and are made again: kafka, "
    "clickhouse or schema_registry.",
    "It grows: the neighbour is away or overloaded; the stage's log has the reason of each.",
    labels=("neighbour",),
)
EVENTS_METERED = _metric(
    Counter,
    "events_metered_total",
    (METER,),
    "Events that count: in an entry of this meter that the journal's readers accept.",
    "Its rate is the throughput. 0 while spendstream_lag_records grows: the meter is stuck.",
)
EVENTS_UNPRICED = _metric(
    Counter,
    "events_unpriced_total",
    (METER,),
    "Metered events whose model has no price: counted with their tokens, without a cost.",
    "It grows: give the model a price; `SELECT * FROM coverage` names it.",
)
EVENTS_REFUSED = _metric(
    Counter,
    "events_refused_total",
    (METER,),
    "Events that were not metered and went to llm.usage.dlq, by the code of the reason. Those of "
    "an entry that was not accepted are in it too.",
    "It grows: a producer sends what breaks a rule. docs/events.md explains the codes.",
    labels=("reason",),
)
EVENTS_DUPLICATE = _metric(
    Counter,
    "events_duplicate_total",
    (METER,),
    "Events dropped because their event_id was metered before; conflicts are among them.",
    "Some are normal after retries of producers. Many: a producer sends everything twice.",
)
EVENTS_CONFLICTING = _metric(
    Counter,
    "events_conflicting_total",
    (METER,),
    "Events dropped because another payload came under their event_id before.",
    "Above 0: a producer uses an id for different calls, and those are not counted.",
)
EVENTS_LATE = _metric(
    Counter,
    "events_late_total",
    (METER,),
    "Metered events of a month (UTC) that was closed, a day after its end: they restate it.",
    "It grows: reports on closed months change; `SELECT * FROM restated_spend` says by how much.",
)
EVENTS_LOST = _metric(
    Counter,
    "events_lost_total",
    (METER,),
    "Events that retention removed from llm.usage before they were metered. There is an alert too.",
    "Above 0: they are gone. Give llm.usage a longer retention, or the meters more capacity.",
)
OVERTAKEN = _metric(
    Counter,
    "overtaken_total",
    (METER,),
    "Times that an entry of this meter was not accepted, and it began again behind the other one.",
    "Some are normal at a takeover. It grows steadily: two meters think they own a partition.",
)
APPEND_LATENCY = _metric(
    Histogram,
    "append_latency_seconds",
    (METER,),
    "From the time of a micro-batch's oldest record to the acceptance of its last entry.",
    "Above SPENDSTREAM_BATCH_LINGER_MS and a second: the meter is behind, see "
    "spendstream_lag_records.",
)
RANGES_DROPPED = _metric(
    Counter,
    "ranges_dropped_total",
    (LEDGER,),
    "Ranges of journal entries that the fence dropped: the second copy, or a meter that was late.",
    "Some are normal at takeovers and lost acknowledgements: this is the fence at work. It grows "
    "steadily: see spendstream_overtaken_total of the meters.",
)
FLUSH_LATENCY = _metric(
    Histogram,
    "flush_latency_seconds",
    (LEDGER, ARCHIVE),
    "Ledger: from the append of a journal entry until ClickHouse has it. Archive: from the time of "
    "a batch's oldest record until ClickHouse has the batch.",
    "High with a high spendstream_clickhouse_insert_seconds: ClickHouse is slow. High without: the "
    "sink is behind after a pause, and catches up.",
)
CLICKHOUSE_INSERT = _metric(
    Histogram,
    "clickhouse_insert_seconds",
    (LEDGER, ARCHIVE, GUARD),
    "One insert into ClickHouse, failed ones too, by table.",
    "Above a second: ClickHouse is overloaded or merges too many parts.",
    labels=("table",),
    buckets=INSERT_BUCKETS,
)
ALERT_LATENCY = _metric(
    Histogram,
    "alert_latency_seconds",
    (GUARD,),
    "From the append of a journal entry until an alert that it raised is on llm.alerts.",
    "Above a second: the guard is behind (spendstream_lag_records) or Kafka is slow.",
)
QUOTA_ANSWERS = _metric(
    Counter,
    "quota_answers_total",
    (GUARD, WEB),
    "Answers of GET /v1/quota, and to Envoy, by what they say: allowed, degraded (allowed on a "
    "cheaper tier), refused.",
    "refused grows: a budget is used up; the answer, and llm.quotas, say which.",
    labels=("answer",),
)
QUOTA_LATENCY = _metric(
    Histogram,
    "quota_latency_seconds",
    (GUARD, WEB),
    "From the active guard's verdict on a member of a budget until this process answers by it.",
    "Above a second: Kafka is slow, or the clocks of two guards differ.",
)
HTTP_EVENTS = _metric(
    Counter,
    "http_events_total",
    (WEB,),
    "Events that came by HTTP: accepted, or the code of the reason why not.",
    "A code grows: a producer was told so; docs/http.md explains it.",
    labels=("outcome",),
)
HTTP_REQUEST = _metric(
    Histogram,
    "http_request_seconds",
    (WEB,),
    "From a request's headers until its answer is there, by its status.",
    "429 grows: start another web stage. 503 grows: Kafka does not acknowledge in time.",
    labels=("status",),
    buckets=INSERT_BUCKETS,
)
DRIFT = _metric(
    Gauge,
    "drift",
    (GUARD,),
    "Counters that differ from the ledger's at the last comparison, by concern. A concern that was "
    "not compared yet has no value. There is an alert too.",
    "Above 0: it must never happen. Run spendstream reconcile, and report what it says.",
    labels=("concern",),
)


_HEAD = """# Metrics

Written by `make docs` from `streams/metrics.py`; edit there. Where they are served: \
[operations](operations.md#health-and-metrics).

A process exposes the metrics of its own stage, and on Linux `process_*` (memory, processor time, \
open files). Counters begin at 0 with the process. Times are in seconds. A gauge whose value is \
not known is not there: 0 always means 0.
"""


def documentation() -> str:
    """The page `docs/metrics.md`."""
    sections = [_section(documented) for documented in CATALOGUE]
    return "\n".join([_HEAD, *sections])


def _section(documented: Documented) -> str:
    labels = ", ".join(f"`{label}`" for label in documented.labels) or "none"
    return (
        f"## `{documented.name}`\n"
        f"{type(documented.metric).__name__}; labels: {labels}; "
        f"stages: {', '.join(documented.stages)}.\n\n"
        f"{documented.meaning}\n\n"
        f"**Act:** {documented.advice}\n"
    )


if __name__ == "__main__":
    print(documentation(), end="")  # noqa: T201 - this is what the command is for
