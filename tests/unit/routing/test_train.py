from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from spendstream.routing import FEATURES, Router, features, model_of

from schemas.errors import UserError
from streams.cli.routing import routing
from streams.routing.examples import read_examples

importing_takes_seconds = pytest.mark.slow  # scikit-learn and scipy, when first imported

REPOSITORY = Path(__file__).parents[3]
SHORT, LONG = "Is this good or bad? {}", "Explain and compare:\n```\n{}\n```\nwhy? " + "more " * 40


def line(tier: str, number: int, rng: random.Random) -> str:
    template = {"cost-optimised": SHORT, "frontier": LONG}[tier]
    if rng.random() < 0.1:
        template = rng.choice((SHORT, LONG))
    text = template.format("word " * rng.randint(1, 30)) + str(number)
    return json.dumps({"request": {"messages": [{"role": "user", "content": text}]}, "tier": tier})


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(1)
    lines = [line(rng.choice(("cost-optimised", "frontier")), n, rng) for n in range(80)]
    file = tmp_path_factory.mktemp("routing") / "labelled.jsonl"
    file.write_text("\n".join([*lines, lines[0], ""]))
    return file


def trained(file: Path, out: Path) -> tuple[str, dict[str, Any]]:
    result = CliRunner().invoke(routing, ["train", str(file), "--out", str(out)])
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text())


@importing_takes_seconds
def test_the_client_computes_what_scikit_learn_learned(labelled: Path, tmp_path: Path):
    from streams.routing import fit

    output, document = trained(labelled, tmp_path / "model.json")
    examples = read_examples(labelled)
    values, labels = fit._matrix(examples)
    learned = fit._pipeline().fit(values, labels).predict_proba(values)
    model = model_of(document, "model.json")
    for example, expected in zip(examples.different, learned, strict=True):
        found = list(model.probabilities(features(example.request)).values())
        assert found == pytest.approx(list(expected), abs=1e-4)
    assert "examples  80 (1 repeats left out)" in output
    assert "Not shown to be better" not in output
    low, high = document["trained"]["interval"]
    assert document["trained"]["baseline"] < low < document["trained"]["accuracy"] < high


@importing_takes_seconds
def test_the_same_examples_give_the_same_file_without_any_text(labelled: Path, tmp_path: Path):
    trained(labelled, tmp_path / "one.json")
    trained(labelled, tmp_path / "two.json")
    one = (tmp_path / "one.json").read_text()
    assert one == (tmp_path / "two.json").read_text()
    assert "good or bad" not in one
    router = Router.of(
        {
            "tiers": {"cost-optimised": {"a": "small"}, "frontier": {"a": "large"}},
            "routing": {"default": "cost-optimised", "classifier": "one.json"},
        },
        tmp_path,
    )
    asked = json.loads(line("frontier", 1, random.Random(1)))["request"]
    assert router.choose(asked, {}).reason.startswith("classifier: frontier")


@importing_takes_seconds
def test_labels_that_say_nothing_are_not_sold_as_better(tmp_path: Path):
    rng = random.Random(2)
    lines = [
        json.dumps({"request": {"prompt": f"{'word ' * rng.randint(1, 9)}{n}"}, "tier": tier})
        for n, tier in enumerate(("balanced", "frontier") * 40)
    ]
    file = tmp_path / "labelled.jsonl"
    file.write_text("\n".join(lines))
    assert "Not shown to be better" in trained(file, tmp_path / "model.json")[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "too few different examples (none)"),
        ('{"request": {}, "tier": "balanced"}\n' * 99, "too few different examples (1 balanced)"),
        ("hello", ":1: is no JSON object"),
        ('\n{"request": {}, "teir": "x"}', ":2: 'teir' is no key; did you mean tier?"),
        ('{"request": {}, "tier": "balancd"}', "tier is 'balancd'; did you mean balanced?"),
        ('{"request": "hello", "tier": "balanced"}', "request is 'hello'; write the body"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(tmp_path: Path, text, says):
    file = tmp_path / "labelled.jsonl"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_examples(file)
    assert says in str(caught.value)


def test_every_feature_is_documented():
    text = (REPOSITORY / "docs/routing.md").read_text("utf-8")
    assert [name for name, what in FEATURES.items() if f"| `{name}` | {what} |" not in text] == []
