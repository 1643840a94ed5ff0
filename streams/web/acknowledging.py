"""`POST /alerts/acknowledge`: somebody takes an alert on, from the page that shows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web
from aiokafka.errors import KafkaError

from reports.figures.lens import Lens
from reports.figures.period import Period
from reports.figures.standing import sees_alert
from schemas.alerts import Alert
from schemas.errors import UserError
from sinks.alert_log import AlertLog
from sinks.clickhouse import ClickHouse
from streams.alerts import operator
from streams.settings import Settings
from streams.web.browser import check_same_origin, parts_of
from streams.web.login import read_form
from streams.web.page_door import Visitor
from streams.web.pages import Pages, own_path, seen_by, with_notice
from streams.web.refused import RequestRefused
from streams.web.rendering import Rendering
from streams.web.route import Route
from streams.web.sheets import as_asked
from streams.web.tokens import ACKNOWLEDGE, ANYBODY, Token

log = logging.getLogger(__name__)

PATH = "/alerts/acknowledge"
LONGEST_NAME = 80
TOPIC_SECONDS = 15.0
"""For the alerts topic to be read and written."""
LANDING_SECONDS = 3.0
"""For the guard to put it on record, so that the page that follows shows it..."""
LOOK_SECONDS = 0.15
"""...and between two looks."""


class Acknowledging:
    """Goes through the alerts topic, as the command line does: any process may do it."""

    def __init__(self, settings: Settings, pages: Pages, rendering: Rendering) -> None:
        self._settings = settings
        self._pages = pages
        self._rendering = rendering

    def route(self) -> Route:
        """What the form of an alert is sent to."""
        return Route("POST", PATH, self._answer, worded=as_asked, apart=True)

    async def _answer(self, request: web.Request, _: Token) -> web.Response:
        return await self._pages.for_visitor(request, lambda who: self._taken(request, who))

    async def _taken(self, request: web.Request, visitor: Visitor) -> web.Response:
        check_same_origin(request)
        token = visitor.token
        if ACKNOWLEDGE not in token.scopes:
            raise RequestRefused(
                403,
                "scope_missing",
                f"token {token.name} lacks the scope {ACKNOWLEDGE}, which alerts are taken on with",
            )
        sent = await read_form(request)
        alert_id, by = sent.get("id", ""), _by(sent.get("who", ""), token)
        if not await self._rendering.asked(lambda one: _sees(one, token, alert_id)):
            # Whether it exists is not theirs to know.
            raise RequestRefused(
                404, "no_such_alert", "no alert of yours is known by this id; see /alerts"
            )
        recorded = await self._rendering.asked(lambda one: AlertLog(one).published())
        words = await self._acknowledged(alert_id, by, recorded)
        return with_notice(request, _after(request), words)

    async def _acknowledged(self, alert_id: str, by: str, recorded: Sequence[Alert]) -> str:
        """What is to be said of it afterwards. Raises RequestRefused."""
        try:
            async with asyncio.timeout(TOPIC_SECONDS):
                alert = await operator.acknowledge(self._settings, alert_id, by, recorded)
        except UserError as error:
            return f"{str(error)[:1].upper()}{str(error)[1:]}."
        except (KafkaError, OSError, operator.NotTaken) as error:
            log.warning("an alert was not acknowledged: %s", error)
            raise RequestRefused(
                503,
                "not_acknowledged",
                "the alert could not be taken on, as Kafka did not take it; try again",
                {"Retry-After": "5"},
            ) from error
        log.info("%s has acknowledged %s: %s", by, alert_id, alert.title)
        words = f"{by} has taken on: {alert.title}."
        if not await self._is_recorded(alert):
            words += " It shows here once the guard has put it on record."
        return words

    async def _is_recorded(self, alert: Alert) -> bool:
        """Whether ClickHouse has the transition, soon."""
        clock = asyncio.get_running_loop().time
        until = clock() + LANDING_SECONDS
        while clock() < until:
            if await self._rendering.asked(
                lambda clickhouse: clickhouse.query(
                    "SELECT 1 FROM alert_history WHERE alert_id = {id:String} "
                    "AND number >= {number:UInt32} LIMIT 1",
                    {"id": alert.alert_id, "number": alert.number},
                )
            ):
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False


def _sees(clickhouse: ClickHouse, token: Token, alert_id: str) -> bool:
    """Whether the page shows the alert to this token's holder, and it is open."""
    today = datetime.now(UTC).date()
    lens = Lens(Period.of(today, today), today, seen_by(token))
    return sees_alert(clickhouse, lens, alert_id)


def _by(who: str, token: Token) -> str:
    """Who takes it on: the name of the token, and beside it the one that somebody gave."""
    name = " ".join(who.split())[:LONGEST_NAME]
    if token is ANYBODY:
        return name or token.name
    return token.name if name in ("", token.name) else f"{name} ({token.name})"


def _after(request: web.Request) -> str:
    """Where it was sent from, with its filters; else the alerts."""
    parts = parts_of(request.headers.get("Referer", ""))
    after = own_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    return after if after != "/" else "/alerts"
