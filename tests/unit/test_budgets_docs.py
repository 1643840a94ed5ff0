"""docs/budgets-and-alerts.md against the guard, the alert and the signature."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import Alert, Rule
from sinks.webhook import alert_json, sign
from streams.budgets.budget_file import read_budgets
from streams.settings import PREFIX, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "budgets-and-alerts.md").read_text("utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_budgets_file_is_valid(tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text(block("yaml"))
    book = read_budgets(path)
    assert [budget.name for budget in book.budgets] == [
        "users",
        "search in production",
        "organisation",
    ]
    assert [step.at for step in book.budgets[0].thresholds] == [50, 80, 100]


def test_the_storm_settings_are_named_with_their_defaults():
    said = dict(re.findall(rf"`{PREFIX}(STORM_\w+)` \((\d+)\)", PAGE))
    fields = Settings.model_fields
    assert said == {
        name.upper(): str(fields[name].default) for name in fields if name.startswith("storm_")
    }


def test_every_rule_is_explained():
    explained = {"budget"}  # it has a section of its own
    assert "## Budgets" in PAGE
    assert "executive review" in PAGE
    explained.add("executive_review")
    for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE):
        explained |= set(re.findall(r"`(\w+)`", row)) & set(Rule.__args__)
    assert explained == set(Rule.__args__)


def test_the_webhook_posts_what_the_page_shows():
    shown = json.loads(block("json"))
    ids = {name: shown.pop(name) for name in ("alert_id", "transition_id")}
    alert = Alert.model_validate(shown)
    assert json.loads(alert_json(alert)) == {**ids, **shown}


@pytest.fixture(scope="module")
def is_genuine() -> Any:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    return names["is_genuine"]


def test_the_snippet_accepts_what_the_channel_signs(is_genuine):
    body = b'{"alert_id":"1"}'
    headers = sign(SECRET, "1:opened", int(time.time()), body)
    assert is_genuine(SECRET, headers, body)
    changed = {**headers, "webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}
    assert is_genuine(SECRET, changed, body)


@pytest.mark.parametrize(
    ("seconds", "body", "message_id"),
    [(0, b"{}", "1:opened"), (0, b'{"alert_id":"1"}', "2:opened"), (-301, None, None)],
)
def test_the_snippet_refuses_what_was_changed_or_is_old(is_genuine, seconds, body, message_id):
    original = b'{"alert_id":"1"}'
    headers = sign(SECRET, "1:opened", int(time.time()) + seconds, original)
    headers["webhook-id"] = message_id or headers["webhook-id"]
    assert not is_genuine(SECRET, headers, body or original)
