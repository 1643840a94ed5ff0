"""The embedded ClickHouse endpoint, asked by the clients that are to use it."""

import asyncio
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import clickhouse_connect
import fastavro
import lz4.frame
import pyarrow as pa
import pytest
import zstandard
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.embedded import DataFolderUnusable, PortInUse, User, serve

SERVER = """
import asyncio, signal, sys
from pathlib import Path
from sinks.embedded import EmbeddedError, Limits, User, serve

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    users = (User("default"), User("reader", "secret", readonly=True))
    limits = Limits(body_bytes=16 << 20, spool_bytes=1 << 20, requests=int(sys.argv[3]))
    await serve(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), users, stop=stop,
                ready=lambda url: print(url, flush=True), limits=limits)

try:
    asyncio.run(main())
except EmbeddedError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    sys.exit(3)
"""


def start(path: Path, port: int = 0, requests: int = 64) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SERVER, str(path), str(port), str(requests)]
    temporary = path.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@contextmanager
def running(path: Path, requests: int = 64) -> Iterator[str]:
    """The URL of an endpoint that ends cleanly, and leaves no temporary file."""
    with start(path, requests=requests) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
    assert list((path.parent / "tmp").iterdir()) == []
    assert not (path / "embedded-config").exists()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("embedded") / "data") as address:
        yield address


def connect(url: str, **options: Any) -> Any:
    parts = urllib.parse.urlsplit(url)
    return clickhouse_connect.get_client(
        host=parts.hostname, port=parts.port, autogenerate_session_id=False, **options
    )


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    client = connect(url)
    yield client
    client.close()


@pytest.fixture
def table(client: Any) -> Iterator[str]:
    client.command("CREATE TABLE events (id Int64, name String) ENGINE = MergeTree ORDER BY id")
    yield "events"
    client.command("DROP TABLE events")


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Any

    @property
    def code(self) -> int:
        return int(self.headers.get("X-ClickHouse-Exception-Code", 0))


def ask(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None, **params: str
) -> Reply:
    address = f"{url}/?{urllib.parse.urlencode(params)}"
    request = urllib.request.Request(address, data=body, headers=headers or {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            return Reply(reply.status, reply.read(), reply.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read(), error.headers)


def rows_of(client: Any, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(f"SELECT * FROM {table} ORDER BY id").result_rows]


# Statements


def test_ping(url: str, client: Any) -> None:
    with urllib.request.urlopen(f"{url}/ping", timeout=10) as reply:  # noqa: S310
        assert reply.read() == b"Ok.\n"
    assert client.ping()


def test_a_query_may_be_in_the_url_or_in_the_body_or_in_both(url: str) -> None:
    assert ask(url, query="SELECT 1").body == b"1\n"
    assert ask(url, b"SELECT 2").body == b"2\n"
    assert ask(url, b"+ 2", query="SELECT 1").body == b"3\n"


def test_a_get_only_reads(url: str, client: Any) -> None:
    reply = ask(url, query="CREATE TABLE nope (a Int8) ENGINE = Memory")
    assert (reply.status, reply.code) == (403, 164)
    assert client.command("EXISTS TABLE nope") == 0


def test_parameters_keep_their_values(client: Any) -> None:
    values = {"text": "it's\ta \\ 'quoted'\nüñ", "list": ["a'b", "c"], "none": None, "n": 2**63 - 1}
    query = "SELECT {text:String}, {list:Array(String)}, {none:Nullable(String)}, {n:Int64}"
    assert client.query(query, parameters=values).first_row == tuple(values.values())


def test_a_parameter_too_long_for_a_url_is_sent_as_a_form(client: Any) -> None:
    text = "x" * 100_000
    assert client.query("SELECT {text:String}", parameters={"text": text}).first_row == (text,)


def test_parameters_work_in_an_insert(client: Any, table: str) -> None:
    client.command(
        "INSERT INTO {t:Identifier} VALUES (1, {name:String})",
        parameters={"t": table, "name": "o'n\\e"},
    )
    assert rows_of(client, table) == [(1, "o'n\\e")]


def test_settings_are_those_of_one_request(url: str, table: str) -> None:
    query = "SELECT getSetting('max_block_size'), getSetting('format_csv_delimiter')"
    before = ask(url, query.encode()).body
    changed = ask(url, query.encode(), max_block_size="1234", format_csv_delimiter="'")
    assert changed.body == b"1234\t\\'\n"
    ask(url, b"INSERT INTO events VALUES (1, 'a')", max_block_size="1234")
    ask(url, b"ALTER TABLE events DELETE WHERE 1", mutations_sync="2", max_block_size="1234")
    ask(url, b"SET max_block_size = 1234")
    assert {ask(url, query.encode()).body for _ in range(20)} == {before}


def test_settings_reach_inserts_and_definitions(url: str, client: Any, table: str) -> None:
    insert = b"INSERT INTO events FORMAT CSV\n1;a\n"
    assert ask(url, insert, format_csv_delimiter=";").status == 200
    delete = ask(url, b"ALTER TABLE events DELETE WHERE id = 1", mutations_sync="2")
    assert delete.status == 200
    assert rows_of(client, table) == []


def test_the_database_is_that_of_one_request(client: Any, url: str) -> None:
    client.command("CREATE DATABASE other")
    assert ask(url, b"SELECT currentDatabase()", database="other").body == b"other\n"
    headers = {"X-ClickHouse-Database": "other"}
    assert ask(url, b"SELECT currentDatabase()", headers).body == b"other\n"
    assert ask(url, b"SELECT currentDatabase()").body == b"default\n"
    assert connect(url, database="other").command("SELECT currentDatabase()") == "other"
    client.command("DROP DATABASE other")


@pytest.mark.parametrize(
    ("query", "params", "headers", "form"),
    [
        ("SELECT 1 AS a", {}, {}, "TabSeparated"),
        ("SELECT 1 AS a", {"default_format": "JSONEachRow"}, {}, "JSONEachRow"),
        ("SELECT 1 AS a", {}, {"X-ClickHouse-Format": "JSONEachRow"}, "JSONEachRow"),
        ("SELECT 1 AS a FORMAT CSV", {"default_format": "JSON"}, {}, "CSV"),
        ("SELECT 1 AS a FORMAT CSV SETTINGS max_threads = 1;", {}, {}, "CSV"),
    ],
)
def test_the_format_is_the_statements_else_the_requests(
    url: str, query: str, params: dict[str, str], headers: dict[str, str], form: str
) -> None:
    reply = ask(url, query.encode(), headers, **params)
    assert reply.headers["X-ClickHouse-Format"] == form
    assert reply.body == (b'{"a":1}\n' if form == "JSONEachRow" else b"1\n")


def test_the_headers_of_an_answer(url: str, table: str) -> None:
    reply = ask(url, b"INSERT INTO events VALUES (1, 'a'), (2, 'b')", query_id="mine")
    assert reply.headers["X-ClickHouse-Query-Id"] == "mine"
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert reply.headers["X-ClickHouse-Format"] is None
    assert ask(url, b"SELECT 1").headers["X-ClickHouse-Query-Id"]


def test_settings_of_the_transport_are_accepted(url: str) -> None:
    reply = ask(
        url,
        b"SELECT 1",
        wait_end_of_query="1",
        send_progress_in_http_headers="1",
        http_headers_progress_interval_ms="10000",
        cancel_http_readonly_queries_on_client_close="1",
        session_id="one",
        session_timeout="60",
        buffer_size="1000",
        client_protocol_version="54405",
        quota_key="k",
    )
    assert reply.body == b"1\n"


def test_an_empty_result_and_a_columns_probe(client: Any) -> None:
    assert client.query("SELECT number FROM numbers(5) WHERE number > 9").result_rows == []
    probe = client.query("SELECT 1 AS a, 'x' AS b LIMIT 0")
    assert probe.column_names == ("a", "b")


def test_a_definition_has_no_result(client: Any, table: str) -> None:
    assert client.command("TRUNCATE TABLE events").written_rows == 0
    assert client.command("SELECT * FROM events") == ""


# Inserts


def avro_file(rows: list[dict[str, Any]]) -> bytes:
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]
    file = io.BytesIO()
    schema = fastavro.parse_schema({"type": "record", "name": "event", "fields": fields})
    fastavro.writer(file, schema, rows)
    return file.getvalue()


BODIES = {
    "CSV": b'1,"a"\n2,"into outfile; file("\n',
    "JSONEachRow": b'{"id": 1, "name": "a"}\n{"id": 2, "name": "into outfile; file("}\n',
    "Avro": avro_file([{"id": 1, "name": "a"}, {"id": 2, "name": "into outfile; file("}]),
    "Values": b"(1, 'a'), (2, 'into outfile; file(')",
}
COMPRESSORS = {
    None: bytes,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
}
ROWS = [(1, "a"), (2, "into outfile; file(")]


@pytest.mark.parametrize("encoding", COMPRESSORS)
@pytest.mark.parametrize("form", BODIES)
def test_raw_inserts(client: Any, table: str, form: str, encoding: str | None) -> None:
    body = COMPRESSORS[encoding](BODIES[form])
    summary = client.raw_insert(table, ["id", "name"], body, fmt=form, compression=encoding)
    assert summary.written_rows == 2
    assert rows_of(client, table) == ROWS


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_native_inserts_in_several_blocks(url: str, table: str, encoding: str | None) -> None:
    client = connect(url, compress=encoding or False)
    rows = [(number, f"name-{number}" * 10) for number in range(30_000)]
    context = client.create_insert_context(table, data=rows)
    context.block_row_count = 7_000
    assert client.insert(context=context).written_rows == 30_000
    assert rows_of(client, table) == rows
    client.close()


@pytest.mark.parametrize("encoding", [False, "lz4", "zstd", "gzip"])
def test_arrow_inserts(url: str, table: str, encoding: str | bool) -> None:
    client = connect(url, compress=encoding)
    events = pa.table({"id": pa.array([1, 2], pa.int64()), "name": [name for _, name in ROWS]})
    assert client.insert_arrow(table, events).written_rows == 2
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, events.schema) as writer:
        writer.write_table(events)
    client.raw_insert(table, insert_block=stream.getvalue(), fmt="ArrowStream")
    assert rows_of(client, table) == sorted(ROWS * 2)
    assert client.query_arrow("SELECT * FROM events ORDER BY id").num_rows == 4
    client.close()


@pytest.mark.parametrize(
    "head",
    [
        "INSERT INTO events (id, name) FORMAT CSV",
        "insert into default.events(id,name) settings async_insert=0 format CSV",
        '/* FORMAT TSV */ INSERT INTO TABLE `events` -- VALUES\n (`id`, "name") FORMAT CSV',
    ],
)
def test_where_the_data_of_an_insert_begins(url: str, client: Any, table: str, head: str) -> None:
    assert ask(url, f"{head}\n1,FORMAT VALUES\n".encode()).status == 200
    assert ask(url, b"2,SELECT\n", query=head).status == 200
    assert rows_of(client, table) == [(1, "FORMAT VALUES"), (2, "SELECT")]


def test_an_insert_from_a_query(client: Any, table: str) -> None:
    summary = client.command("INSERT INTO events SELECT number, 'n' FROM numbers(10)")
    assert summary.written_rows == 10


def test_a_body_larger_than_the_memory_for_it(client: Any, table: str) -> None:
    line = f"7,{'x' * 1000}\n".encode()
    assert client.raw_insert(table, insert_block=line * 4000, fmt="CSV").written_rows == 4000


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_over_the_limit_is_refused(url: str, client: Any, table: str, packed: bool) -> None:
    body = b"1,x\n" * (5 << 20)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    data = gzip.compress(body, 1) if packed else body
    reply = ask(url, data, headers, query="INSERT INTO events FORMAT CSV")
    assert (reply.status, reply.code) == (413, 307)
    assert b"larger than 16777216 bytes" in reply.body


def test_an_insert_that_the_disk_has_no_room_for_is_an_error_and_can_be_repeated(
    client: Any, table: str
) -> None:
    """The engine notices when it writes the part, after all data was taken."""
    rows = pa.table({"id": [1, 2], "name": ["a", "b"]})
    setting = "min_free_disk_bytes_to_perform_insert"
    client.command(f"ALTER TABLE {table} MODIFY SETTING {setting} = 1000000000000000000")
    for _ in range(2):
        with pytest.raises(DatabaseError, match="NOT_ENOUGH_SPACE"):
            client.insert_arrow(table, rows, settings={"insert_deduplication_token": "once"})
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(0,)]
    client.command(f"ALTER TABLE {table} RESET SETTING {setting}")
    client.insert_arrow(table, rows, settings={"insert_deduplication_token": "once"})
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(2,)]


def test_a_token_drops_the_same_insert_also_in_views(client: Any) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 100"
    client.command(f"CREATE TABLE raw (id Int64) ENGINE = MergeTree ORDER BY id {window}")
    client.command(f"CREATE TABLE rolled (n Int64) ENGINE = MergeTree ORDER BY n {window}")
    client.command("CREATE MATERIALIZED VIEW roll TO rolled AS SELECT count() AS n FROM raw")

    def insert(ids: list[int], token: str) -> None:
        settings = {
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
        }
        client.insert("raw", [[i] for i in ids], ["id"], settings=settings)

    insert([1, 2], "one")
    insert([1, 2], "one")
    insert([8, 9], "one")
    insert([1, 2], "two")
    assert client.command("SELECT groupArray(id) FROM (SELECT id FROM raw ORDER BY id)") == (
        "[1,1,2,2]"
    )
    assert client.command("SELECT sum(n) FROM rolled") == 4
    for name in ("roll", "rolled", "raw"):
        client.command(f"DROP TABLE {name}")


# Compressed answers


@pytest.mark.parametrize(
    ("accept", "chosen", "unpack"),
    [
        ("lz4,zstd,gzip", "lz4", lz4.frame.decompress),
        ("br, zstd;q=0.9", "zstd", lambda data: zstandard.ZstdDecompressor().decompress(data)),
        ("gzip", "gzip", gzip.decompress),
        ("br", None, bytes),
    ],
)
def test_answers_are_compressed_if_asked(
    url: str, accept: str, chosen: str | None, unpack: Any
) -> None:
    query, headers = b"SELECT number FROM numbers(1000)", {"Accept-Encoding": accept}
    plain = ask(url, query, headers)
    packed = ask(url, query, headers, enable_http_compression="1")
    assert plain.headers["Content-Encoding"] is None
    assert packed.headers["Content-Encoding"] == chosen
    assert unpack(packed.body) == plain.body == b"".join(b"%d\n" % n for n in range(1000))


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip"])
def test_the_client_reads_compressed_answers(url: str, encoding: str) -> None:
    client = connect(url, compress=encoding)
    assert client.query("SELECT sum(number) FROM numbers(10)").first_row == (45,)
    assert len(client.query("SELECT number FROM numbers(200000)").result_rows) == 200_000
    client.close()


# Errors


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SELECT * FROM nothing_here", 404, 60),
        ("SELECT * FROM nowhere.at_all", 404, 81),
        ("INSERT INTO nothing_here FORMAT CSV\n1\n", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 SETTINGS no_such_setting = 1", 404, 115),
        ("SELECT {missing:Int8}", 500, 456),
        ("SELECT 1 FORMAT NoSuch", 404, 73),
        ("", 400, 62),
    ],
)
def test_errors_have_the_status_and_code_of_clickhouse(
    url: str, query: str, status: int, code: int
) -> None:
    reply = ask(url, query.encode())
    assert (reply.status, reply.code) == (status, code), reply.body
    assert reply.body.startswith(b"Code: %d. DB::Exception: " % code)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"no_such_setting": "1"}, 404, 115),
        ({"bad-name' = 1": "1"}, 404, 115),
        ({"max_threads": "many"}, 400, 27),
        ({"database": "no`where"}, 404, 81),
        ({"compress": "1"}, 501, 48),
    ],
)
def test_wrong_parameters(url: str, params: dict[str, str], status: int, code: int) -> None:
    reply = ask(url, b"SELECT 1", **params)
    assert (reply.status, reply.code) == (status, code), reply.body


@pytest.mark.parametrize(("encoding", "code"), [("snappy", 89), ("gzip", 271), ("lz4", 271)])
def test_bodies_that_cannot_be_read(url: str, table: str, encoding: str, code: int) -> None:
    headers = {"Content-Encoding": encoding}
    reply = ask(url, b"not packed", headers, query="INSERT INTO events FORMAT CSV")
    assert (reply.status, reply.code) == (400, code), reply.body


def test_a_bad_row_inserts_nothing(url: str, client: Any, table: str) -> None:
    reply = ask(url, b"INSERT INTO events FORMAT CSV\n1,a\nx,b\n")
    assert reply.status == 400
    assert rows_of(client, table) == []


def test_the_client_raises_the_engines_error(client: Any) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as raised:
        client.query("SELECT * FROM nothing_here")
    assert raised.value.code == 60


# Users

BASIC = "Basic cmVhZGVyOnNlY3JldA=="  # reader:secret


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        ({"Authorization": BASIC}, {}),
        ({"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "secret"}, {}),
        ({}, {"user": "reader", "password": "secret"}),
    ],
)
def test_the_ways_to_log_in(url: str, headers: dict[str, str], params: dict[str, str]) -> None:
    assert ask(url, b"SELECT getSetting('readonly')", headers, **params).body == b"2\n"


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        ({"Authorization": "Basic cmVhZGVyOndyb25n"}, {}),
        ({"Authorization": "Bearer token"}, {}),
        ({"X-ClickHouse-User": "reader"}, {}),
        ({}, {"user": "nobody"}),
        ({}, {"password": "x"}),
    ],
)
def test_who_cannot_log_in(url: str, headers: dict[str, str], params: dict[str, str]) -> None:
    reply = ask(url, b"SELECT 1", headers, **params)
    assert (reply.status, reply.code) == (403, 516)


@pytest.fixture(scope="module")
def reader(url: str) -> Iterator[Any]:
    client = connect(url, username="reader", password="secret")
    yield client
    client.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count() FROM events",
        "WITH 1 AS x SELECT x",
        "SHOW TABLES",
        "DESCRIBE TABLE events",
        "EXPLAIN SELECT 1",
        "EXISTS TABLE events",
        "SELECT 'INTO OUTFILE file(', name FROM events",
    ],
)
def test_a_reader_reads(reader: Any, table: str, query: str) -> None:
    reader.query(query, settings={"max_threads": 2})


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO events VALUES (1, 'a')",
        "INSERT INTO events FORMAT CSV\n1,a\n",
        "INSERT INTO events SELECT 1, 'a'",
        "INSERT INTO FUNCTION null('a Int8') VALUES (1)",
        "DROP TABLE events",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (a Int8)",
        "ALTER TABLE events DELETE WHERE 1",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "KILL QUERY WHERE 1",
        "OPTIMIZE TABLE events",
        "SYSTEM FLUSH LOGS",
    ],
)
def test_a_reader_only_reads(url: str, table: str, query: str) -> None:
    reply = ask(url, query.encode(), {"Authorization": BASIC})
    assert (reply.status, reply.code) == (403, 164), reply.body


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_reader_cannot_leave_readonly(url: str, table: str, value: str) -> None:
    reply = ask(url, b"DROP TABLE events", {"Authorization": BASIC}, readonly=value)
    assert reply.code == 164


@pytest.mark.parametrize("user", ["default", "reader"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM file('/etc/hostname', LineAsString)",
        "SELECT file('/etc/hostname')",
        "SELECT `f\\x69le` /* */ ('/etc/hostname')",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV)",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT 1 INTO OUTFILE '{out}'",
        "SELECT 1 into/* */outfile '{out}' FORMAT CSV",
    ],
)
def test_the_file_system_and_network_are_out_of_reach(
    url: str, tmp_path: Path, user: str, query: str
) -> None:
    out = tmp_path / "out"
    headers = {"Authorization": BASIC} if user == "reader" else {}
    reply = ask(url, query.format(out=out).encode(), headers)
    assert (reply.status, reply.code) == (403, 497), reply.body
    assert not out.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SYSTEM SHUTDOWN",
        "INSERT INTO events FROM INFILE '/etc/hostname' FORMAT CSV",
        "INSERT INTO FUNCTION file('{out}', CSV, 'a Int8') VALUES (1)",
        "INSERT INTO FUNCTION file('{out}', CSV, 'a Int8') SELECT 1",
        "CREATE TABLE f (a String) ENGINE = File(CSV, '{out}')",
        "CREATE DATABASE f ENGINE = Filesystem('/etc')",
        "CREATE DATABASE f ENGINE = `SQLite`('{out}')",
        "CREATE VIEW f AS SELECT file('/etc/hostname')",
        "CREATE USER someone",
    ],
)
def test_nor_may_a_writer_reach_them(url: str, tmp_path: Path, table: str, query: str) -> None:
    out = tmp_path / "out"
    reply = ask(url, query.format(out=out).encode())
    assert (reply.status, reply.code) == (403, 497), reply.body
    assert not out.exists()


@pytest.mark.parametrize("setting", ["offset", "limit"])
def test_settings_do_not_hide_a_statement_from_that_check(url: str, setting: str) -> None:
    query = b"SELECT arrayJoin([file('/etc/hostname'), file('/etc/hostname')])"
    assert ask(url, query, {"Authorization": BASIC}, **{setting: "1"}).code == 497


def test_the_default_database_shows_no_files(url: str) -> None:
    assert ask(url, b"SELECT * FROM `/etc/hostname`").code == 60


def test_a_password_is_not_printed() -> None:
    assert "secret" not in repr(User("reader", "secret"))


# Side by side


async def test_the_async_client_writes_while_a_slow_reader_waits(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    async with await clickhouse_connect.get_async_client(
        host=parts.hostname, port=parts.port, autogenerate_session_id=False
    ) as client:
        await client.command("CREATE TABLE side (id Int64) ENGINE = MergeTree ORDER BY id")
        slow = asyncio.create_task(client.query("SELECT sleepEachRow(1) FROM numbers(2)"))
        for start_at in range(0, 500, 100):
            await client.insert("side", [[start_at + i] for i in range(100)], ["id"])
        counts = [client.query("SELECT count() FROM side") for _ in range(10)]
        assert {r.first_row[0] for r in await asyncio.gather(*counts)} == {500}
        assert not slow.done()
        await slow
        await client.command("DROP TABLE side")


def test_readers_and_writers_lose_nothing(url: str, client: Any, table: str) -> None:
    def write(writer: int) -> None:
        own = connect(url)
        for batch in range(10):
            own.insert(table, [[writer * 1000 + batch * 10 + i, "w"] for i in range(10)])
        own.close()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(write, writer) for writer in range(4)]:
            done.result()
    assert client.command("SELECT count(), uniqExact(id) FROM events") == ["400", "400"]


async def test_one_request_too_many_is_told_so(tmp_path: Path) -> None:
    slow = "SELECT sleepEachRow(0.3) FROM numbers(1)"
    with running(tmp_path / "data", requests=2) as url:
        async with aiohttp.ClientSession() as session:

            async def status() -> int:
                async with session.post(url, data=slow) as reply:
                    return reply.status

            assert sorted(await asyncio.gather(*(status() for _ in range(4)))) == [
                200,
                200,
                503,
                503,
            ]


def test_a_client_that_leaves_does_not_disturb_the_others(url: str, table: str) -> None:
    parts = urllib.parse.urlsplit(url)
    query = urllib.parse.quote(f"INSERT INTO {table} FORMAT CSV")
    head = f"POST /?query={query} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n1,a\n"
    with socket.create_connection((parts.hostname, parts.port)) as leaving:
        leaving.sendall(head.encode())
    assert ask(url, b"SELECT count() FROM events").body == b"0\n"


# Start and stop


def test_a_running_request_is_finished_and_the_data_is_there_again(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        with running(tmp_path / "data") as url:
            ask(url, b"CREATE TABLE kept (id Int64) ENGINE = MergeTree ORDER BY id")
            ask(url, b"INSERT INTO kept FORMAT CSV\n1\n2\n")
            running_query = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEach%'"
            slow = threads.submit(ask, url, b"SELECT sleepEachRow(1) FROM numbers(1)")
            # The counting statement matches too: two mean that the slow one runs.
            while ask(url, running_query.encode()).body != b"2\n":
                assert not slow.done()
        assert slow.result().body == b"0\n"
    with running(tmp_path / "data") as url:
        assert ask(url, b"SELECT sum(id) FROM kept").body == b"3\n"


def test_a_folder_that_was_left_before_it_had_a_table_opens_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for _ in range(2):
        with running(data) as url:
            client = connect(url)
            assert client.query("SHOW TABLES").result_rows == []
            client.close()
    with running(data) as url:
        client = connect(url)
        client.command("CREATE TABLE kept (id Int64) ENGINE = MergeTree ORDER BY id")
        client.close()
    with running(data) as url:
        client = connect(url)
        assert client.query("SHOW TABLES").result_rows == [("kept",)]
        client.close()


def test_a_folder_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with running(tmp_path / "data"), start(tmp_path / "data") as second:
        output, _ = second.communicate(timeout=30)
    assert second.returncode == 3
    assert output.startswith(f"DataFolderInUse: the data folder {tmp_path / 'data'} is in use")


@pytest.mark.parametrize("name", ["a-file", "what?"])
async def test_a_folder_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(DataFolderUnusable, match="cannot be opened"):
        await serve(tmp_path / name, "127.0.0.1", 0, stop=asyncio.Event())


async def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port} is in use"):
            await serve(tmp_path / "data", "127.0.0.1", port, stop=asyncio.Event())
    assert not (tmp_path / "data").exists()
