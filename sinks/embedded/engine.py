"""chDB as a server's engine: one data folder, one connection per request.

A chDB connection keeps its own settings, parameters and current database and costs about a
millisecond, so each request gets a fresh one: nothing that a request sets can leak into
another. The engine lives as long as its first connection, which is held for that purpose only.

``default`` is an ordinary database here. In a folder that plain chDB made, the tables of its
own ``default`` are kept but not shown; those of any other database are shared.
"""

import html
import json
import re
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chdb

from sinks.embedded.errors import DataFolderUnusable, QueryError
from sinks.embedded.execution import Answer, Statement, escaped, run

# Without SOURCES no table function or table engine reaches files, URLs or other servers, and
# without SYSTEM SHUTDOWN no client can end the process. chDB reads users only from a file of
# their own, named by the first.
_CONFIG = (
    "<clickhouse><logger><level>none</level></logger><users_config>{}</users_config></clickhouse>"
)
_USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota><grants>
<query>GRANT SHOW, SELECT, INSERT, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK,
 KILL QUERY, dictGet, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM FLUSH, SYSTEM VIEWS,
 SYSTEM DROP CACHE ON *.*</query>
<query>GRANT TABLE ENGINE ON *</query>
</grants></default></users></clickhouse>"""


@dataclass(frozen=True)
class Limits:
    """What bounds the endpoint's memory and threads.

    Attributes:
        threads: statements that run at the same time.
        requests: requests that run or wait; one more is answered 503.
        body_bytes: the largest body, as sent and decompressed; a larger one is answered 413.
        spool_bytes: a body is held in memory up to this size, in a temporary file above it.
        shutdown_seconds: what running requests get to finish when the endpoint stops.
    """

    threads: int = 8
    requests: int = 64
    body_bytes: int = 1 << 30
    spool_bytes: int = 64 << 20
    shutdown_seconds: float = 60.0


class Engine:
    """chDB on ``path``. Every method blocks; :meth:`execute` may run in several threads.

    Raises:
        DataFolderUnusable: if chDB does not open the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path.resolve())
        if "?" in self._path:
            raise DataFolderUnusable(path, "its name holds a '?', which chDB takes for options")
        # In the data folder, under its lock: a process that is killed leaves it to the next one.
        self._config = Path(self._path, "embedded-config")
        try:
            self._anchor = _connect(f"{self._path}?config-file={self._write_config()}")
        except (RuntimeError, ValueError) as error:
            shutil.rmtree(self._config)
            raise DataFolderUnusable(path, str(error)) from error
        try:
            self._open_default_database()
            answer = self._anchor.query("SELECT timezone(), version()", "JSONCompactEachRow")
        except chdb.ChdbError as error:
            self.close()
            raise DataFolderUnusable(path, str(error)) from error
        self.timezone, self.version = (str(value) for value in json.loads(answer.bytes()))

    def close(self) -> None:
        """Flush and release the folder. No statement may be running."""
        self._anchor.close()
        shutil.rmtree(self._config)

    def execute(self, statement: Statement) -> Answer:
        """Run one statement on a connection of its own.

        Raises:
            QueryError: if the engine refuses or fails.
        """
        try:
            with closing(_connect(self._path)) as connection:
                return run(connection, statement, self._canonical)
        except (chdb.ChdbError, RuntimeError) as error:
            raise QueryError.from_engine(error) from error

    def _canonical(self, text: bytes) -> str:
        literal = escaped(text.decode(errors="replace"), "'")
        with closing(_connect(self._path)) as connection:
            formatted = connection.query(f"SELECT formatQuery('{literal}')", "TSVRaw").bytes()
        return str(formatted.decode(errors="replace"))

    def _write_config(self) -> Path:
        self._config.mkdir(exist_ok=True)
        config, users = self._config / "config.xml", self._config / "users.xml"
        users.write_text(_USERS)
        config.write_text(_CONFIG.format(html.escape(str(users))))
        return config

    def _open_default_database(self) -> None:
        """Replace chDB's ``default``, a view of the host's files, by an ordinary database."""
        self._anchor.query("DETACH DATABASE default")
        definition = Path(self._path, "metadata", "default.sql")
        if definition.exists() and not self._has_tables(definition):
            # chDB cannot attach a database that was left before it had a table.
            definition.unlink()
        self._anchor.query(
            "ATTACH DATABASE default"
            if definition.exists()
            else "CREATE DATABASE default ENGINE = Atomic"
        )

    def _has_tables(self, definition: Path) -> bool:
        found = re.search(r"UUID '([0-9a-f-]{36})'", definition.read_text())
        if found is None:  # not one that keeps its tables under its id
            return True
        return any(Path(self._path, "store", found[1][:3], found[1]).glob("*.sql"))


def _connect(target: str) -> Any:
    return chdb.connect(target)  # type: ignore[no-untyped-call]  # chDB's wrapper has no types
