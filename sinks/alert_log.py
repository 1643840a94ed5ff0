"""Alerts and their deliveries in ClickHouse: what was published, and who has received it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse, arrow_table

DeliveryState = Literal["pending", "delivered", "rejected"]

_MONEY = pa.decimal128(38, 12)
_ALERTS = pa.schema(
    [
        ("alert_id", pa.string()),
        ("transition", pa.string()),
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
        ("channel", pa.string()),
        ("state", pa.string()),
        ("attempts", pa.uint32()),
        ("error", pa.string()),
        ("at", pa.timestamp("ms", "UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where one transition stands with one channel."""

    alert: Alert
    channel: str
    state: DeliveryState
    at: datetime
    """Pending as of the transition's own time, so that no outcome is older than it."""
    attempts: int = 0
    error: str = ""


class AlertLog:
    """The tables `alerts` and `deliveries`. Every write can be repeated."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def published(self) -> list[Alert]:
        """Every transition on record."""
        rows = self._clickhouse.query("SELECT body FROM alerts FINAL ORDER BY at")
        return [Alert.model_validate_json(body) for (body,) in rows]

    def pending(self) -> list[Delivery]:
        """Deliveries that were taken on and neither made nor rejected."""
        rows = self._clickhouse.query(
            "SELECT body, channel, attempts FROM (SELECT * FROM deliveries FINAL) AS d "
            "INNER JOIN (SELECT alert_id, transition, body FROM alerts FINAL) AS a "
            "ON d.alert_id = a.alert_id AND d.transition = a.transition "
            "WHERE state = 'pending' ORDER BY d.at"
        )
        return [
            Delivery(alert, channel, "pending", alert.at, int(attempts))
            for alert, channel, attempts in (
                (Alert.model_validate_json(body), channel, attempts)
                for body, channel, attempts in rows
            )
        ]

    def record_alerts(self, alerts: Sequence[Alert]) -> None:
        """Put transitions on record, in one insert."""
        rows = [
            {
                **alert.model_dump(exclude={"contributors", "action"}),
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
                "channel": delivery.channel,
                "state": delivery.state,
                "attempts": delivery.attempts,
                "error": delivery.error,
                "at": delivery.at,
            }
            for delivery in deliveries
        ]
        if rows:
            self._clickhouse.insert("deliveries", arrow_table(_DELIVERIES, rows))
