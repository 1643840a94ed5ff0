"""A company of 300 people: what its twelve teams ask of language models on an ordinary day."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

DEPARTMENTS = {
    "product": ("search", "support", "checkout"),
    "engineering": ("platform", "research", "mobile"),
    "finance": ("analytics", "risk", "billing"),
    "sales": ("marketing", "accounts", "partners"),
}
DEPARTMENT = {team: name for name, teams in DEPARTMENTS.items() for team in teams}
USERS_PER_TEAM = 25

HOURS = (
    0.15, 0.1, 0.1, 0.1, 0.15, 0.3, 0.6, 1, 1.6, 2, 2.2, 2.4,
    2.5, 2.3, 2.1, 2, 1.8, 1.4, 1, 0.8, 0.6, 0.5, 0.35, 0.2,
)  # fmt: skip
"""How busy the hours of a day are (UTC), against each other."""


class Model(NamedTuple):
    """A model and its price: whole dollars for ten million tokens, so that costs are exact."""

    provider: str
    name: str
    input: int
    output: int


FLASH = Model("gcp.gemini", "gemini-2.5-flash-lite", 1, 4)
MINI = Model("openai", "gpt-4.1-mini", 4, 16)
HAIKU = Model("anthropic", "claude-haiku-4-5", 10, 50)
GPT = Model("openai", "gpt-4.1", 20, 80)
SONNET = Model("anthropic", "claude-sonnet-4-5", 30, 150)
FRONTIER = Model("openai", "gpt-5", 50, 300)
MODELS = (FLASH, MINI, HAIKU, GPT, SONNET, FRONTIER)


@dataclass(frozen=True)
class Work:
    """One kind of calls of a team. ``prompt`` and ``answer``: tokens of a call on average."""

    team: str
    application: str
    use_case: str
    model: Model
    calls: int
    """A day."""
    prompt: int
    answer: int
    by: Literal["people", "agents", "a service"] = "people"

    @cached_property
    def users(self) -> list[str]:
        """Who works in the team."""
        return [f"{self.team}-{number}" for number in range(1, USERS_PER_TEAM + 1)]


COMPANY = (
    Work("search", "site-search", "query-rewriting", FLASH, 4000, 200, 30, "a service"),
    Work("search", "answer-page", "answering", GPT, 4200, 1500, 400),
    Work("search", "index-agent", "indexing", SONNET, 2400, 4000, 700, "agents"),
    Work("support", "help-desk", "answering", HAIKU, 4600, 1200, 250),
    Work("support", "help-desk", "summaries", MINI, 1500, 3000, 300, "a service"),
    Work("checkout", "order-bot", "order-status", MINI, 2600, 900, 150),
    Work("checkout", "fraud-check", "classification", GPT, 2200, 1800, 60, "a service"),
    Work("platform", "code-review", "review", SONNET, 1500, 3500, 400),
    Work("platform", "build-agent", "repair", GPT, 2200, 3000, 250, "agents"),
    Work("research", "deep-agent", "literature", SONNET, 1500, 3500, 500, "agents"),
    Work("research", "notebook", "questions", FRONTIER, 900, 1500, 400),
    Work("mobile", "assistant", "chat", GPT, 3800, 900, 250),
    Work("analytics", "report-writer", "reports", SONNET, 900, 4000, 500),
    Work("analytics", "sql-desk", "questions", GPT, 2400, 1500, 150),
    Work("risk", "file-check", "extraction", GPT, 2400, 2500, 200, "a service"),
    Work("risk", "risk-agent", "research", HAIKU, 2200, 4000, 400, "agents"),
    Work("billing", "invoice-reader", "extraction", MINI, 4200, 2500, 300, "a service"),
    Work("billing", "letters", "drafting", HAIKU, 1800, 700, 350),
    Work("marketing", "copy-desk", "drafting", HAIKU, 2000, 700, 400),
    Work("marketing", "campaigns", "translation", GPT, 2600, 700, 500, "a service"),
    Work("accounts", "mail-desk", "drafting", GPT, 3000, 1100, 300),
    Work("accounts", "call-notes", "summaries", FLASH, 2600, 4000, 250, "a service"),
    Work("partners", "portal", "chat", MINI, 3600, 1100, 200),
    Work("partners", "onboarding-agent", "onboarding", HAIKU, 2400, 3500, 350, "agents"),
)
