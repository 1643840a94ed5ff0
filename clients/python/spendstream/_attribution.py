"""Attribution by context: who pays, said once around the calls instead of in each `emit`."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypedDict, Unpack

from spendstream._rules import InvalidUsage, check_field


class _Scope(NamedTuple):
    """What holds in a block. ``outer`` is what holds again behind it."""

    fields: Mapping[str, Any]
    outer: _Scope | None


_NOTHING = _Scope(MappingProxyType({}), None)
_current: ContextVar[_Scope] = ContextVar("spendstream.attribution", default=_NOTHING)


class AttributionFields(TypedDict, total=False):
    """The fields that say whose a call is. None is the same as leaving one out."""

    department: str | None
    team: str | None
    project: str | None
    use_case: str | None
    application: str | None
    environment: str | None
    user: str | None
    customer: str | None
    workflow: str | None
    tags: Mapping[str, str] | None


class attribution:  # noqa: N801 - reads as the statement that it is
    """Give these fields to every event that is emitted inside the ``with`` block.

    ```python
    with spendstream.attribution(team="search", workflow="run-7", tags={"step": "plan"}):
        answer = call_the_model()  # emits somewhere deep inside
    ```

    An inner block wins over an outer one, field by field; tags are merged. What `emit` is given
    wins over both, and both win over the emitter's defaults and the environment. A block holds for
    the asyncio tasks that are started in it, and for threads that run in a copy of its context
    (`asyncio.to_thread`, ``contextvars.copy_context().run``). A void repeats its original, whatever
    the block says.

    Raises ValueError at once for a name that is no attribution, and for a value of a wrong type.
    """

    def __init__(self, **fields: Unpack[AttributionFields]) -> None:
        self._fields: dict[str, Any] = {n: v for n, v in fields.items() if v is not None}
        tags = self._fields.get("tags")
        if isinstance(tags, Mapping):
            self._fields["tags"] = dict(tags)
        for name, value in self._fields.items():
            if name not in _NAMES:
                known = ", ".join(_NAMES)
                raise ValueError(f"attribution: {name!r:.80} is none of {known}")
            try:
                check_field(name, value)
            except InvalidUsage as error:
                raise ValueError(f"attribution: {error}") from None

    def __enter__(self) -> Self:
        outer = _current.get()
        inner = {**outer.fields, **self._fields}
        if "tags" in self._fields and "tags" in outer.fields:
            inner["tags"] = {**outer.fields["tags"], **self._fields["tags"]}
        _current.set(_Scope(inner, outer))
        return self

    def __exit__(self, *exc_info: object) -> None:
        # By the scope and not by a token: several threads and tasks may be in one block.
        _current.set(_current.get().outer or _NOTHING)


_NAMES = tuple(AttributionFields.__annotations__)


def current_attribution() -> Mapping[str, Any]:
    """What the blocks around the caller say."""
    return _current.get().fields
