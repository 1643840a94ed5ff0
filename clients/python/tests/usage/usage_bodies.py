"""The table of hand-written bodies: one JSON file per provider or two, one case per name.

A case has ``provider``, perhaps ``request`` and ``headers``, either a whole ``body`` or the
``events`` of a stream, and the ``expected`` fields, all of them. ``list_price`` is the provider's
price list: USD per million tokens of each bucket that is not 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spendstream.usage import StreamReader, read_usage

Case = dict[str, Any]

CASES: dict[str, Case] = {
    name: case
    for file in sorted(Path(__file__).with_name("bodies").glob("*.json"))
    for name, case in json.loads(file.read_text()).items()
}
WHOLE = {name: case for name, case in CASES.items() if "body" in case}
STREAMED = {name: case for name, case in CASES.items() if "events" in case}


def fields_of(case: Case) -> dict[str, Any]:
    if "body" in case:
        return dict(
            read_usage(case["provider"], case["body"], case.get("request"), case.get("headers"))
        )
    return dict(streamed(case, case["events"]).usage())


def streamed(case: Case, events: list[dict[str, Any]]) -> StreamReader:
    reader = StreamReader(case["provider"], case.get("request"), case.get("headers"))
    for event in events:
        reader.feed(event["data"], event=event.get("event"))
    return reader
