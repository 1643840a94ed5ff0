"""Who looks at a page or a report, and what of the organisation they may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Viewer:
    """``departments`` and ``teams``: names of whose spend is shown; both None: everybody's.

    Where both are given, a row is shown if either names it.
    """

    name: str
    departments: tuple[str, ...] | None = None
    teams: tuple[str, ...] | None = None
    may_acknowledge: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        departments: Sequence[str] = (),
        teams: Sequence[str] = (),
        *,
        may_acknowledge: bool = False,
    ) -> Self:
        """A viewer who is limited to these, and to nothing where there are none."""
        return cls(name, tuple(departments), tuple(teams), may_acknowledge)

    @property
    def sees_all(self) -> bool:
        """True where nothing is kept from them."""
        return self.departments is None and self.teams is None


EVERYBODY = Viewer("everybody", may_acknowledge=True)
"""Who looks where no tokens are demanded."""
