"""The whole: four standings, the next step of each layer, and the roadmap."""

from __future__ import annotations

from dataclasses import dataclass

from reports.figures.figure import Figure
from reports.figures.lens import Lens
from reports.maturity.criteria import CRITERIA, LAYERS
from reports.maturity.measure import measured
from reports.maturity.model import Layer, Standing, standing
from reports.maturity.roadmap import Planned, roadmap
from reports.maturity.steps import STEPS
from reports.savings import Savings, Span, savings
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse

_CRITERIA = {one.name: one for one in CRITERIA}


@dataclass(frozen=True, slots=True)
class Maturity:
    """``savings`` are of the lens's days, in USD."""

    lens: Lens
    standings: tuple[Standing, ...]
    roadmap: tuple[Planned, ...]
    savings: Savings

    def next_step(self, layer: Layer) -> Planned | None:
        """The step of the layer that the roadmap takes first; None: there is none left."""
        return next((one for one in self.roadmap if one.step.layer == layer), None)


def maturity(clickhouse: ClickHouse, lens: Lens) -> Maturity:
    """It blocks, and reads the archive of the lens's days.

    Raises UserError where there are no calls, and ClickHouseError.
    """
    ((calls,),) = lens.query(f"SELECT sum(calls) FROM spend_by_day WHERE {lens.where()}").rows(
        clickhouse
    )
    if not calls:
        raise UserError(
            f"there are no calls from {lens.period.first} to {lens.period.last} (UTC); choose "
            "other days with --from and --to"
        )
    figures = measured(clickhouse, lens)
    found = savings(clickhouse, Span(lens.period.first, lens.period.last))
    known = {one.kind: one.added for one in found.kinds}
    return Maturity(
        lens,
        tuple(standing(layer, CRITERIA, figures) for layer in LAYERS),
        tuple(roadmap(STEPS, done(figures), known)),
        found,
    )


def done(figures: dict[str, Figure]) -> set[str]:
    """Names of the steps whose criteria are all at their highest level.

    One that no criterion tells of is never done: it is worth what it still saves.
    """
    return {
        step.name
        for step in STEPS
        if step.criteria
        and all(
            _CRITERIA[name].met(figures[name].value, _CRITERIA[name].highest)
            for name in step.criteria
        )
    }
