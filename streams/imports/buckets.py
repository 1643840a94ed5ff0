"""Totals of a time bucket as usage events whose sums are the totals, to the last token.

A bucket holds many calls, and the price of some models depends on the size of a single one: its
prompt above a threshold makes the whole call dearer. One event with the total of a day would be
priced as one gigantic call. So a bucket becomes as many events as it takes for each to have the
prompt of an ordinary call, though never more events than calls. How it is cut follows from the
bucket alone, not from a price list: the ids, and so the second import, depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

from schemas.tokens import INPUT_BUCKETS, MAX_TOKENS_PER_EVENT
from streams.imports.source import Fields, Passed
from streams.imports.values import as_json, instant, missing, text

START, END = "bucket_start", "bucket_end"
ORDINARY_PROMPT = 99_990
"""Below every threshold of OpenAI's and Anthropic's price lists, with room for the remainders."""
LONG_PROMPT = 400_000
"""Of a call that is said to be above a threshold of 200,000."""
_LABELS = {timedelta(minutes=1): "1m", timedelta(hours=1): "1h", timedelta(days=1): "1d"}
_FLAT = ("input_tokens", "amount_value")
_NOT_IDENTITY = frozenset(
    {START, END, "object", "quantity_unit", "amount_currency", "organization_id", "user_email"}
)
_NAMES = ("_name", "_iso")
_UNGROUPED = "unlabeled"


def results(document: Mapping[str, Any], start: str, end: str) -> Iterator[dict[str, Any]]:
    """The results of a bucket, or of a page of them, each with the begin and end of its bucket.

    A line of CSV is a bucket with one result; where the bucket had none, its cells are empty.
    """
    pages = document.get("data")
    if isinstance(pages, list):
        for bucket in pages:
            if isinstance(bucket, Mapping):
                yield from results(bucket, start, end)
        return
    if start in document and any(text(document.get(name)) for name in _FLAT):
        cells = {key: value for key, value in document.items() if key not in (start, end)}
        yield {**cells, START: document[start], END: document.get(end)}
    listed = document.get("results", document.get("result"))
    for result in listed if isinstance(listed, list) else ():
        if isinstance(result, Mapping):
            yield {**result, START: document.get(start), END: document.get(end)}


def bucket_of(row: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Begin and end of a result's bucket, UTC. Raises InvalidEvent."""
    start, end = instant(row, START), instant(row, END)
    if start is None or end is None:
        raise missing("time", "the bucket has no begin or no end")
    return start, end


def check_over(row: Mapping[str, Any], taken: datetime) -> None:
    """Raise Passed where the bucket was still growing when the export was made."""
    _, end = bucket_of(row)
    if end > taken:
        raise Passed("not_over", "the bucket was not over when the export was made")


def identity(source: str, row: Mapping[str, Any]) -> str:
    """The id of a result: its bucket and everything that it is grouped by.

    That are its texts and truths, whatever the API has learnt to group by, and no numbers; a name
    beside an id may change, and says nothing more.
    """
    start, end = bucket_of(row)
    groups = {key: said for key, value in row.items() if (said := _group(key, value))}
    said = as_json([int(start.timestamp()), int(end.timestamp()), sorted(groups.items())])
    digest = blake2b(said.encode(), digest_size=10, usedforsecurity=False).hexdigest()
    return f"{source}:{start:%Y-%m-%dT%H:%MZ}:{digest}"


def _group(key: str, value: Any) -> str | None:
    if key in _NOT_IDENTITY or key.endswith(_NAMES) or not isinstance(value, str | bool):
        return None
    said = text(value)
    if said is None or said == _UNGROUPED:
        return None
    try:
        Decimal(said)
    except InvalidOperation:
        # CSV has True where JSON has true.
        return said.lower() if said in ("True", "False") else said
    return None  # a count, as CSV has it


def label(row: Mapping[str, Any]) -> str:
    """How long the bucket is: 1m, 1h, 1d, or its seconds."""
    start, end = bucket_of(row)
    return _LABELS.get(end - start, f"{int((end - start).total_seconds())}s")


def tags(row: Mapping[str, Any], *fields: str) -> dict[str, str]:
    """The bucket's length, and fields of the row as they are."""
    found = {name: text(row.get(name)) for name in fields}
    return {"bucket": label(row), **{name: said for name, said in found.items() if said}}


def split(
    common: Fields, counts: Mapping[str, int], calls: int | None, *, long: bool = False
) -> list[Fields]:
    """Events for the totals of one result. ``counts``: tokens by bucket of the event, from 0.

    ``common`` has an event_id, to which each event's number is added, and tags, which get each
    event's share of ``calls``. ``long``: its calls were billed as long ones.
    """
    prompt = sum(counts.get(name, 0) for name in INPUT_BUCKETS)
    number = prompt // LONG_PROMPT if long else -(-prompt // ORDINARY_PROMPT)
    if calls:
        number = min(number, calls)
    room = MAX_TOKENS_PER_EVENT - len(counts)
    number = max(1, number, -(-sum(counts.values()) // room))
    events = []
    for index in range(number):
        said = dict(common["tags"])
        if calls is not None:
            said["calls"] = str(_share(calls, number, index))
        if number > 1:
            said["part"] = f"{index + 1}/{number}"
        tokens = {name: _share(total, number, index) for name, total in counts.items()}
        event_id = f"{common['event_id']}/{index + 1}"
        events.append({**common, **tokens, "event_id": event_id, "tags": said})
    return events


def _share(total: int, number: int, index: int) -> int:
    return total // number + (index < total % number)
