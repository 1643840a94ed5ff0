"""What the pages load: the style, the script, and the charts' runtime, all from here."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from schemas.errors import SpendstreamError

PREFIX = "/assets/"
_MAKING_SECONDS = 120.0  # on a busy machine; two are usual
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FILES = ("page.css", "page.js", "live.js", "theme.js", "mark.svg")


class NoRuntime(SpendstreamError):
    """The charts' runtime could not be made."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Bytes under a URL that has their hash in it: it may be kept for ever."""

    body: bytes
    content_type: str


@cache
def assets() -> Mapping[str, Asset]:
    """URL → asset. Some seconds at first. Raises NoRuntime."""
    found = {url: _asset(name) for name, url in own_urls().items()}
    return {**found, runtime_url(): Asset(_runtime(), _TYPES["js"])}


@cache
def own_urls() -> Mapping[str, str]:
    """The URL of each file of this folder, by its name."""
    return {name: _url(name, _read(name)) for name in _FILES}


@cache
def runtime_url() -> str:
    """The URL of the charts' runtime: its versions stand for its bytes, which take seconds."""
    import vl_convert

    versions = (
        version("vl-convert-python"),
        vl_convert.get_vega_version(),
        vl_convert.get_vegalite_versions()[-1],
        vl_convert.get_vega_embed_version(),
    )
    return _url("vega.js", " ".join(versions).encode())


def _asset(name: str) -> Asset:
    return Asset(_read(name), _TYPES[name.rpartition(".")[2]])


def _read(name: str) -> bytes:
    return files("reports.page").joinpath("static", name).read_bytes()


def _url(name: str, body: bytes) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{PREFIX}{stem}-{hashlib.sha256(body).hexdigest()[:12]}.{kind}"


def _runtime() -> bytes:
    """In a process of its own: to bundle it holds up every thread."""
    code = (
        "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"
    )
    try:
        made = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=_MAKING_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoRuntime(f"the charts' runtime was not made within {_MAKING_SECONDS:g} s") from None
    if made.returncode != 0 or not made.stdout:
        lines = made.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        raise NoRuntime(f"the charts' runtime could not be made: {lines[-1][:300]}")
    return made.stdout
