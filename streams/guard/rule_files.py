"""The files that say what the guard watches for, read again when they change."""

from __future__ import annotations

import logging
from pathlib import Path

from schemas.errors import UserError
from streams.budgets.book import BudgetBook
from streams.budgets.budget_file import read_budgets
from streams.detectors.settings_file import Detectors, read_detectors
from streams.settings import Settings

log = logging.getLogger(__name__)


class RuleFiles:
    """The last good version of each file; what holds without one, where none is named."""

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for a file with a mistake."""
        self._settings = settings
        self._stamp = self._newest()
        self.budgets, self.detectors = self._read()

    def changed(self) -> bool:
        """Whether a file has changed since the last look, to something that can be used.

        One with a mistake is told of, once, and changes nothing.
        """
        stamp = self._newest()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.budgets, self.detectors = self._read()
        except UserError as error:
            log.error("what is in force stays, as the changed file is wrong: %s", error)
            return False
        log.info("the rules were changed: %d budgets in force", len(self.budgets.budgets))
        return True

    def _read(self) -> tuple[BudgetBook, Detectors]:
        budgets, detectors = self._settings.budgets, self._settings.detectors
        return (
            read_budgets(budgets) if budgets else BudgetBook(),
            read_detectors(detectors) if detectors else Detectors(),
        )

    def _newest(self) -> tuple[tuple[int, int] | None, ...]:
        return _stamp(self._settings.budgets), _stamp(self._settings.detectors)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """Changes when the file does. A file that is being replaced has none for a moment; one that
    cannot be looked at has none either, and reading it says why."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
