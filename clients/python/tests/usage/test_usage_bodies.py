from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from genai_prices import extract_usage
from spendstream.usage import read_usage
from usage_bodies import CASES, WHOLE, Case, fields_of

from schemas.batch import usage_frame_schema
from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS, OUTPUT_BUCKETS
from schemas.usage import UsageEvent
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PRICED = {name: case for name, case in CASES.items() if "list_price" in case}
EXTRACTED = {name: case for name, case in WHOLE.items() if "genai_prices" in case}


def table(cases: dict[str, Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


@table(CASES)
def test_a_body_gives_exactly_the_expected_fields(case: Case):
    assert fields_of(case) == case["expected"]


@table(CASES)
def test_the_server_accepts_what_was_read(case: Case):
    event = {"event_id": "e1", "occurred_at": NOON, "team": "search"} | fields_of(case)
    UsageEvent.model_validate(event)


@table(PRICED)
def test_the_price_is_that_of_the_providers_list(case: Case, book: PriceBook):
    fields = fields_of(case)
    assert {name.removesuffix("_tokens") for name in BUCKET_NAMES if fields.get(name)} == set(
        case["list_price"]
    )
    # The rating does not know OpenTelemetry's name of xAI; it is priced under genai-prices' own.
    provider = "x-ai" if fields["provider"] == "x_ai" else fields["provider"]
    call = {"event_id": "e1", "occurred_at": NOON, "kind": "usage", "team": "search"}
    row = call | fields | {"provider": provider, "tags": None}
    rated = rate(pl.DataFrame([row], schema=usage_frame_schema(), orient="row"), book)
    expected = sum(
        fields[f"{bucket}_tokens"] * Decimal(usd) for bucket, usd in case["list_price"].items()
    )
    assert rated["rating"].to_list() == ["priced"]
    assert Decimal(rated["cost_pico"][0]) / 10**6 == expected


@table(EXTRACTED)
def test_the_sums_are_those_that_genai_prices_extracts(case: Case):
    fields = fields_of(case)
    provider, flavor = case["genai_prices"]
    model = case["expected"]["model"]
    body = case["body"] | {"model": model, "modelVersion": model}
    other = extract_usage(body, provider_id=provider, api_flavor=flavor).usage

    def held(*buckets: str) -> int:
        return sum(fields.get(name, 0) for name in buckets)

    assert held(*INPUT_BUCKETS) == other.input_tokens
    assert held(*OUTPUT_BUCKETS) == (other.output_tokens or 0)
    reads = ("cache_read_tokens", "cache_read_audio_tokens", "cache_read_image_tokens")
    assert held(*reads) == (other.cache_read_tokens or 0)
    writes = ("cache_write_5m_tokens", "cache_write_1h_tokens")
    assert held(*writes) == (other.cache_write_tokens or 0)
    assert held("reasoning_tokens") == (other.output_reasoning_tokens or 0)


CHAT = {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500}


def chat(**usage: object) -> dict[str, object]:
    return {"model": "gpt-5", "usage": CHAT | usage}


@pytest.mark.parametrize(
    "body",
    [
        chat(prompt_tokens_details={"cached_tokens": 1201}),
        chat(prompt_tokens_details={"cached_tokens": 700, "audio_tokens": 600}),
        chat(completion_tokens_details={"reasoning_tokens": 301}),
        chat(prompt_tokens=-1),
        chat(prompt_tokens=True),
        chat(prompt_tokens="1200"),
        chat(prompt_tokens=1200.5),
        chat(prompt_tokens=float("nan")),
        chat(prompt_tokens=10**9 + 1),
        chat(prompt_tokens=None),
        chat(completion_tokens=None),
        chat(total_tokens=-1),
        chat(prompt_tokens_details=[1000]),
        chat(prompt_cache_hit_tokens=1000, prompt_cache_miss_tokens=100),
        chat(prompt_cache_hit_tokens=7, prompt_tokens_details={"cached_tokens": 8}),
        {"usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": {"modality": "AUDIO"}}},
        {"usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": ["AUDIO"]}},
        {"usageMetadata": {"candidatesTokenCount": 1}},
        {"type": "message", "usage": {"input_tokens": 1}},
        {
            "type": "message",
            "usage": {
                "input_tokens": 1,
                "output_tokens": 1,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_1h_input_tokens": 6},
            },
        },
        {"usage": {"inputTokens": 1, "outputTokens": 1, "cacheDetails": "5m"}},
        {"usage": "much"},
        {"usage": {}},
        {"usageMetadata": 5},
        {},
    ],
)
def test_counts_that_cannot_be_are_missing_and_leave_no_bucket(body: Case):
    fields = read_usage("openai", body)
    assert fields["usage_source"] == "missing"
    assert not set(fields) & {*BUCKET_NAMES, "total_tokens"}
    assert fields.get("model") == body.get("model")


@pytest.mark.parametrize("body", [None, [], "text", 5, [{"usage": CHAT}]])
def test_what_is_no_object_is_missing(body: object):
    assert read_usage("openai", body) == {"provider": "openai", "usage_source": "missing"}


def test_a_whole_float_counts():
    fields = read_usage("openai", chat(prompt_tokens=1200.0))
    assert fields["input_tokens"] == 1200
    assert type(fields["input_tokens"]) is int


def test_a_total_that_the_parts_do_not_make_is_left_out():
    fields = read_usage("openai", chat(total_tokens=1501))
    assert fields["usage_source"] == "reported"
    assert (fields["input_tokens"], fields["output_tokens"]) == (1200, 300)
    assert "total_tokens" not in fields


@pytest.mark.parametrize(
    ("provider", "total", "output"),
    [("x_ai", None, 9), ("x_ai", 41, 5), ("x_ai", 45, 9), ("openrouter", 45, 9), ("openai", 41, 5)],
)
def test_the_total_tells_whether_reasoning_lies_beside_the_answer(provider, total, output):
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": total,
    }
    fields = read_usage(provider, {"model": "grok-3-mini", "usage": usage})
    assert (fields["output_tokens"], fields["reasoning_tokens"]) == (output, 4)


@pytest.mark.parametrize(
    ("written", "lifetimes", "short", "long"),
    [
        (300, {"ephemeral_1h_input_tokens": 100}, 200, 100),
        (300, {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 100}, 200, 100),
        (None, {"ephemeral_5m_input_tokens": 150}, 150, None),
        (300, None, 300, None),
    ],
)
def test_cache_writes_of_no_said_lifetime_are_of_five_minutes(written, lifetimes, short, long):
    usage = {"input_tokens": 1, "output_tokens": 1}
    usage |= {"cache_creation_input_tokens": written, "cache_creation": lifetimes}
    fields = read_usage("anthropic", {"model": "m", "usage": usage})
    assert fields.get("cache_write_5m_tokens") == short
    assert fields.get("cache_write_1h_tokens") == long


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("azure", "azure.ai.openai"),
        ("azure.openai", "azure.ai.openai"),
        ("Bedrock", "aws.bedrock"),
        ("aws.bedrock", "aws.bedrock"),
        ("gemini", "gcp.gemini"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("mistral", "mistral_ai"),
        ("mistral-ai", "mistral_ai"),
        ("xai", "x_ai"),
        ("x-ai", "x_ai"),
        ("openai", "openai"),
        ("Together-AI", "together-ai"),
        (None, "unknown"),
    ],
)
def test_a_provider_gets_its_standard_name(name, known):
    assert read_usage(name, {})["provider"] == known


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (0, "0"),
        (0.95, "0.95"),
        (1e-7, "0.0000001"),
        (1e-13, "0"),
        (Decimal("0.0000135749999999999"), "0.000013575"),
        (12, "12"),
        (-0.1, None),
        (True, None),
        ("0.5", None),
        (float("inf"), None),
        (Decimal("NaN"), None),
        pytest.param(10**400, None, id="huge"),
    ],
)
def test_a_cost_is_decimal_text_of_at_most_twelve_decimals(cost, text):
    fields = read_usage("openrouter", {"usage": CHAT | {"cost": cost}})
    assert fields.get("provider_cost") == text
    assert fields["usage_source"] == "reported"


@pytest.mark.parametrize("model", ["", "  ", 5, None, "x" * 1025, "\ud800"])
def test_a_model_that_no_event_can_carry_is_taken_from_the_request(model):
    fields = read_usage("openai", {"model": model, "usage": CHAT}, {"model": "gpt-5"})
    assert fields["model"] == "gpt-5"
    assert "requested_model" not in fields


def test_a_sentence_in_the_place_of_an_error_is_no_code():
    said = "The model grok-9 does not exist or your team has no access to it."
    failed = read_usage("x_ai", {"code": "not-found", "error": said})
    assert (failed["status"], failed["error_code"]) == ("error", "not-found")
    assert read_usage("x_ai", {"error": said}).get("error_code") is None
    assert read_usage("mistral", {"error": "overloaded"})["error_code"] == "overloaded"
