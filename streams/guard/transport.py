"""faust on our brokers: its Kafka driver with a fetch wait that can be set, and no tables.

faust has 1,500 ms for a fetch written into its source; on a broker that does not wake a fetch early
that is the latency of every alert. Its table manager sleeps a second at start for tables that we
do not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver

from streams.health import done


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read by aiokafka when the consumer starts, which is later.
        consumer._fetch_max_wait_ms = self.app.fetch_max_wait_ms  # type: ignore[attr-defined]  # GuardApp's
        return consumer

    async def getmany(self, active_partitions: Any, timeout: float) -> Any:
        """As the base class does; the app hears of it."""
        self.app.on_poll()  # type: ignore[attr-defined]  # GuardApp's
        done("poll")
        return await super().getmany(active_partitions, timeout)


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _commit(self, offsets: Any) -> bool:
        committed = bool(await super()._commit(offsets))
        if committed:
            done("commit")
        return committed


class _Transport(driver.Transport):
    Consumer = _Consumer


class NoTables(TableManager):
    """A table manager for an app without tables: nothing to wait for."""

    async def on_start(self) -> None:
        """Let the streams begin."""
        await self._update_channels()
        await self.recovery.start()


class GuardApp(faust.App):
    """A faust app that fetches with the settings' wait, and calls ``on_poll`` before each fetch."""

    fetch_max_wait_ms = 20
    on_poll: Callable[[], object] = staticmethod(lambda: None)

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)
