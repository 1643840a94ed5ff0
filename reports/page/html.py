"""The templates, and what they are given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.figures.currency import Rates
from reports.figures.figure import exact_text
from reports.figures.lens import Lens
from reports.page.asked import Asked
from reports.page.assets import own_urls, runtime_url
from reports.page.content import Content
from reports.page.filters import Filters
from reports.page.words import rates_words, shown, title_of
from reports.viewer import Viewer


def as_html(
    names: Mapping[str, str],
    path: str,
    asked: Asked,
    lens: Lens,
    content: Content,
    filters: Filters,
    rates: Rates | None,
) -> str:
    """A whole page. ``names``: path → what the navigation calls it."""
    return (
        _templates()
        .get_template("page.html")
        .render(
            path=path,
            nav=_nav(names, asked, path),
            viewer=lens.viewer,
            lens=lens,
            content=content,
            filters=filters,
            rates=rates_words(rates),
        )
    )


def error_html(names: Mapping[str, str], asked: Asked, viewer: Viewer, words: str) -> str:
    """A page that says in one line what is wrong."""
    return (
        _templates()
        .get_template("error.html")
        .render(path="", nav=_nav(names, asked, ""), viewer=viewer, words=words)
    )


def _nav(names: Mapping[str, str], asked: Asked, path: str) -> list[dict[str, Any]]:
    return [
        {"url": asked.url(where), "name": name, "current": where == path}
        for where, name in names.items()
    ]


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(own=own_urls(), runtime=runtime_url(), len=len, dict=dict, zip=zip)
    environment.filters.update(
        exact=exact_text,
        shown=_shown,
        amount=_amount,
        full=title_of,
        script_json=_script_json,
        bar=_bar,
        marked=_marked,
    )
    return environment


def _shown(value: Any, one: Any) -> str:
    return shown(one.kind, value, one.unit)


def _amount(value: Any, unit: str) -> str:
    return shown("amount", value, unit)


def _bar(value: Decimal) -> str:
    """A share as a width between 0 and 100, for a drawing."""
    return f"{min(max(float(value) * 100, 0.0), 100.0):.1f}"


def _marked(words: str) -> Markup:
    """Words in which backticks set commands and names apart."""
    parts = words.split("`")
    if len(parts) % 2 == 0:
        return escape(words)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


def _script_json(value: Any) -> Markup:
    """JSON for a script element: nothing in it may end the element."""
    text = json.dumps(value, separators=(",", ":"))
    for character, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704 - escaped above, as JSON
