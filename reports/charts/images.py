"""A chart as a picture, for what is no page: PNG for messages, SVG for documents."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Literal

from schemas.errors import SpendstreamError

_DRAWING_SECONDS = 60.0  # on a busy machine; two are usual
Form = Literal["png", "svg"]


class NotDrawn(SpendstreamError):
    """The chart could not be drawn."""


def picture(spec: Mapping[str, Any], form: Form = "png") -> bytes:
    """Draw a specification whose width is in pixels. Takes seconds: call it in a thread.

    In a process of its own, as drawing holds up every thread of the process that does it.
    Raises NotDrawn.
    """
    try:
        made = subprocess.run(
            [sys.executable, "-m", "reports.charts.images", form],
            input=json.dumps(spec).encode(),
            capture_output=True,
            timeout=_DRAWING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotDrawn(f"the chart was not drawn within {_DRAWING_SECONDS:g} s") from None
    if made.returncode != 0:
        lines = made.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        raise NotDrawn(f"the chart was not drawn: {lines[-1][:300]}")
    return made.stdout


def _draw(form: str, spec: dict[str, Any]) -> bytes:
    import vl_convert

    if form == "png":
        png: bytes = vl_convert.vegalite_to_png(spec, scale=2)
        return png
    svg: str = vl_convert.vegalite_to_svg(spec)
    return svg.encode()


if __name__ == "__main__":
    sys.stdout.buffer.write(_draw(sys.argv[1], json.load(sys.stdin)))
