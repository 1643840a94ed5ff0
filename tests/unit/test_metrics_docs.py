"""Metrics: documented in one place, of which docs/metrics.md is a copy, and each really set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams import metrics
from streams.metrics import CATALOGUE, EVERY, PREFIX, Documented

REPOSITORY = Path(__file__).parents[2]
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in sorted((REPOSITORY / "streams").rglob("*.py"))
    if path.name != "metrics.py"
)
UNITS = ("_seconds", "_records", "_total")
PLAIN = {"spendstream_ready", "spendstream_queued", "spendstream_drift"}
"""A yes or no, and two counts of different things, which their label names."""

each = pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)


def constant_of(metric: Documented) -> str:
    (name,) = [name for name, value in vars(metrics).items() if value is metric.metric]
    return name


def test_the_page_is_what_make_docs_writes():
    page = (REPOSITORY / "docs" / "metrics.md").read_text("utf-8")
    assert page == metrics.documentation(), "run make docs"


def test_every_name_is_given_once():
    names = [metric.name for metric in CATALOGUE]
    assert len(names) == len(set(names)) > 10


@each
def test_a_metric_has_our_prefix_and_its_unit(metric):
    assert re.fullmatch(rf"{PREFIX}[a-z_]+", metric.name)
    assert metric.name.endswith(UNITS) or metric.name in PLAIN


@each
def test_a_metric_is_exposed_under_the_name_that_is_documented(metric):
    (family,) = metric.metric.describe()
    exposed = f"{family.name}_total" if family.type == "counter" else family.name
    assert exposed == metric.name


@each
def test_a_metric_says_what_it_means_where_it_is_and_what_to_do(metric):
    assert metric.meaning.endswith(".")
    assert metric.advice.endswith(".")
    assert metric.stages
    assert set(metric.stages) <= set(EVERY)


@each
def test_a_metric_is_set_somewhere(metric):
    name = constant_of(metric)
    sets = rf"\b{name}(?:\.labels\([^()]*(?:\([^()]*\)[^()]*)*\))?\.(?:inc|set|observe|time)\("
    assert re.search(sets, SOURCES), name


def test_whatever_has_labels_has_few():
    assert {metric.name for metric in CATALOGUE if len(metric.labels) > 1} == {
        "spendstream_lag_records"
    }
