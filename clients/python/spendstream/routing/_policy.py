"""What a routing file says: tiers, rules, default, classifier, shadow share."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from spendstream.routing._conditions import Condition, conditions
from spendstream.routing._document import Item, RoutingFileError, shown
from spendstream.routing._model import LinearModel, read_model
from spendstream.routing._tiers import AUTO, TIERS, Tiers


class Rule(NamedTuple):
    """A tier for the calls that meet all conditions."""

    when: tuple[Condition, ...]
    tier: str
    said: str
    """For the reason: `rule 2: messages below 3`."""


class Shadow(NamedTuple):
    """Which calls also go to a cheaper tier for comparison."""

    below: int
    """A hash of 64 bits below this is in the share."""
    percent: str
    tier: str
    only: tuple[Condition, ...]


class Policy(NamedTuple):
    """A whole routing file."""

    tiers: Tiers
    rules: tuple[Rule, ...]
    default: str
    classifier: LinearModel | None
    shadow: Shadow | None
    upgrade: bool
    """True: a model that was asked for may be replaced by that of a dearer tier."""


def policy(document: Item, folder: Path) -> Policy:
    """The policy of a file in ``folder``. Raises RoutingFileError."""
    entries = document.keys(("tiers", "routing"), required=("tiers", "routing"))
    tiers = _tiers(entries["tiers"])
    routing = entries["routing"].keys(
        ("rules", "default", "classifier", "shadow", "upgrade"), required=("default",)
    )
    rules = routing["rules"].items() if "rules" in routing else []
    return Policy(
        tiers=tiers,
        rules=tuple(_rule(item, number, tiers) for number, item in enumerate(rules, 1)),
        default=routing["default"].one_of(tiers.names),
        classifier=_classifier(routing["classifier"], folder, tiers)
        if "classifier" in routing
        else None,
        shadow=_shadow(routing["shadow"], tiers) if "shadow" in routing else None,
        upgrade="upgrade" in routing and routing["upgrade"].truth(),
    )


def _tiers(item: Item) -> Tiers:
    models = {}
    for tier, providers in item.keys(TIERS).items():
        if not providers.mapping():
            providers.fail("names no model; write for example {openai: gpt-4o-mini}")
        models[tier] = {
            provider: tuple(_model_name(model) for model in names.items())
            for provider, names in providers.mapping().items()
        }
    if not models:
        item.fail(f"holds no tier; known are {', '.join(TIERS)}")
    return Tiers(models)


def _model_name(item: Item) -> str:
    name = item.text()
    if name in (*TIERS, AUTO):
        item.fail(f"{name!r} asks the router for a tier, so no model can have that name")
    return name


def _rule(item: Item, number: int, tiers: Tiers) -> Rule:
    entries = item.keys(("when", "tier"), required=("when", "tier"))
    when = conditions(entries["when"], tiers)
    if not when:
        entries["when"].fail("holds no condition; for all other calls there is routing.default")
    said = ", ".join(condition.said for condition in when)
    return Rule(when, entries["tier"].one_of(tiers.names), f"rule {number}: {said}")


def _classifier(item: Item, folder: Path, tiers: Tiers) -> LinearModel:
    try:
        model = read_model(folder / item.text())
    except RoutingFileError as error:
        item.fail(str(error))
    for tier in model.tiers:
        if tier not in tiers.names:
            item.fail(f"was trained for {tier}, a tier without models in this file")
    return model


def _shadow(item: Item, tiers: Tiers) -> Shadow:
    entries = item.keys(("share", "tier", "only"), required=("share", "tier"))
    percent = entries["share"].text()
    try:
        share = Decimal(percent.removesuffix("%")) / 100
        right = percent.endswith("%") and 0 <= share <= 1
    except InvalidOperation:
        right = False
    if not right:
        entries["share"].fail(f"is {shown(percent)}; write a percentage from 0% to 100%")
    return Shadow(
        below=int(share * 2**64),
        percent=percent,
        tier=entries["tier"].one_of(tiers.names),
        only=conditions(entries["only"], tiers) if "only" in entries else (),
    )
