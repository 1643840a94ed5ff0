"""Unit economics: what an outcome, a workflow, a customer and a user cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, key, ledger, table
from reports.figures.figure import Column, Figure, Measure, Table
from reports.figures.lens import Lens
from reports.figures.measures import CALLS, NOT_IN_COST, SPEND, USERS, ratio, spent
from sinks.clickhouse import ClickHouse

_USERS = [
    USERS,
    Measure(
        "spend_per_user",
        "Per active user",
        "money",
        ratio(spent(), "uniqExact(user)"),
        "The whole spend, also that of no user in particular, over the users who made a call.",
    ),
]
_CUSTOMERS = [
    Measure("customers", "Customers served", "count", "uniqExact(customer)",
            "Different customers who are named by at least one call.", "customers"),
    Measure("spend_per_customer", "Per customer served", "money",
            ratio(spent(), "uniqExact(customer)"),
            "Spend of the calls that name a customer, over how many customers there are."),
]  # fmt: skip
_WORKFLOWS = [
    Measure("workflows", "Workflows", "count", "uniqExact(workflow)",
            "Different workflows of the months that the period is in, without shadow calls.",
            "workflows"),
    Measure("spend_per_workflow", "Per workflow", "usd",
            ratio(spent(), "uniqExact(workflow)"),
            "Spend of all calls of the workflows, failed ones too, over how many workflows there "
            "are. By whole months, in USD."),
]  # fmt: skip
_WORKFLOW_COLUMNS = ("department", "team", "project", "use_case", "application")
_OUTCOMES = (
    Column("month", "Month", "month", key=True),
    Column("team", "Team", "text", key=True),
    Column("use_case", "Use case", "text", key=True),
    Column("name", "Outcome", "text", key=True),
    Column("outcomes", "How many", "count"),
    Column("value", "Sum of values", "number"),
    Column("cost", "Spend, USD", "usd", "USD"),
    Column("usd_per_outcome", "Per outcome, USD", "usd", "USD"),
)


@dataclass(frozen=True, slots=True)
class Units:
    """Outcomes and workflows are counted by whole months, in USD."""

    users: Mapping[str, Figure]
    customers: Mapping[str, Figure]
    workflows: Mapping[str, Figure]
    by_outcome: Table
    by_workflow: Table
    by_customer: Table
    users_by_department: Table


def units(clickhouse: ClickHouse, lens: Lens) -> Units:
    """Raises ClickHouseError."""
    named = lens.where("customer IS NOT NULL")
    months = lens.where(time="months", columns=_WORKFLOW_COLUMNS)
    return Units(
        figures(clickhouse, lens, _USERS),
        figures(clickhouse, lens, _CUSTOMERS, where=named),
        figures(clickhouse, lens, _WORKFLOWS, source="spend_by_workflow", where=months),
        by_outcome(clickhouse, lens),
        table(
            clickhouse,
            lens,
            "by_workflow_owner",
            "Workflows by team and use case",
            keys=[key("team"), key("use_case")],
            measures=[*_WORKFLOWS, Measure("cost", "Spend, USD", "usd", "sum(cost)", "")],
            order="5 DESC NULLS LAST, 1, 2",
            source="spend_by_workflow",
            where=months,
            limit=30,
            definition="Of the months that the period is in; without shadow calls. Dearest first.",
        ),
        table(
            clickhouse,
            lens,
            "by_customer",
            "Customers",
            keys=[key("customer")],
            measures=[SPEND, CALLS, NOT_IN_COST],
            order="2 DESC NULLS LAST, 1",
            source=ledger(lens),
            where=named,
            limit=30,
            definition="What serving each customer costs; calls that name none are left out.",
        ),
        table(
            clickhouse,
            lens,
            "users_by_department",
            "Users by department",
            keys=[key("department")],
            measures=[*_USERS, SPEND],
            order="4 DESC NULLS LAST, 1",
            definition="A user may be active in several departments, so they do not add up.",
        ),
    )


def by_outcome(clickhouse: ClickHouse, lens: Lens) -> Table:
    """Cost per outcome, of the months that the period is in; USD. A limited viewer sees teams of
    which they see everything, as the cost is the team's. Raises ClickHouseError."""
    where = lens.where(time="months", columns=("team", "use_case"))
    query = lens.query(
        "SELECT month, team, use_case, name, outcomes, value, cost, usd_per_outcome "
        f"FROM unit_costs WHERE {where} "
        "ORDER BY month DESC, cost DESC NULLS LAST, team, use_case, name LIMIT 50"
    )
    return Table(
        "by_outcome",
        "Cost per outcome",
        _OUTCOMES,
        tuple(query.rows(clickhouse)),
        "The whole spend of whoever reported outcomes of a name in a month, with failed work, "
        "retries and shadow calls, over how many there were.",
        query.text,
    )
