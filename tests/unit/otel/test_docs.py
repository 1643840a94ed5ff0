"""docs/opentelemetry.md against the mapping."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from schemas.usage import ATTRIBUTION
from streams.otel import calls, metrics, names

PAGE = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
COLLECTOR, FILTER = (
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
)


def row(section: str, first: str) -> list[str]:
    """Names of attributes in the table row that begins so, in their order."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \|(.*)\|$", SECTIONS[section], re.MULTILINE)
    return re.findall(r"`([\w.]+\.[\w.]+)`", line)


def test_the_token_attributes_are_listed_in_the_order_in_which_they_are_asked():
    rows = {
        "input": names.INPUT,
        "output": names.OUTPUT,
        "total": names.TOTAL,
        "read from a cache": names.CACHE_READ,
        "written to a cache": names.CACHE_WRITE,
        "neither": names.UNCACHED,
        "reasoning": names.REASONING,
        "audio, image of the input": names.INPUT_AUDIO + names.INPUT_IMAGE,
        "audio of the output": names.OUTPUT_AUDIO,
    }
    assert {first: row("Tokens", first) for first in rows} == {
        first: list(attributes) for first, attributes in rows.items()
    }


def test_the_attributes_of_fields_are_listed_in_the_order_in_which_they_are_asked():
    assert row("Fields", "`request_id`") == list(names.RESPONSE_ID)
    assert row("Fields", "`requested_model`") == list(names.REQUEST_MODEL)
    assert row("Fields", "`model`") == list(names.RESPONSE_MODEL)
    assert row("Fields", "`service_tier`") == list(names.SERVICE_TIER)
    assert row("Fields", "`provider`")[: len(names.PROVIDER)] == list(names.PROVIDER)
    for field in ("user", "workflow", "application", "environment"):
        own = f"spendstream.{field}"
        asked = [*names.FALLBACKS.get(field, ()), own, *names.RESOURCE_FALLBACKS.get(field, ())]
        assert row("Fields", f"`{field}`") == [own, *asked]
    for field in ATTRIBUTION:
        assert f"`{field}`" in SECTIONS["Fields"]


def test_every_operation_that_counts_is_listed():
    assert [name for name in calls.CALLS | calls.OTHER_CALLS if f"`{name}`" not in PAGE] == []
    for attribute, counted in calls.KINDS.items():
        assert f"`{attribute}`" in SECTIONS["What counts"]
        assert all(kind in SECTIONS["What counts"].lower() for kind in counted)


def test_the_advice_of_a_refusal_is_that_of_the_page():
    advice = metrics.SET_DELTA.rpartition(" ")[2]
    assert f"export {advice}" in SECTIONS["Metrics"]


def test_the_pipeline_of_the_collector_is_made_of_what_is_configured():
    (pipeline,) = COLLECTOR["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert pipeline[kind] == list(COLLECTOR[kind])
    (exporter,) = COLLECTOR["exporters"].values()
    assert exporter["headers"]["Authorization"].startswith("Bearer ")
    assert COLLECTOR["processors"]["batch"]["send_batch_max_size"] <= 1_000


def test_the_filter_keeps_whatever_says_that_it_is_a_call():
    (processor,) = FILTER["processors"].values()
    (condition,) = processor["traces"]["span"]
    terms = re.findall(r'attributes\["([\w.]+)"\] == nil', condition)
    assert condition == " and ".join(f'attributes["{name}"] == nil' for name in terms)
    says = {calls.OPERATION, calls.VERCEL_OPERATION, *calls.VERCEL_MODEL, *calls.KINDS}
    says |= {"gen_ai.provider.name", "gen_ai.system"}
    assert set(terms) == says - {"traceloop.span.kind"}  # which no call has
