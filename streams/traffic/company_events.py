"""Single calls and outcomes of the simulated company, as the fields of their events."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from streams.traffic.company import DEPARTMENT, Work
from streams.traffic.company_names import project_of
from streams.traffic.company_prompts import Prompt
from streams.traffic.company_tiers import Named

Event = dict[str, Any]

WITHOUT_PROJECT, ESTIMATED = 0.04, 0.02
_FAILURES = (("error", "500"), ("timeout", "deadline"), ("rate_limited", "429"))


class CompanyEvents:
    """Makes events with ids that count up; ``dice`` is shared with who asks."""

    def __init__(self, seed: int, dice: random.Random) -> None:
        self._seed = seed
        self._dice = dice
        self._made = 0

    def number(self) -> int:
        """One that nothing else has."""
        self._made += 1
        return self._made

    def event(self, work: Work, model: Named, at: datetime, prompt: Prompt, fields: Event) -> Event:
        """One call that went well; ``fields`` replace or add to what is drawn."""
        dice, number = self._dice, self.number()
        answer = work.answer * dice.randint(60, 140) // 100
        return {
            "event_id": f"{work.team}-{at:%Y%m%d}-{self._seed}-{number}",
            "occurred_at": at,
            "provider": model.provider,
            "model": model.model,
            "department": DEPARTMENT[work.team],
            "team": work.team,
            "project": None if dice.random() < WITHOUT_PROJECT else project_of(work),
            "use_case": work.use_case,
            "application": work.application,
            "attempt": 1,
            "status": "ok",
            "usage_source": "estimated" if dice.random() < ESTIMATED else "reported",
            **prompt.fields,
            "output_tokens": answer,
            "latency_ms": 200 + 12 * answer,
        } | fields

    def failure(self, prompt: Prompt) -> Event:
        """What makes a failure of a call.

        What was refused costs nothing; nobody knows what a call took that ran out of time.
        """
        status, code = self._dice.choice(_FAILURES)
        failed: Event = {"status": status, "error_code": code, "output_tokens": 0}
        if status == "error":
            return failed
        missing = status == "timeout"
        failed |= dict.fromkeys(prompt.tokens, None if missing else 0)
        failed |= {"prefix_hash": None, "prefix_tokens": None}
        return failed | ({"usage_source": "missing", "output_tokens": None} if missing else {})

    def outcome(self, at: datetime, name: str, value: str, work: Work, **of: str) -> Event:
        """What became of the call or workflow that ``of`` names."""
        return {
            "outcome_id": f"{work.team}-{at:%Y%m%d}-{self._seed}-{self.number()}",
            "occurred_at": at,
            "name": name,
            "value": value,
            "department": DEPARTMENT[work.team],
            "team": work.team,
            "use_case": work.use_case,
            "application": work.application,
        } | of
