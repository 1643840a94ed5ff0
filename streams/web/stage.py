"""The web stage: a server and a producer, and nothing that must outlive the process."""

from __future__ import annotations

import asyncio
import logging

from streams.health import Status, heartbeat, resuming, working
from streams.kafka import cluster_id
from streams.lag import Behind
from streams.settings import Settings
from streams.stage import persist, sleep_unless
from streams.together import until_one_ends
from streams.web.app import serving, web_app
from streams.web.authz import authz_route
from streams.web.doorkeeper import Doorkeeper
from streams.web.events import event_routes
from streams.web.ingest import Ingest
from streams.web.otlp import otlp_routes
from streams.web.outcomes import outcome_routes
from streams.web.publisher import Publisher
from streams.web.quota import quota_route
from streams.web.quota_feed import QuotaFeed
from streams.web.site import browsers

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
"""Between signs of life of the event loop."""


class WebStage:
    """One process of the web stage; any number of them may run."""

    def __init__(self, settings: Settings, doorkeeper: Doorkeeper) -> None:
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._publisher: Publisher | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set. Raises UserError where the address cannot be listened on or
        the broker refuses us."""
        settings = self._settings
        with working("starting"):
            await persist("reaching the broker", lambda: cluster_id(settings), stop, abandon=True)
        publisher = Publisher(settings)
        try:
            with working("starting"):
                await persist("starting the producer", publisher.start, stop, abandon=True)
            quotas = QuotaFeed()
            await until_one_ends(self._serve(publisher, quotas, stop), quotas.run(settings, stop))
        finally:
            await publisher.stop()

    def status(self) -> Status:
        """Ready while events can be taken; in flight is what Kafka has not acknowledged yet."""
        publisher = self._publisher
        if publisher is None:
            return Status(False, "reaching the broker")
        silence = Behind(silence=publisher.silence)
        return Status(True, "taking events", silence, {"in_flight": publisher.records})

    async def _serve(self, publisher: Publisher, quotas: QuotaFeed, stop: asyncio.Event) -> None:
        ingest = Ingest(publisher)
        routes = [
            *event_routes(ingest),
            *otlp_routes(ingest),
            *outcome_routes(publisher),
            quota_route(quotas.table),
            quotas.route(),
            authz_route(quotas.table),
        ]
        work = heartbeat("answering")
        host, port = self._settings.ingest_host, self._settings.ingest_port
        async with (
            browsers(self._settings, self._doorkeeper) as (pages, site),
            serving(web_app([*routes, *pages], self._doorkeeper, site), host, port) as port,
        ):
            log.info("answering at %s:%d", self._settings.ingest_host, port)
            self._publisher = publisher
            while not stop.is_set():
                with resuming(work):
                    await sleep_unless(stop, BEAT_SECONDS)
