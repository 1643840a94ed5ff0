"""The steps of the roadmap: what each is for, what it needs before, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass

from reports.maturity.model import Layer
from reports.savings.model import Kind


@dataclass(frozen=True, slots=True)
class Step:
    """``criteria``: it is done when each of these is at its highest level. ``saves``: the kind of
    saving that it brings about; None: none that can be known beforehand. ``after``: other steps."""

    name: str
    layer: Layer
    title: str
    criteria: tuple[str, ...]
    how: str
    saves: Kind | None = None
    after: tuple[str, ...] = ()


STEPS: tuple[Step, ...] = (
    Step("price", "visibility", "Give every model a price", ("priced",),
         "docs/prices.md; spendstream prices check"),
    Step("attribute", "visibility", "Say project, use case and user with every call",
         ("with_project", "with_use_case", "with_user"), "docs/producers.md"),
    Step("budgets", "visibility", "Set budgets, and have the guard watch them", ("budgets",),
         "docs/budgets-and-alerts.md", after=("price",)),
    Step("outcomes", "visibility", "Report what the work achieves", ("outcomes",),
         "docs/routing-report.md#outcomes", after=("attribute",)),
    Step("retries", "visibility", "Stop retries and failing calls that cost", (),
         "docs/savings.md", saves="retries"),
    Step("tiers", "routing", "Send calls by a router, so that each names a tier", ("tiered",),
         "docs/routing.md"),
    Step("shadows", "routing", "Shadow a sample on a cheaper tier, and score both",
         ("shadowed", "judged"), "docs/routing-report.md", after=("tiers",)),
    Step("route", "routing", "Route what the cheaper tier does as well", ("cheap",),
         "spendstream report routing", saves="routing", after=("shadows",)),
    Step("hashes", "prompts", "Send prompt and prefix hashes", ("hashed",), "docs/events.md"),
    Step("duplicates", "prompts", "Answer repeated requests from a cache", ("repeated",),
         "docs/savings.md", saves="duplicates", after=("hashes",)),
    Step("prefixes", "prompts", "Let providers cache what prompts begin with", ("cached",),
         "docs/savings.md", saves="prefixes", after=("hashes",)),
    Step("context", "prompts", "Keep the context of long workflows short", ("bloat",),
         "docs/detectors.md", saves="context"),
    Step("invoices", "vendors", "Compare invoices with what was metered", ("invoices",),
         "spendstream invoice import", after=("price",)),
    Step("batch", "vendors", "Send what can wait at batch prices", ("batch",), "docs/prices.md",
         after=("attribute",)),
    Step("vendors", "vendors", "Try the same work at a second vendor", ("vendors",),
         "spendstream report vendors", after=("shadows",)),
    Step("discounts", "vendors", "Negotiate, and record what was agreed", ("own_prices",),
         "docs/prices.md", after=("invoices",)),
    Step("agreements", "vendors", "Weigh volume steps and commitments, and count them",
         ("agreements",), "spendstream agreements report", after=("invoices",)),
)  # fmt: skip
