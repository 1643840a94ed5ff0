"""What the holder of a token sees of the organisation."""

from __future__ import annotations

from typing import Any

import pytest

from reports.viewer import EVERYBODY, Viewer
from streams.web.pages import seen_by
from streams.web.tokens import ANYBODY, Token, sha256


def a_token(**fields: Any) -> Token:
    return Token.model_validate({"name": "ada", "sha256": sha256("x"), "scopes": ["page"]} | fields)


@pytest.mark.parametrize(
    ("fields", "viewer"),
    [
        ({}, Viewer("ada")),
        ({"teams": ["*"]}, Viewer("ada")),
        ({"teams": ["search", "*"]}, Viewer("ada")),
        ({"teams": ["search", "ads"]}, Viewer("ada", (), ("search", "ads"))),
        ({"sees": {"departments": ["risk"]}}, Viewer("ada", ("risk",), ())),
        ({"teams": ["*"], "sees": {"teams": ["ads"]}}, Viewer("ada", (), ("ads",))),
        ({"teams": ["ads-*"], "sees": {"teams": ["ads"]}}, Viewer("ada", (), ("ads",))),
        ({"scopes": ["page", "acknowledge"]}, Viewer("ada", may_acknowledge=True)),
    ],
)
def test_a_viewer_is_limited_as_the_token_says(fields: dict[str, Any], viewer: Viewer):
    seen = seen_by(a_token(**fields))
    assert seen == viewer
    assert seen.sees_all == (viewer.departments is None)


def test_where_no_tokens_are_demanded_everybody_sees_everything():
    assert seen_by(ANYBODY) == EVERYBODY
