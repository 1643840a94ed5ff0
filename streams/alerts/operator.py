"""What a person does about alerts: look at them, take one on, silence what is known.

It goes through the alerts topic like everything else, so it holds for every guard, and whoever is
active tells the channels.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.alerts import Alert, Rule, Silence
from schemas.errors import SpendstreamError, UserError
from streams.alerts.history import Histories, History
from streams.alerts.topic import publish, read_topic
from streams.settings import Settings

TRIES = 3


class NotTaken(SpendstreamError):
    """Somebody else was faster, again and again."""


@dataclass(frozen=True, slots=True)
class State:
    """All alerts and the silences in force, as of now."""

    histories: Histories
    silences: list[Silence]

    def find(self, prefix: str) -> History:
        """The alert whose id begins so. Raises UserError where that is none or several."""
        found = [h for h in self.histories.all() if h.newest.alert_id.startswith(prefix)]
        if len(found) != 1:
            said = "no alert's id begins" if not found else f"{len(found)} alerts' ids begin"
            raise UserError(f"{said} with {prefix!r}; `spendstream alerts list --all` shows them")
        return found[0]


async def current(settings: Settings, recorded: Iterable[Alert] = ()) -> State:
    """What the topic says, on top of what was ``recorded`` before it began."""
    alerts, silences = await read_topic(settings)
    histories = Histories()
    histories.remember([*recorded, *alerts])
    newest = {silence.silence: silence for silence in silences}
    now = datetime.now(UTC)
    return State(histories, [silence for silence in newest.values() if now < silence.until])


async def acknowledge(
    settings: Settings, prefix: str, by: str, recorded: Iterable[Alert] = ()
) -> Alert:
    """Take the alert on, in somebody's name. Raises UserError, or NotTaken.

    Where a transition of the guard comes in between, it is tried again behind that.
    """
    recorded = list(recorded)
    for _ in range(TRIES):
        state = await current(settings, recorded)
        alert = state.find(prefix).acknowledgement(by, datetime.now(UTC))
        await publish(settings, alert)
        history = (await current(settings, recorded)).histories.get(alert.alert_id)
        if history is not None and history.acknowledged:
            return alert
    raise NotTaken(f"alert {prefix} changes too fast to be acknowledged; try again")


async def silence(
    settings: Settings,
    rule: Rule | None,
    scope: Mapping[str, str],
    length: timedelta,
    by: str,
    why: str,
) -> Silence:
    """Nobody is told of what matches, for so long."""
    now = datetime.now(UTC)
    made = Silence(
        silence=secrets.token_hex(4),
        rule=rule,
        scope=dict(scope),
        until=now + length,
        by=by,
        why=why,
        at=now,
    )
    await publish(settings, made)
    return made


async def end_silence(settings: Settings, name: str) -> Silence:
    """End a silence before its time. Raises UserError where there is none."""
    state = await current(settings)
    for known in state.silences:
        if known.silence == name:
            ended = known.model_copy(update={"until": datetime.now(UTC)})
            await publish(settings, ended)
            return ended
    raise UserError(f"there is no silence {name!r} in force; `spendstream alerts list` shows them")
