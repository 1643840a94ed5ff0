"""What of the organisation the holder of a token sees on the page."""

from __future__ import annotations

from reports.viewer import Viewer
from streams.web.tokens import ACKNOWLEDGE, Token


def viewer_of(token: Token) -> Viewer:
    """Who looks with this token."""
    may_acknowledge = ACKNOWLEDGE in token.scopes
    if token.sees_all:
        return Viewer(token.name, may_acknowledge=may_acknowledge)
    if token.sees is None:
        return Viewer.of(token.name, (), token.teams, may_acknowledge=may_acknowledge)
    seen = token.sees
    return Viewer.of(token.name, seen.departments, seen.teams, may_acknowledge=may_acknowledge)
