"""docs/quotas.md: its examples are what is really published and answered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from schemas.quotas import BudgetDefinition, Heartbeat, MemberState, QuotaAnswer
from schemas.topics import QUOTAS, TOPICS
from streams.budgets.fields import DIMENSIONS, TIERS

PAGE = (Path(__file__).parents[3] / "docs" / "quotas.md").read_text("utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


MODELS = (QuotaAnswer, BudgetDefinition, MemberState, Heartbeat)


@pytest.mark.parametrize(("block", "model"), list(zip(BLOCKS, MODELS, strict=True)))
def test_an_example_is_word_for_word_what_is_written(block: str, model: type[BaseModel]):
    shown = json.loads(block)
    written = model.model_validate_json(block).model_dump_json()
    assert json.loads(written) == shown
    assert list(json.loads(written)) == list(shown)


def test_the_page_names_all_that_a_question_may_and_all_that_an_answer_has():
    for name in (*DIMENSIONS, *TIERS, *QuotaAnswer.model_fields):
        assert f"`{name}`" in PAGE, name


def test_the_topic_is_as_the_page_says():
    (topic,) = (topic for topic in TOPICS if topic.name == QUOTAS)
    assert (topic.partitions, dict(topic.config)) == (1, {"cleanup.policy": "compact"})
