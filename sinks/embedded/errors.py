"""The errors of the embedded endpoint, and the HTTP status that each engine error has.

::

    EmbeddedError
    ├── DataFolderInUse      another process serves this folder
    ├── DataFolderUnusable   chDB cannot open this folder
    ├── PortInUse            host:port is taken
    └── QueryError           one request failed, in the engine or before it
"""

import re
from pathlib import Path

SYNTAX_ERROR = 62
NOT_IMPLEMENTED = 48
UNKNOWN_COMPRESSION_METHOD = 89
UNKNOWN_SETTING = 115
READONLY = 164
TOO_MANY_SIMULTANEOUS_QUERIES = 202
NETWORK_ERROR = 210
CANNOT_DECOMPRESS = 271
TOO_MANY_BYTES = 307
ACCESS_DENIED = 497
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

# After ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp, with three differences:
# READONLY is 403, not 500, as it is a matter of rights; a full queue is 503, which
# clickhouse-connect repeats; a body over the limit is 413.
_STATUS_OF_CODE: dict[int, int] = {
    194: 401,  # REQUIRED_PASSWORD
    **dict.fromkeys((192, 193, ACCESS_DENIED, 512, AUTHENTICATION_FAILED, READONLY), 403),
    # BAD_ARGUMENTS, CANNOT_PARSE_*, SYNTAX_ERROR, TYPE_MISMATCH, INCORRECT_DATA and their like
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53), 400),
    **dict.fromkeys((SYNTAX_ERROR, 72, 117, 167, 168, 321, 376, 427, 675, 676), 400),
    **dict.fromkeys((UNKNOWN_COMPRESSION_METHOD, CANNOT_DECOMPRESS), 400),
    # UNKNOWN_IDENTIFIER, _FUNCTION, _TYPE, _STORAGE, _TABLE, _AGGREGATE_FUNCTION, _FORMAT,
    # _TYPE_OF_QUERY, _DATABASE, _SETTING, _DATABASE_ENGINE, _ROLE
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, UNKNOWN_SETTING, 336, 511), 404),
    159: 408,  # TIMEOUT_EXCEEDED
    **dict.fromkeys((66, TOO_MANY_BYTES), 413),
    NOT_IMPLEMENTED: 501,
    **dict.fromkeys((76, TOO_MANY_SIMULTANEOUS_QUERIES, 209, 439), 503),
}

_ENGINE_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: (?!Code: \d+\.).*", re.DOTALL)
"""What an INSERT fails by comes with its code twice."""


class EmbeddedError(Exception):
    """Any failure of the embedded endpoint."""


class DataFolderInUse(EmbeddedError):
    """Another process holds the data folder: one engine may have it at a time."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the data folder {path} is in use by another process: stop that one, or choose another"
        )
        self.path = path


class DataFolderUnusable(EmbeddedError):
    """chDB cannot open the data folder."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the data folder {path} cannot be opened: {reason}")
        self.path = path


class PortInUse(EmbeddedError):
    """Something else listens on the address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is in use: choose another port, or 0 for a free one")
        self.host = host
        self.port = port


class QueryError(EmbeddedError):
    """One request failed; carries ClickHouse's error code and text.

    ``str(error)`` is the body of the answer, ``Code: N. DB::Exception: …``.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}")
        self.code = code

    @classmethod
    def from_engine(cls, raised: Exception) -> "QueryError":
        """The error that chDB raised, without what its Python wrapper puts before it."""
        text = str(raised)
        found = _ENGINE_ERROR.search(text)
        error = cls(UNKNOWN_EXCEPTION, text)
        if found:
            error.code = int(found[1])
            error.args = (found[0].strip(),)
        return error

    @property
    def status(self) -> int:
        """The HTTP status that a ClickHouse server answers this error with."""
        return _STATUS_OF_CODE.get(self.code, 500)
