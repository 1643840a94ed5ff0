"""Alerts and their deliveries in ClickHouse: what was published, and who has received it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse, arrow_table

DeliveryState = Literal["pending", "delivered", "rejected", "skipped"]
"""``skipped``: nobody had to be told any more when it was due, or nobody was to be (a silence)."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONEY = pa.decimal128(38, 12)
_ALERTS = pa.schema(
    [
        ("alert_id", pa.string()),
        ("transition", pa.string()),
        ("number", pa.uint32()),
        ("level", pa.uint8()),
        ("rule", pa.string()),
        ("scope", pa.map_(pa.string(), pa.string())),
        ("period", pa.string()),
        ("threshold", pa.string()),
        ("severity", pa.string()),
        ("title", pa.string()),
        ("detail", pa.string()),
        ("value", _MONEY),
        ("limit", _MONEY),
        ("unit", pa.string()),
        ("since", pa.timestamp("ms", "UTC")),
        ("until", pa.timestamp("ms", "UTC")),
        ("review", pa.bool_()),
        ("by", pa.string()),
        ("at", pa.timestamp("ms", "UTC")),
        ("journal", pa.string()),
        ("position", pa.int64()),
        ("body", pa.string()),
    ]
)
_DELIVERIES = pa.schema(
    [
        ("alert_id", pa.string()),
        ("transition", pa.string()),
        ("number", pa.uint32()),
        ("reminder", pa.uint32()),
        ("channel", pa.string()),
        ("due", pa.timestamp("ms", "UTC")),
        ("digest", pa.bool_()),
        ("thread", pa.string()),
        ("state", pa.string()),
        ("attempts", pa.uint32()),
        ("error", pa.string()),
        ("at", pa.timestamp("ms", "UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where one transition stands with one channel.

    ``reminder`` is 0 for the transition itself, n where it is told for the n-th time after that.
    ``due``: not before; ``digest``: together with others. ``thread``: what the channel gave us to
    follow up with.
    """

    alert: Alert
    channel: str
    state: DeliveryState
    at: datetime
    """Pending as of the transition's own time, so that no outcome is older than it."""
    due: datetime
    reminder: int = 0
    digest: bool = False
    thread: str | None = None
    attempts: int = 0
    error: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What is told once: the transition, to this channel, for the n-th time."""
        return self.alert.transition_id, self.channel, self.reminder


class AlertLog:
    """The tables `alerts` and `deliveries`. Every write can be repeated."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def published(self) -> list[Alert]:
        """Every transition on record, those of one alert in the order of its history."""
        rows = self._clickhouse.query("SELECT body FROM alerts FINAL ORDER BY number, at")
        return [Alert.model_validate_json(body) for (body,) in rows]

    def pending(self) -> list[Delivery]:
        """Deliveries that were taken on and are not settled."""
        rows = self._clickhouse.query(
            "SELECT body, channel, toUnixTimestamp64Milli(at), toUnixTimestamp64Milli(due), "
            "reminder, digest, thread, attempts "
            "FROM (SELECT * FROM deliveries FINAL WHERE state = 'pending') AS d "
            "INNER JOIN (SELECT alert_id, transition, number, body FROM alerts FINAL) AS a "
            "USING (alert_id, transition, number) ORDER BY due, at"
        )
        return [
            Delivery(
                Alert.model_validate_json(body),
                channel,
                "pending",
                _moment(at),
                _moment(due),
                int(reminder),
                bool(digest),
                thread,
                int(attempts),
            )
            for body, channel, at, due, reminder, digest, thread, attempts in rows
        ]

    def threads(self) -> dict[tuple[str, str], str]:
        """What the channels gave us to follow up with: (alert id, channel) to thread."""
        rows = self._clickhouse.query(
            "SELECT alert_id, channel, argMax(thread, (at, number, reminder)) "
            "FROM deliveries FINAL WHERE thread IS NOT NULL GROUP BY alert_id, channel"
        )
        return {(alert, channel): thread for alert, channel, thread in rows}

    def reminded(self) -> dict[tuple[str, str, int], int]:
        """(alert id, channel, number of the transition) to the newest reminder of it."""
        rows = self._clickhouse.query(
            "SELECT alert_id, channel, number, max(reminder) FROM deliveries FINAL "
            "WHERE reminder > 0 GROUP BY alert_id, channel, number"
        )
        return {(alert, channel, int(number)): int(most) for alert, channel, number, most in rows}

    def record_alerts(self, alerts: Sequence[Alert]) -> None:
        """Put transitions on record, in one insert."""
        rows = [
            {
                **alert.model_dump(include=set(_ALERTS.names)),
                "alert_id": alert.alert_id,
                "scope": sorted(alert.scope.items()),
                "body": alert.model_dump_json(),
            }
            for alert in alerts
        ]
        self._clickhouse.insert("alerts", arrow_table(_ALERTS, rows))

    def record_deliveries(self, deliveries: Iterable[Delivery]) -> None:
        """Put the newest state of deliveries on record."""
        rows = [
            {
                "alert_id": delivery.alert.alert_id,
                "transition": delivery.alert.transition,
                "number": delivery.alert.number,
                "reminder": delivery.reminder,
                "channel": delivery.channel,
                "due": delivery.due,
                "digest": delivery.digest,
                "thread": delivery.thread,
                "state": delivery.state,
                "attempts": delivery.attempts,
                "error": delivery.error,
                "at": delivery.at,
            }
            for delivery in deliveries
        ]
        if rows:
            self._clickhouse.insert("deliveries", arrow_table(_DELIVERIES, rows))


def _moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=int(milliseconds))
