from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.rating.overrides import Overrides
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from tests.support.frames import NOON, usage_frame

EXAMPLE = Path(__file__).parents[3] / "examples" / "prices.yaml"
MINUTE = timedelta(minutes=1)

PRICE = """\
prices:
  - provider: acme
    model: m
    effective_from: 2026-10-01
    usd_per_million_tokens: {input: 2, output: 8}
"""


def changed(old: str, new: str) -> str:
    assert old in PRICE
    return PRICE.replace(old, new)


def more(**fields: str) -> str:
    return PRICE + "".join(f"    {name}: {value}\n" for name, value in fields.items())


def usd(book: PriceBook, bucket: str, at: datetime = NOON, **key: str | None) -> str | None:
    named = {"provider": "acme", "model": "m", "service_tier": None, "region": None} | key
    card = book.card(**named, at=at)
    return card.usd_per_million(0)[f"{bucket}_tokens"] if card else None


def test_the_example_prices_calls_as_it_says():
    book = PriceBook.load(EXAMPLE)
    rated = rate(
        usage_frame(
            [
                {"input_tokens": 1000, "cache_read_tokens": 1000, "output_tokens": 100},
                {"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"},
                {"input_tokens": 1000, "output_tokens": 100, "region": "EU"},
                {"provider": "own-cluster", "model": "Qwen3-235B", "input_tokens": 128_001},
            ]
        ),
        book,
    )
    assert rated["cost_pico"].to_list() == [
        4_275_000_000,
        1_575_000_000,
        3_465_000_000,
        128_001 * 240_000 + 10_000_000,
    ]
    assert rated["price_ref"].to_list() == [
        "prices.yaml:openai/gpt-4o from 2026-10-01",
        "prices.yaml:openai/gpt-4o batch from 2026-10-01",
        "prices.yaml:openai/gpt-4o eu from 2026-11-01",
        "prices.yaml:own-cluster/qwen3-235b from 2026-01-01",
    ]


def test_the_version_tells_two_files_apart(written: Callable):
    first = PriceBook.load(written(PRICE)).version
    second = PriceBook.load(written(changed("output: 8", "output: 9"))).version
    assert first != second
    assert " + prices.yaml@" in first


def test_numbers_never_pass_through_binary_floats(written: Callable):
    text = changed("input: 2,", "input: 0.100000000001,")
    (price,) = Overrides.load(written(text)).prices
    assert price.usd_per_million_tokens["input"] == Decimal("0.100000000001")


def test_before_its_start_the_list_price_applies(written: Callable):
    text = changed("acme", "openai").replace("model: m", "model: gpt-4o")
    book = PriceBook.load(written(text))
    start = datetime(2026, 10, 1, tzinfo=UTC)
    key = {"provider": "openai", "model": "gpt-4o"}
    assert usd(book, "input", start, **key) == "2"
    assert usd(book, "input", start - MINUTE, **key) == "2.5"


def test_an_override_of_an_unlisted_model_prices_nothing_before_its_start(written: Callable):
    book = PriceBook.load(written(PRICE))
    assert usd(book, "input", datetime(2026, 9, 30, 23, 59, tzinfo=UTC)) is None


def test_a_later_override_of_the_same_key_ends_the_earlier_one(written: Callable):
    later = PRICE.removeprefix("prices:\n").replace("2026-10-01", "2026-10-05T08:30+02:00")
    book = PriceBook.load(written(PRICE + later.replace("input: 2", "input: 3")))
    change = datetime(2026, 10, 5, 6, 30, tzinfo=UTC)
    assert [usd(book, "input", at) for at in (change - MINUTE, change)] == ["2", "3"]
    card = book.card("acme", "m", None, None, change)
    assert card is not None
    assert card.price_ref == "prices.yaml:acme/m from 2026-10-05T06:30Z"


@pytest.mark.parametrize(
    ("named", "bucket", "like"),
    [
        ("input: 2", "cache_read", "2"),
        ("input: 2", "cache_write_1h", "2"),
        ("input: 2, cache_write_5m: 3", "cache_write_1h", "3"),
        ("input: 2, cache_write_1h: 4", "cache_write_5m", "2"),
        ("input: 2", "cache_read_audio", "2"),
        ("input: 2, cache_read: 1", "cache_read_audio", "1"),
        ("input: 2, input_image: 7", "cache_read_image", "7"),
        ("input: 2", "output", None),
        ("output: 9", "reasoning", "9"),
        ("output: 9", "output_audio", "9"),
        ("output: 9", "input", None),
    ],
)
def test_an_unnamed_bucket_is_charged_like_what_it_is_a_part_of(
    written: Callable, named: str, bucket: str, like: str | None
):
    book = PriceBook.load(written(changed("input: 2, output: 8", named)))
    assert usd(book, bucket) == like


def test_a_tier_keeps_the_rates_that_only_the_price_names(written: Callable):
    tiers = "[{above_input_tokens: 100, usd_per_million_tokens: {input: 4}}]"
    text = more(tiers=tiers).replace("input: 2", "input: 2, cache_read: 1")
    card = PriceBook.load(written(text)).card("acme", "m", None, None, NOON)
    assert card is not None
    above = card.usd_per_million(1)
    assert {key: above[f"{key}_tokens"] for key in ("input", "cache_read", "output")} == {
        "input": "4",
        "cache_read": "1",
        "output": "8",
    }
    assert above["cache_write_5m_tokens"] == "4"


def test_a_standard_override_does_not_displace_the_lists_batch_price(written: Callable):
    text = changed("acme", "openai").replace("model: m", "model: gpt-4o")
    book = PriceBook.load(written(text))
    key = {"provider": "openai", "model": "gpt-4o"}
    assert usd(book, "input", **key, service_tier="batch") == "1.25"
    flex = book.card("openai", "gpt-4o", "flex", None, NOON)
    assert flex is not None
    assert flex.price_ref.endswith("from 2026-10-01 (no flex price known: standard)")


def test_a_region_only_gets_its_own_price(written: Callable):
    regional = PRICE.removeprefix("prices:\n").replace("input: 2", "input: 3")
    book = PriceBook.load(written(PRICE + regional + "    region: EU\n"))
    found = {region: usd(book, "input", region=region) for region in (None, "eu", "Eu", "us")}
    assert found == {None: "2", "eu": "3", "Eu": "3", "us": "2"}


ERRORS = {
    "unknown rate": (
        changed("input:", "inputs:"),
        ":5: prices[0] (acme/m).usd_per_million_tokens: has the unknown rate 'inputs'; "
        "did you mean input?",
    ),
    "rate with suffix": (changed("output:", "output_tokens:"), "did you mean output?"),
    "exponent": (changed("input: 2", "input: 2e-3"), "input is '2e-3'; a plain decimal number"),
    "comma": (changed("input: 2", 'input: "2,50"'), "input is '2,50'; a plain decimal number"),
    "nan": (changed("input: 2", "input: .nan"), "input is '.nan'; a plain decimal number"),
    "negative": (changed("input: 2", "input: -2"), "input is '-2'; a plain decimal number"),
    "list for a rate": (changed("input: 2", "input: [2]"), "input is not a plain value"),
    "too dear": (changed("input: 2", "input: 9001"), "input is 9001; at most 9000 USD"),
    "rates are no mapping": (changed("{input: 2, output: 8}", "2"), "is no mapping; write for"),
    "no start": (
        changed("    effective_from: 2026-10-01\n", ""),
        ":2: prices[0] (acme/m).effective_from: is missing; write for example "
        "`effective_from: 2026-10-01`",
    ),
    "start without zone": (changed("2026-10-01", "2026-10-01T06:00"), "with its zone such as"),
    "start within a minute": (changed("2026-10-01", "2026-10-01T06:00:30Z"), "a whole minute"),
    "start is no date": (changed("2026-10-01", "2026-13-01"), "effective_from: is '2026-13-01'"),
    "no model": (changed("    model: m\n", ""), ":2: prices[0].model: is missing"),
    "empty region": (more(region=""), "region: is empty; give a name, or leave the line out"),
    "unknown tier": (
        more(service_tier="turbo"),
        ":6: prices[0] (acme/m).service_tier: is 'turbo'; expected 'standard', "
        "'batch', 'flex' or 'priority'",
    ),
    "unknown field": (more(currency="EUR"), "currency: is no key of a price; known are provider"),
    "no threshold": (
        more(tiers="[{usd_per_million_tokens: {input: 1}}]"),
        ":6: prices[0] (acme/m).tiers[0].above_input_tokens: is missing",
    ),
    "unknown field of a tier": (
        more(tiers="[{above_input_tokens: 1, usd_per_million_tokens: {input: 1}, to: 9}]"),
        "tiers[0].to: is no key of a tier; known are above_input_tokens, usd_per_million_tokens",
    ),
    "tiers out of order": (
        more(
            tiers="[{above_input_tokens: 9, usd_per_million_tokens: {input: 1}},"
            " {above_input_tokens: 9, usd_per_million_tokens: {input: 1}}]"
        ),
        "tiers: are not in ascending order",
    ),
    "threshold": (
        more(tiers="[{above_input_tokens: 1.5, usd_per_million_tokens: {input: 1}}]"),
        "tiers[0].above_input_tokens: is '1.5'; a whole number of tokens",
    ),
    "negative per call": (more(usd_per_call="-1"), "usd_per_call: is '-1'; a plain decimal"),
    "dear per call": (more(usd_per_call="200001"), "at most 200000 USD per call"),
    "no price at all": (changed("{input: 2, output: 8}", "{}"), "names no price; give"),
    "ambiguous": (
        changed("output: 8", "cache_read: 1, input_audio: 9"),
        "names cache_read and input_audio, so cache_read_audio could be either; "
        "name cache_read_audio too",
    ),
    "duplicate": (
        PRICE + PRICE.removeprefix("prices:\n").replace("acme", "ACME"),
        ":6: prices[1] (ACME/m): the same provider, model, service_tier, region and effective_from "
        "as prices[0]; keep one of them",
    ),
    "duplicate by the default tier": (
        PRICE + PRICE.removeprefix("prices:\n") + "    service_tier: standard\n",
        "as prices[0]; keep one of them",
    ),
    "key twice": (more(model="n"), ":6: 'model' is on line 3 already; keep one"),
    "YAML syntax": (changed("{input: 2", "{input: [2"), ":5: not YAML: expected ',' or ']'"),
    "no mapping": ("- 1\n", ":1: holds no prices; expected a list under the key prices"),
    "empty": ("", "holds no prices"),
    "no prices": ("price: []\n", "price: is no key of a price file; did you mean prices?"),
    "prices is no list": ("prices: 3\n", "prices: is '3'; expected a list"),
    "price is no mapping": ("prices: [3]\n", "prices[0]: is '3'; expected a mapping"),
    "control character": ("prices: \x07\n", ":1: not YAML: the character 0x0007"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_mistake_is_told_in_one_line_with_file_and_place(name: str, written: Callable):
    text, expected = ERRORS[name]
    path = written(textwrap.dedent(text))
    with pytest.raises(UserError) as caught:
        Overrides.load(path)
    message = str(caught.value)
    assert re.match(rf"{re.escape(str(path))}:\d+: ", message)
    assert expected in message
    assert "\n" not in message


def test_a_missing_file_is_a_users_mistake(tmp_path: Path):
    with pytest.raises(UserError, match=r"none\.yaml: No such file or directory; give"):
        Overrides.load(tmp_path / "none.yaml")


def test_bytes_that_are_no_text_are_a_users_mistake(tmp_path: Path):
    path = tmp_path / "prices.yaml"
    path.write_bytes(b"prices: \xff\xfe\n")
    with pytest.raises(UserError, match=r"yaml:1: byte 0xff is no UTF-8; save") as caught:
        Overrides.load(path)
    assert "\n" not in str(caught.value)
