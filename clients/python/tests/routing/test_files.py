from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from spendstream.routing import FEATURES, LinearModel, Router, RoutingFileError, features, model_of

TIERS = "tiers: {balanced: {openai: gpt-4o}}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "tiers.yaml:1: is empty; write a mapping"),
        ("tiers: [\n", "tiers.yaml:2: not YAML"),
        (TIERS, "tiers.yaml:1: routing is missing"),
        ("tiers: {balancd: {a: b}}\nrouting: {default: x}", "did you mean balanced?"),
        (f"{TIERS}routing: {{default: frontier}}", ":2: routing.default: is 'frontier'; known are"),
        (f"{TIERS}routing: {{defualt: balanced}}", "routing.defualt: is no key here; did you mean"),
        (
            f"{TIERS}routing:\n default: balanced\n rules:\n"
            " - {when: {max_output_token_below: 9}, tier: balanced}",
            ":5: routing.rules[0].when.max_output_token_below: is no key here; "
            "did you mean max_output_tokens_below?",
        ),
        (
            f"{TIERS}routing: {{default: balanced, rules: [{{when: {{}}, tier: balanced}}]}}",
            "rules[0].when: holds no condition",
        ),
        (
            f"{TIERS}routing: {{default: balanced, rules: "
            "[{when: {messages_below: -1}, tier: balanced}]}",
            "messages_below: is '-1'; write a whole number",
        ),
        (
            f"{TIERS}routing: {{default: balanced, rules: "
            "[{when: {requested_model: gpt-5}, tier: balanced}]}",
            "'gpt-5' is a model of no tier of this file; add it there",
        ),
        (
            f"{TIERS}routing: {{default: balanced, shadow: {{share: 0.02, tier: balanced}}}}",
            "shadow.share: is '0.02'; write a percentage from 0% to 100%",
        ),
        (f"{TIERS}routing: {{default: balanced, classifier: m.json}}", "spendstream routing train"),
        (f"{TIERS}routing: &a {{default: *a}}", "an alias means nothing here"),
        (f"{TIERS}{TIERS}", ":2: tiers: is there twice; keep one"),
    ],
)
def test_a_mistake_is_one_line_that_says_where_and_what_would_be_right(tmp_path: Path, text, says):
    file = tmp_path / "tiers.yaml"
    file.write_text(text)
    with pytest.raises(RoutingFileError) as caught:
        Router(file)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(file))
    assert says in line


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(RoutingFileError, match="No such file"):
        Router(tmp_path / "missing.yaml")


MODEL: dict[str, Any] = {
    "version": 1,
    "features": [
        {"name": "reasoning_words", "mean": 0.5, "scale": 0.5},
        {"name": "question_characters", "mean": 5.0, "scale": 2.0},
    ],
    "tiers": {
        "cost-optimised": {"bias": 0.5, "weights": [-1.0, -0.25]},
        "frontier": {"bias": -0.5, "weights": [1.0, 0.25]},
    },
}


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = deepcopy(MODEL)
    part: Any = document
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return document


def test_the_classifier_is_asked_where_no_rule_matches_and_tells_what_moved_it(tmp_path: Path):
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    router = Router.of(
        {
            "tiers": {"cost-optimised": {"a": "small"}, "frontier": {"a": "large"}},
            "routing": {
                "rules": [{"when": {"team": "batch"}, "tier": "cost-optimised"}],
                "default": "cost-optimised",
                "classifier": "model.json",
            },
        },
        tmp_path,
    )
    request = {"messages": [{"role": "user", "content": "Prove it, explain, compare."}]}
    choice = router.choose(request, {})
    # ln(1+3) = 1.386, z = 1.773; ln(1+27) = 3.332, z = −0.834; scores ±(1.773 − 0.208 − 0.5)
    assert choice.score == pytest.approx(0.894, abs=0.001)
    assert choice.reason == (
        "classifier: frontier with probability 0.89 "
        "(reasoning_words +1.77, question_characters -0.21)"
    )
    assert choice.model == "large"
    assert router.choose(request, {"team": "batch"}).score is None


def test_probabilities_add_up_and_extremes_do_not_overflow():
    model = model_of(MODEL, "model.json")
    extreme = dict.fromkeys(FEATURES, 1e6)
    assert sum(model.probabilities(extreme).values()) == pytest.approx(1)
    assert sum(model.probabilities(features({})).values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "is no model of routing"),
        (changed(("version",), 2), "has version 2, version 1 is understood"),
        (changed(("features", 0, "name"), "reasoning_word"), "did you mean reasoning_words?"),
        (changed(("features", 0, "scale"), 0), "scale of reasoning_words is not above 0"),
        (changed(("features", 0, "mean"), "x"), "mean of reasoning_words is no number"),
        (changed(("tiers", "frontier", "weights"), [1.0]), "frontier has 1 weights for 2 features"),
        (changed(("tiers", "frontier", "bias"), float("nan")), "bias of frontier is no number"),
        (changed(("tiers",), {"frontier": MODEL["tiers"]["frontier"]}), "fewer than two tiers"),
        (changed(("features",), None), "lacks a part or has one of a wrong kind"),
    ],
)
def test_a_model_file_that_is_none_is_one_line(document, says):
    with pytest.raises(RoutingFileError) as caught:
        model_of(document, "model.json")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_classifier_for_a_tier_that_the_file_lacks_is_refused(tmp_path: Path):
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    file = tmp_path / "tiers.yaml"
    file.write_text(f"{TIERS}routing: {{default: balanced, classifier: model.json}}")
    with pytest.raises(RoutingFileError, match="was trained for cost-optimised"):
        Router(file)


def test_features_hold_numbers_and_no_text():
    question = "Why? " * 3 + "```x = 12```\n"
    found = features(
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": question},
            ],
            "tools": [{}],
            "max_tokens": 10,
        }
    )
    assert set(found) == set(FEATURES)
    assert {type(value) for value in found.values()} == {float}
    counts = {name: round(pow(2.718281828459045, value) - 1, 6) for name, value in found.items()}
    assert counts["messages"] == 2
    assert counts["system_characters"] == 9
    assert counts["question_characters"] == len(question)
    assert counts["question_words"] == counts["question_marks"] == 3
    assert (counts["code_fences"], counts["digits"], counts["lines"], counts["tools"]) == (
        2,
        2,
        1,
        1,
    )
    assert found["max_output_tokens_said"] == 1


def test_a_model_of_two_features_is_all_that_a_caller_needs():
    model = model_of(MODEL, "model.json")
    assert isinstance(model, LinearModel)
    assert model.tiers == ("cost-optimised", "frontier")
