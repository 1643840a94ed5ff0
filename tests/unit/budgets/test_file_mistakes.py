"""Every mistake in a budgets file is one line: file, line, place, what is wrong, what is right."""

from __future__ import annotations

import pytest

from schemas.errors import UserError
from streams.budgets.budget_file import read_budgets

A_BUDGET = "budgets: [{name: a, limit: 1}]\n"


@pytest.fixture
def mistake(tmp_path, monkeypatch):
    """What is said of a file with this text."""
    monkeypatch.chdir(tmp_path)

    def said(text: str) -> str:
        (tmp_path / "budgets.yaml").write_text(text)
        with pytest.raises(UserError) as error:
            read_budgets(tmp_path / "budgets.yaml")
        message = str(error.value)
        assert "\n" not in message
        assert message.startswith(f"{tmp_path}/")
        return message.removeprefix(f"{tmp_path}/")

    return said


BOOK = [
    (
        "",
        "budgets.yaml:1: holds no budgets; expected a list under the key budgets, as in "
        "examples/budgets.yaml",
    ),
    (
        "timezone: UTC\n",
        "budgets.yaml:1: budgets: is missing; write `budgets: []` for none",
    ),
    (
        f"{A_BUDGET}time_zone: UTC\n",
        "budgets.yaml:2: time_zone: is no key of a budgets file; did you mean timezone?",
    ),
    (
        f"{A_BUDGET}timezone: Asia/Hongkong\n",
        "budgets.yaml:2: timezone: is 'Asia/Hongkong'; it is no IANA time zone; did you mean "
        "Asia/Hong_Kong?",
    ),
    (
        f"{A_BUDGET}timezone: Hongkong/Asia\n",
        "budgets.yaml:2: timezone: is 'Hongkong/Asia'; it is no IANA time zone; did you mean "
        "Asia/Hong_Kong?",
    ),
    (
        f"{A_BUDGET}timezone: CST6\n",
        "budgets.yaml:2: timezone: is 'CST6'; it is no IANA time zone; write one such as "
        "Asia/Hong_Kong",
    ),
    (
        f"{A_BUDGET}fiscal_year_starts: 04-31\n",
        "budgets.yaml:2: fiscal_year_starts: is '04-31'; write month and day, the day from 01 to "
        "28, such as 04-01",
    ),
    (
        f"{A_BUDGET}fiscal_year_starts: 13-01\n",
        "budgets.yaml:2: fiscal_year_starts: is '13-01'; write month and day, the day from 01 to "
        "28, such as 04-01",
    ),
    (
        f"{A_BUDGET}fiscal_year_starts: april\n",
        "budgets.yaml:2: fiscal_year_starts: is 'april'; write month and day, the day from 01 to "
        "28, such as 04-01",
    ),
    (
        f"{A_BUDGET}week_starts: friday\n",
        "budgets.yaml:2: week_starts: is 'friday'; expected 'monday', 'sunday' or 'saturday'",
    ),
    (
        f"{A_BUDGET}currency: hkd\n",
        "budgets.yaml:2: currency: is 'hkd'; write an ISO 4217 code such as HKD; did you mean HKD?",
    ),
    (
        f"{A_BUDGET}currency: Dollar\n",
        "budgets.yaml:2: currency: is 'Dollar'; write an ISO 4217 code such as HKD",
    ),
    (
        f"{A_BUDGET}exchange_rates:\n  GPB: {{2026-01-01: 0.8}}\n",
        "budgets.yaml:3: exchange_rates.GPB: is 'GPB'; write an ISO 4217 code such as HKD; did you "
        "mean GBP?",
    ),
    (
        f"{A_BUDGET}exchange_rates:\n  USD: {{2026-01-01: 1}}\n",
        "budgets.yaml:3: exchange_rates.USD: one USD is one USD; leave it out",
    ),
    (
        f"{A_BUDGET}exchange_rates:\n  HKD: 7.78\n",
        "budgets.yaml:3: exchange_rates.HKD: is '7.78'; write each rate with its first day, such "
        "as {2026-01-01: 7.78}",
    ),
    (
        f"{A_BUDGET}exchange_rates:\n  HKD:\n    2026-02-30: 7.78\n",
        "budgets.yaml:4: exchange_rates.HKD.2026-02-30: is '2026-02-30'; write the day from which "
        "the rate holds, such as 2026-01-01",
    ),
    (
        f"{A_BUDGET}exchange_rates:\n  HKD:\n    2026-01-01: 7.78\n    2026-07-01: 0.0\n",
        "budgets.yaml:5: exchange_rates.HKD.2026-07-01: is '0.0'; it is more than 0",
    ),
    (
        f"{A_BUDGET}exchange_rates:\n  HKD:\n    2026-01-01: -7.78\n",
        "budgets.yaml:4: exchange_rates.HKD.2026-01-01: is '-7.78'; a rate is a plain decimal "
        "number above 0: units for one USD, as in 7.8",
    ),
    (
        "budgets:\n  - {name: a, limit: 1}\n  - {name: b, limit: 1}\n  - {name: a, limit: 1}\n",
        "budgets.yaml:4: budgets[2] (a).name: is the name of budgets[0] too; give each its own",
    ),
    (
        "budgets:\n  - {name: a, limit: 1}\n  - name: b\n    limit: 1\n    unit: HKD\n",
        "budgets.yaml:5: budgets[1] (b).unit: HKD has no rates; write units for one USD with their "
        "first day, such as `exchange_rates: {HKD: {2026-01-01: 7.80}}`",
    ),
    (
        "currency: EUR\nbudgets:\n  - name: b\n    limit: 1\n",
        "budgets.yaml:3: budgets[0] (b): EUR has no rates; write units for one USD with their "
        "first day, such as `exchange_rates: {EUR: {2026-01-01: 7.80}}`",
    ),
]

BUDGET = [
    ("- {limit: 1}", ":2: budgets[0].name: is missing; write for example `name: users`"),
    ("- {name: a}", ":2: budgets[0] (a).limit: is missing; write for example `limit: 1500.00`"),
    ("- {name: '', limit: 1}", ":2: budgets[0] ().name: is empty; write a name"),
    (
        "- name: a\n  limit: 1\n  team: search",
        ":4: budgets[0] (a).team: is no key of a budget; write `where: {team: …}`",
    ),
    ("- team", ":2: budgets[0]: is 'team'; expected a mapping"),
    (
        "- name: a\n  limit: 1\n  on: []",
        ":4: budgets[0] (a).on: is no key of a budget; known are name, each, where, limit, unit, "
        "period, thresholds, exceptions, actions, burn_rate, forecast",
    ),
    (
        "- name: a\n  limit: 1\n  treshold: []",
        ":4: budgets[0] (a).treshold: is no key of a budget; did you mean thresholds?",
    ),
    (
        "- name: a\n  limit: 15,000",
        ":3: budgets[0] (a).limit: is '15,000'; write a plain decimal number above 0, such as "
        "1500.00",
    ),
    (
        "- name: a\n  limit: .inf",
        ":3: budgets[0] (a).limit: is '.inf'; write a plain decimal number above 0, such as "
        "1500.00",
    ),
    ("- name: a\n  limit: 0", ":3: budgets[0] (a).limit: is '0'; it is more than 0"),
    (
        "- name: a\n  unit: tokens\n  limit: 1.5",
        ":4: budgets[0] (a).limit: is 1.5; write a whole number of tokens",
    ),
    (
        "- name: a\n  limit: 1\n  unit: token",
        ":4: budgets[0] (a).unit: is 'token'; write an ISO 4217 code such as HKD, tokens or calls; "
        "did you mean tokens?",
    ),
    (
        "- name: a\n  limit: 1\n  unit: HDK",
        ":4: budgets[0] (a).unit: is 'HDK'; write an ISO 4217 code such as HKD, tokens or calls; "
        "did you mean HKD?",
    ),
    (
        "- name: a\n  limit: 1\n  each: users",
        ":4: budgets[0] (a).each: is 'users'; spend has no such dimension; did you mean user?",
    ),
    (
        "- name: a\n  limit: 1\n  each: [user, user]",
        ":4: budgets[0] (a).each: 'user' is there twice; name it once",
    ),
    (
        "- name: a\n  limit: 1\n  where:\n    taem: search",
        ":5: budgets[0] (a).where.taem: spend has no such dimension; did you mean team?",
    ),
    (
        "- name: a\n  limit: 1\n  where: {galaxy: x}",
        ":4: budgets[0] (a).where.galaxy: spend has no such dimension; known are department, team, "
        "project, use_case, application, environment, user, customer, model, provider",
    ),
    (
        "- name: a\n  limit: 1\n  where: search",
        ":4: budgets[0] (a).where: is 'search'; write names by dimension, such as {team: search}",
    ),
    (
        "- name: a\n  limit: 1\n  where: {team: []}",
        ":4: budgets[0] (a).where.team: is an empty list; write a name or a list of names",
    ),
    (
        "- name: a\n  limit: 1\n  where: {team: [a, {b: c}]}",
        ":4: budgets[0] (a).where.team: is a mapping; write a name or a list of names",
    ),
    (
        "- name: a\n  limit: 1\n  where: {team: [a, a]}",
        ":4: budgets[0] (a).where.team: 'a' is there twice; name it once",
    ),
    (
        "- name: a\n  limit: 1\n  each: team\n  where: {team: search}",
        ":5: budgets[0] (a).where.team: is only 'search', so there is one member; leave team out "
        "of each",
    ),
    (
        "- name: a\n  limit: 1\n  period: monthly",
        ":4: budgets[0] (a).period: is 'monthly'; write day, week, month, quarter, year or a "
        "window such as {rolling: 24h}",
    ),
    (
        "- name: a\n  limit: 1\n  period: {window: 24h}",
        ":4: budgets[0] (a).period: has the keys window; write day, week, month, quarter, year or "
        "a window such as {rolling: 24h}",
    ),
    (
        "- name: a\n  limit: 1\n  period:\n    rolling: 2w",
        ":5: budgets[0] (a).period.rolling: is '2w'; write minutes, hours or days, such as 90m, "
        "24h or 7d, at most 366d",
    ),
    (
        "- name: a\n  limit: 1\n  period: {rolling: 0h}",
        ":4: budgets[0] (a).period.rolling: is '0h'; write minutes, hours or days, such as 90m, "
        "24h or 7d, at most 366d",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds: []",
        ":4: budgets[0] (a).thresholds: is an empty list; write at least one percentage, such as "
        "[80, 100]",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds:\n    - 80\n    - 100\n    - 80",
        ":7: budgets[0] (a).thresholds[2]: 80 % is there twice; name it once",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds:\n    - 80\n    - 1001",
        ":6: budgets[0] (a).thresholds[1]: is '1001'; write a whole percentage from 1 to 1000, "
        "such as 80",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds: [80%]",
        ":4: budgets[0] (a).thresholds[0]: is '80%'; write a whole percentage from 1 to 1000, "
        "such as 80",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds: [{severity: info}]",
        ":4: budgets[0] (a).thresholds[0].at: is missing; write for example `at: 80`",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds: [{at: 80, severity: bad}]",
        ":4: budgets[0] (a).thresholds[0].severity: is 'bad'; expected 'info', 'warning' or "
        "'critical'",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds: [{at: 80, channel: a, channels: b}]",
        ":4: budgets[0] (a).thresholds[0].channel: is there beside channels; keep one of them",
    ),
    (
        "- name: a\n  limit: 1\n  thresholds: [{at: 80, chanel: a}]",
        ":4: budgets[0] (a).thresholds[0].chanel: is no key of a threshold; did you mean channels?",
    ),
    (
        "- name: a\n  limit: 1\n  actions: [{at: 80, do: degrade}]",
        ":4: budgets[0] (a).actions[0].to: is missing; write the tier: cost-optimised, balanced, "
        "frontier",
    ),
    (
        "- name: a\n  limit: 1\n  actions: [{at: 80, do: degrade, to: cheap}]",
        ":4: budgets[0] (a).actions[0].to: is 'cheap'; expected 'cost-optimised', 'balanced' or "
        "'frontier'",
    ),
    (
        "- name: a\n  limit: 1\n  actions:\n    - at: 80\n      do: refuse\n      to: balanced",
        ":7: budgets[0] (a).actions[0].to: goes with `do: degrade`; leave it out",
    ),
    (
        "- name: a\n  limit: 1\n  actions: [{at: 80, do: stop}]",
        ":4: budgets[0] (a).actions[0].do: is 'stop'; expected 'degrade' or 'refuse'",
    ),
    (
        "- name: a\n  limit: 1\n  actions: [{at: 80}]",
        ":4: budgets[0] (a).actions[0].do: is missing; write for example `do: refuse`",
    ),
    (
        "- name: a\n  limit: 1\n  actions: [{at: 80, do: refuse}, {at: 80, do: refuse}]",
        ":4: budgets[0] (a).actions[1]: 80 % is there twice; name it once",
    ),
    (
        "- name: a\n  limit: 1\n  forecast: maybe",
        ":4: budgets[0] (a).forecast: is 'maybe'; expected true or false",
    ),
]

EXCEPTIONS = [
    (
        "- {members: {user: ann}}",
        ":6: budgets[0] (a).exceptions[0].limit: is missing; write for example `limit: 900.00`",
    ),
    (
        "- {limit: 5}",
        ":6: budgets[0] (a).exceptions[0].members: is missing; write for example "
        "`members: {user: [ann, bob]}`",
    ),
    (
        "- {members: {}, limit: 5}",
        ":6: budgets[0] (a).exceptions[0].members: is empty; write names by dimension, such as "
        "{user: [ann, bob]}",
    ),
    (
        "- limit: 5\n      members:\n        team: search",
        ":8: budgets[0] (a).exceptions[0].members.team: the budget is not for each team; name "
        "members by user, environment",
    ),
    (
        "- {members: {environment: prod}, limit: 5}",
        ":6: budgets[0] (a).exceptions[0].members.environment: 'prod' is not in where; add it "
        "there, or leave it out",
    ),
    (
        "- {members: {user: [ann, bob]}, limit: 5}\n    - {members: {user: [carl, bob]}, limit: 6}",
        ":7: budgets[0] (a).exceptions[1].members: bob is in exceptions[0] too; keep it in one of "
        "them",
    ),
    (
        "- {members: {user: ann}, limit: 5}\n    - {members: {environment: live}, limit: 6}",
        ":7: budgets[0] (a).exceptions[1].members: some member is in exceptions[0] too; keep it in "
        "one of them",
    ),
    (
        "- {members: {user: ann}, limit: 5.5}",
        ":6: budgets[0] (a).exceptions[0].limit: is 5.5; write a whole number of calls",
    ),
]


@pytest.mark.parametrize(("text", "says"), BOOK)
def test_a_mistake_of_the_book(mistake, text, says):
    assert mistake(text) == says


@pytest.mark.parametrize(("text", "says"), BUDGET)
def test_a_mistake_of_a_budget(mistake, text, says):
    assert mistake(f"budgets:\n{text}\n") == f"budgets.yaml{says}"


@pytest.mark.parametrize(("text", "says"), EXCEPTIONS)
def test_a_mistake_of_an_exception(mistake, text, says):
    budget = """\
budgets:
  - name: a
    limit: 1
    unit: calls
    exceptions:
    """
    rest = "    each: [user, environment]\n    where: {environment: [live, test]}\n"
    assert mistake(f"{budget}{text}\n{rest}") == f"budgets.yaml{says}"


def test_an_exception_of_a_budget_without_each_is_refused(mistake):
    text = "budgets:\n- {name: a, limit: 1, exceptions: [{members: {user: ann}, limit: 5}]}\n"
    assert mistake(text) == (
        "budgets.yaml:2: budgets[0] (a).exceptions[0].members.user: the budget is not for each "
        "user; leave the exceptions out, or write `each: user`"
    )


def test_members_of_two_exceptions_may_differ_in_one_of_their_dimensions(tmp_path):
    file = tmp_path / "budgets.yaml"
    file.write_text(
        "budgets: [{name: a, limit: 1, each: [user, model], exceptions: ["
        "{members: {user: ann, model: m}, limit: 2}, {members: {user: ann, model: n}, limit: 3}]}]"
    )
    (budget,) = read_budgets(file).budgets
    assert [budget.limit_for(("ann", model)) for model in "mno"] == [2, 3, 1]
