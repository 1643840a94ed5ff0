"""How far a consumer is behind, from what its last fetches told: nobody is asked for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition


@dataclass(frozen=True, slots=True)
class Behind:
    """``lag``: records of each assigned partition that are not dealt with yet, None where no fetch
    has told its end. ``silence``: seconds since the broker last answered a fetch, None before."""

    lag: Mapping[TopicPartition, int | None] = field(default_factory=dict)
    silence: float | None = None


def behind(consumer: AIOKafkaConsumer, due: Mapping[TopicPartition, int]) -> Behind:
    """By ``due``, the offset of each partition that is to be dealt with next.

    May be called from any thread: a partition that was taken away meanwhile has told nothing.
    """
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    lags: dict[TopicPartition, int | None] = {}
    answered: list[int] = []
    for tp, following in due.items():
        state = None if assignment is None else assignment.state_value(tp)
        end = None if state is None else state.highwater
        lags[tp] = None if end is None else max(0, end - following)
        if state is not None and state.timestamp is not None:
            answered.append(state.timestamp)
    silence = max(0.0, time.time() - max(answered) / 1000) if answered else None
    return Behind(lags, silence)
