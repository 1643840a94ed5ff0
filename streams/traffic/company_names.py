"""Whose the work of the simulated company is: projects, customers, workflows and their outcomes."""

from __future__ import annotations

import random

from streams.traffic.company import COMPANY, Work
from streams.traffic.company_tiers import Named

UNPRICED = Named("in-house", "labs-7b-finetune")
"""What nobody knows a price of."""
PROJECTS = {
    "search": ("relevance", "answers"),
    "support": ("self-service", "case-notes"),
    "checkout": ("order-help", "fraud"),
    "platform": ("safe-merges", "green-builds"),
    "research": ("reading-room", "prototypes"),
    "mobile": ("pocket-assistant", "pocket-assistant"),
    "analytics": ("board-reports", "ask-the-data"),
    "risk": ("due-diligence", "watch"),
    "billing": ("paperless", "dunning"),
    "marketing": ("campaign-copy", "localisation"),
    "accounts": ("key-accounts", "call-library"),
    "partners": ("partner-portal", "onboarding"),
}
CUSTOMERS = tuple(f"customer-{number:02d}" for number in range(1, 25))
_WEIGHTS = tuple(1 / rank for rank in range(1, len(CUSTOMERS) + 1))
_SERVED = frozenset(
    {
        "help-desk",
        "order-bot",
        "invoice-reader",
        "mail-desk",
        "call-notes",
        "portal",
        "onboarding-agent",
    }
)
_OUTCOMES = {
    "help-desk": "resolved_ticket",
    "report-writer": "insight_delivered",
    "order-bot": "customer_served",
}


def project_of(work: Work) -> str:
    """The first work of a team is its first project's, the others are its second's."""
    first = next(one for one in COMPANY if one.team == work.team)
    return PROJECTS[work.team][0 if work is first else 1]


def customer_of(work: Work, dice: random.Random) -> str | None:
    """Whom it is done for: a few large customers, many small ones; None: nobody outside."""
    if work.application not in _SERVED:
        return None
    return dice.choices(CUSTOMERS, _WEIGHTS)[0]


def outcome_of(work: Work) -> str | None:
    """What comes of a workflow of it."""
    return _OUTCOMES.get(work.application, "workflow_completed" if work.by == "agents" else None)


def has_workflow(work: Work) -> bool:
    """Whether its calls say which workflow they are of."""
    return outcome_of(work) is not None
