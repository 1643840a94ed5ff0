"""`spendstream prices check` with a ledger: models in use without a price, or rated at another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sinks.clickhouse import ClickHouse
from streams.cli.main import main
from streams.rating.overrides import Overrides
from streams.rating.pricebook import PriceBook

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("embedded", "no broker takes part, so once is enough"),
]

COLUMNS = "minute, provider, model, service_tier, rating, price_ref, calls, output_tokens, cost"


def test_check_finds_the_models_in_use_without_a_price_and_those_rated_at_another(
    clickhouse: ClickHouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (database,) = clickhouse.query("SELECT currentDatabase()")[0]
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "prices.yaml"
    file.write_text(
        "prices:\n"
        "  - {provider: own, model: later, effective_from: 2026-01-01,\n"
        "     usd_per_million_tokens: {output: 1}}\n"
        "discounts:\n"
        "  - {provider: openai, percent: 10, effective_from: 2026-11-10}\n"
    )
    listed = PriceBook.load()
    ref = listed.schedule("openai", "gpt-4o", None, None).periods[-1].windows[0].card.price_ref
    old = ref.replace(listed.version, "genai-prices 0.0.1")
    rows = [
        # newest first; the first fixes the end of the 30 days
        ("2026-11-20 12:00", "openai", "gpt-4o", None, "priced", f"{ref}, prices.yaml -10 % from "
         "2026-11-10", 3, 30, "0.3"),
        ("2026-11-09 23:59", "openai", "gpt-4o", None, "priced", ref, 5, 50, "0.5"),
        ("2026-11-10 00:00", "openai", "gpt-4o", None, "priced", ref, 2, 20, "0.2"),
        ("2026-11-01 00:00", "openai", "gpt-4o", None, "priced", old, 7, 70, "0.7"),
        ("2026-11-02 00:00", "openai", "gpt4o-mini-x", "batch", "unpriced", None, 4, 40, None),
        ("2026-11-03 00:00", "own", "later", None, "unpriced", None, 6, 60, None),
        ("2026-11-03 00:00", "own", "mended", None, "unpriced", None, 6, 60, None),
        ("2026-11-03 00:01", "own", "mended", None, "unpriced", None, -6, -60, None),
        ("2026-09-01 00:00", "own", "long-ago", None, "unpriced", None, 9, 90, None),
    ]  # fmt: skip
    values = ", ".join(
        "(" + ", ".join("NULL" if v is None else repr(v) for v in row) + ")" for row in rows
    )
    clickhouse.command(f"INSERT INTO spend ({COLUMNS}) VALUES {values}")
    arguments = ["prices", "check", "--prices", str(file), "--clickhouse", clickhouse.url]

    with pytest.raises(SystemExit) as end:
        main([*arguments, "--json"])
    found = json.loads(capsys.readouterr().out)

    assert end.value.code == 1
    assert [(u["model"], u["calls"], u["tokens"], u["priced_now"]) for u in found["unpriced"]] == [
        ("later", 6, 60, True),
        ("gpt4o-mini-x", 4, 40, False),
    ]
    repriced = {
        one["price_ref"]: (one["calls"], one["cost"], one["now"]) for one in found["repriced"]
    }
    assert repriced == {
        old: (7, "0.700000000000", [ref]),
        ref: (2, "0.200000000000", [f"{ref}, prices.yaml -10 % from 2026-11-10"]),
    }
    snippet = found["unpriced"][1]["yaml"]
    assert "service_tier: batch" in snippet
    pasted = tmp_path / "pasted.yaml"
    pasted.write_text(f"prices:\n{snippet}\n")
    (price,) = Overrides.load(pasted).prices
    assert price.key == ("openai", "gpt4o-mini-x", "batch", None)

    file.write_text(file.read_text().replace("discounts:", f"{snippet}\ndiscounts:"))
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = capsys.readouterr().out
    assert not end.value.code
    assert "openai/gpt4o-mini-x batch: 4 calls, 40 tokens, last on 2026-11-02" in said
    assert "openai/gpt-4o: 7 calls of $0.70" in said
