from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.usage import UsageEvent
from schemas.wire import encode
from streams.traffic.encoding import RowEncoder
from streams.traffic.mooncake import SeenPrefixes, cached_tokens

FIELDS = frozenset({"event_id", "occurred_at", "provider", "model", "team", "user", "input_tokens"})
names = st.text(min_size=1, max_size=200).filter(str.strip)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    strings=st.fixed_dictionaries(
        {name: names for name in sorted(FIELDS) if name not in ("occurred_at", "input_tokens")}
    ).filter(lambda fields: not fields["event_id"].startswith("void:")),
    micros=st.integers(946_684_800_000_000, 4_102_444_799_999_999),
    tokens=st.integers(0, 10**9),
)
def test_a_row_is_encoded_as_the_wire_codec_encodes_the_event(
    strings: dict[str, str], micros: int, tokens: int
) -> None:
    encoder = RowEncoder(FIELDS, {"usage_source": "estimated"})
    event = UsageEvent(
        **strings,
        occurred_at=EPOCH + timedelta(microseconds=micros),
        input_tokens=tokens,
        usage_source="estimated",
    )
    row = strings | {"occurred_at": micros, "input_tokens": tokens}
    assert encoder.encode(row) == encode(event)
    assert encoder.encode(row) == encode(event), "the second time from what is remembered"


def test_a_field_that_is_no_string_or_long_is_refused() -> None:
    with pytest.raises(ValueError, match="status is enum"):
        RowEncoder(FIELDS | {"status"}, {"usage_source": "reported"})


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=30))
def test_known_blocks_are_the_longest_prefix_of_any_earlier_prompt(
    prompts: list[list[int]],
) -> None:
    seen = SeenPrefixes()
    earlier: set[tuple[int, ...]] = {()}
    for prompt in prompts:
        prefixes = [tuple(prompt[:size]) for size in range(len(prompt) + 1)]
        assert seen.add(prompt) == max(len(p) for p in prefixes if p in earlier)
        earlier.update(prefixes)


@given(st.integers(0, 1000), st.integers(0, 300_000))
def test_a_prompt_that_is_not_empty_keeps_an_uncached_token(blocks: int, length: int) -> None:
    cached = cached_tokens(blocks, length)
    assert 0 <= cached <= 512 * blocks
    assert cached < length or cached == length == 0
