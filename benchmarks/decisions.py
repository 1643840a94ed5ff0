"""How long the client's decisions take in memory, among 10,000 members of two budgets."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from spendstream.quota._decide import decide
from spendstream.quota._records import member_key
from spendstream.quota._table import QuotaTable

MEMBERS, TEAMS, DECISIONS = 10_000, 20, 20_000


def decide_often() -> list[float]:
    """Seconds of each of many decisions, about users in turn. For a process of its own."""
    table = QuotaTable()
    for budget, each, count in (("users", "user", MEMBERS), ("teams", "team", TEAMS)):
        table.read(f"budget:{budget}", _record("budget", budget, each=[each]))
        for number in range(count):
            member = {each: f"{each}-{number}"}
            table.read(member_key(budget, member), _record("member", budget, member=member))
    seconds = []
    for number in range(DECISIONS):
        question = {
            "user": f"user-{number * 7919 % MEMBERS}",
            "team": f"team-{number % TEAMS}",
            "provider": "own",
            "model": "unit",
        }
        began = time.perf_counter()
        decision = decide(table.definitions, table.members, question, datetime.now(UTC))
        seconds.append(time.perf_counter() - began)
        assert decision.degrade_to == "balanced"
    return seconds


def _record(kind: str, budget: str, **fields: Any) -> dict[str, Any]:
    return {
        "record": kind,
        "budget": budget,
        "where": {},
        "limit": "450",
        "used": "418.936",
        "unit": "HKD",
        "exceptions": [],
        "allowed": True,
        "degrade_to": "balanced",
        "reason": "It has used 93 %.",
        "period_end": "2999-01-01T00:00:00Z",
        "valid_until": "2999-01-01T00:00:00Z",
        "as_of": {"journal": "j", "position": 1, "at": "2026-01-01T00:00:00Z"},
        **fields,
    }
