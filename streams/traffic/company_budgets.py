"""Budgets that fit the simulated company: most hold, one team goes over its own."""

from __future__ import annotations

from decimal import Decimal

ORGANISATION = 7800
DEPARTMENTS = {"product": 2900, "engineering": 2300, "finance": 1800, "sales": 1200}
TEAM = 500
TEAMS = {"search": 2100, "platform": 1150, "research": 800, "risk": 800, "analytics": 750}
"""USD a month, of all its calls; ``TEAM``: of the teams that are not named."""
FEW = "thresholds: [80, 100]"


def company_budgets(thinned: int) -> str:
    """The budgets file, as YAML text, where only one of so many calls is made."""

    def limit(usd: int) -> str:
        return f"{Decimal(usd) / thinned:.2f}"

    departments = "".join(
        f"  - {{name: {name}, where: {{department: {name}}}, limit: {limit(usd)}, {FEW}}}\n"
        for name, usd in DEPARTMENTS.items()
    )
    exceptions = "".join(
        f"      - {{members: {{team: {name}}}, limit: {limit(usd)}}}\n"
        for name, usd in TEAMS.items()
    )
    return (
        "timezone: UTC\n"
        "exchange_rates:\n"
        "  HKD: {2026-01-01: 7.80}\n"
        "  EUR: {2026-01-01: 0.86}\n"
        "budgets:\n"
        f"  - {{name: organisation, limit: {limit(ORGANISATION)}}}\n"
        f"{departments}"
        f"  - name: teams\n    each: team\n    limit: {limit(TEAM)}\n    {FEW}\n"
        f"    exceptions:\n{exceptions}"
    )
