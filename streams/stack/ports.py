"""Where the embedded stack listens."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from schemas.errors import UserError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody uses now."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the embedded stack listens, all on loopback."""

    broker: int = 9092
    clickhouse: int = 8123
    web: int = 6066
    ingest: int = 6067

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody uses now."""
        return cls(*free_ports(4))

    def check_free(self, *, broker: bool = True) -> None:
        """Raises UserError that names the first address in use, and the flag that changes it.

        ``broker`` False: its port is not looked at, as none is started.
        """
        parts = {"clickhouse": self.clickhouse, "web": self.web, "ingest": self.ingest}
        for part, port in ({"broker": self.broker, **parts} if broker else parts).items():
            try:
                socket.create_server((LOOPBACK, port)).close()
            except OSError as error:
                raise UserError(
                    f"{LOOPBACK}:{port} ({part}) cannot be listened on: {error.strerror}; stop "
                    f"what is there, or choose another port with --{part}-port"
                ) from None
