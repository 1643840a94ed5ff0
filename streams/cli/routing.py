"""`spendstream routing`: train the model that a router may ask for a tier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from schemas.errors import UserError
from streams.routing.examples import Examples, read_examples

if TYPE_CHECKING:
    from streams.routing.fit import Score

STRONGEST = 3
"""Features that are shown per tier."""


@click.group()
def routing() -> None:
    """Which tier of models a call goes to: docs/routing.md. Example:

    spendstream routing train labelled.jsonl --out model.json
    """


@routing.command()
@click.argument("labelled", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where the model goes; `classifier:` of the routing file names it.",
)
def train(labelled: Path, out: Path) -> None:
    """Train a linear model from labelled examples.

    Each line of LABELLED is one: {"request": {…the body of a call…}, "tier": "balanced"}.
    Nothing but averages and weights goes into the model: no text. Example:

        spendstream routing train labelled.jsonl --out model.json
    """
    examples = read_examples(labelled)
    try:
        from streams.routing.fit import evaluate, fitted
    except ModuleNotFoundError as error:
        raise UserError(
            f"training needs {error.name}; pip install 'spendstream-server[train]' "
            "spendstream-client"
        ) from None
    score = evaluate(examples)
    model = fitted(examples, score)
    try:
        out.write_text(json.dumps(model, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"{out}: {error.strerror}; give a file that can be written") from None
    _print(examples, score, model)
    click.echo(f"\nwritten: {out}")


def _print(examples: Examples, score: Score, model: dict[str, Any]) -> None:
    console = Console(highlight=False)
    repeats = f" ({examples.repeats:,} repeats left out)" if examples.repeats else ""
    low, high = score.interval
    console.print(f"examples  {score.examples:,}{repeats}")
    console.print(
        f"accuracy  {score.accuracy:.1%}, 95 % interval {low:.1%} to {high:.1%} (cross-validated)"
    )
    console.print(f"baseline  {score.baseline:.1%}, by always saying {score.most_frequent}")
    if not score.is_better:
        console.print(
            "Not shown to be better than the baseline: label more examples, or use rules alone.",
            style="bold",
        )
    console.print()
    table = Table(show_edge=False, header_style="bold")
    table.add_column("labelled ↓  found →")
    for tier in score.found:
        table.add_column(tier, justify="right")
    for tier, found in score.found.items():
        table.add_row(tier, *(f"{count:,}" for count in found.values()))
    console.print(table)
    console.print("\nWeights that tell most, per tier:")
    names = [feature["name"] for feature in model["features"]]
    for tier in score.found:
        weights = zip(names, model["tiers"][tier]["weights"], strict=True)
        told = sorted(weights, key=lambda pair: -abs(pair[1]))[:STRONGEST]
        said = ", ".join(f"{name} {weight:+.2f}" for name, weight in told)
        console.print(f"  {tier:<14}  {said}", soft_wrap=True)
