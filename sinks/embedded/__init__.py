"""ClickHouse in this process: chDB behind a ClickHouse-compatible HTTP endpoint.

:func:`serve` runs the endpoint until it is told to stop; any ClickHouse HTTP client can
connect. It speaks the part of the interface that clients and ``curl`` use. Not there:
sessions (a ``session_id`` is accepted and keeps no state, so temporary tables end with their
request), external data, roles, the ``compress``/``decompress`` block formats, TLS, progress
headers while a query runs, cancelling a query when its client leaves, and query ids inside
the engine (the id in the answer is not the one in ``system.query_log``). A result is held in
memory before it is sent.
"""

from sinks.embedded.engine import Limits
from sinks.embedded.errors import (
    DataFolderInUse,
    DataFolderUnusable,
    EmbeddedError,
    PortInUse,
    QueryError,
)
from sinks.embedded.server import serve
from sinks.embedded.users import DEFAULT_USERS, User

__all__ = [
    "DEFAULT_USERS",
    "DataFolderInUse",
    "DataFolderUnusable",
    "EmbeddedError",
    "Limits",
    "PortInUse",
    "QueryError",
    "User",
    "serve",
]
