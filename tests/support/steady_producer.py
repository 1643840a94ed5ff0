"""A service that emits at a steady rate, as a process: `python -m tests.support.steady_producer`.

It notes each event on a line of a file once `emit` has returned its id, and before the next one:
the id, the team, input and output tokens. So whenever it is killed, at most the newest event is
not noted. It ends when its standard input does, and says its final counts as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import select
import sys
import time
from pathlib import Path

import spendstream

FLUSH_SECONDS = 60.0
TEAMS = ("ads", "billing", "chat", "data", "help", "risk", "search", "voice")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--spool", required=True)
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--model", required=True, help="of OpenAI's")
    parser.add_argument("--per-second", type=float, required=True)
    parser.add_argument("--delivery-timeout", type=float, required=True)
    return parser.parse_args()


def main() -> None:
    said = arguments()
    dice = random.Random()
    meter = spendstream.Emitter(
        said.url, spool=said.spool, delivery_timeout=said.delivery_timeout, strict=True
    )
    due = time.monotonic()
    with said.notes.open("xb", buffering=0) as notes:
        while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            team = dice.choice(TEAMS)
            tokens_in, tokens_out = dice.randint(1, 9000), dice.randint(1, 900)
            event_id = meter.emit(
                provider="openai",
                model=said.model,
                team=team,
                input_tokens=tokens_in,
                output_tokens=tokens_out,
            )
            if event_id is not None:
                notes.write(f"{event_id} {team} {tokens_in} {tokens_out}\n".encode())
            due += 1 / said.per_second
    meter.flush(FLUSH_SECONDS)
    sys.stdout.write(json.dumps(dataclasses.asdict(meter.close())))


if __name__ == "__main__":
    main()
