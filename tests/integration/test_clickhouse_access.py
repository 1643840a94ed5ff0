"""ClickHouse behind TLS, with users: what gets in writes and reads, what does not is one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.journal import Counted
from sinks.clickhouse import (
    ClickHouse,
    ClickHouseDenied,
    ClickHouseRefused,
    ClickHouseUnavailable,
)
from sinks.ledger import Ledger
from sinks.migrate import migrate
from streams.settings import Settings, load_settings
from streams.stack.ports import Ports
from streams.stores import check_access, clickhouse, clickhouse_reader
from tests.support.clickhouse_endpoint import clickhouse_endpoint
from tests.support.ledger_rows import JOURNAL, NOON, covering, journal_row, journal_rows
from tests.support.tls import Authority, tls_in_front_of

pytestmark = pytest.mark.slow

WRITER, READER = ("writer", "writers-hunter2"), ("reader", "readers-hunter2")


@dataclass(frozen=True)
class Server:
    """One ClickHouse, behind TLS and without, and the CA of its certificate."""

    secure: str
    plain: str
    authority: Authority

    def settings(self, **changes: object) -> Settings:
        given = {
            "clickhouse": self.secure,
            "clickhouse_ca": self.authority.ca,
            "clickhouse_user": WRITER[0],
            "clickhouse_password": WRITER[1],
            "clickhouse_reader": READER[0],
            "clickhouse_reader_password": READER[1],
        }
        return load_settings(**{**given, **changes})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clickhouse")
    authority = Authority(folder)
    users = ((*WRITER, False), (*READER, True))
    with (
        clickhouse_endpoint(folder / "data", users) as plain,
        tls_in_front_of(plain, authority.serving()) as secure,
    ):
        yield Server(secure, plain, authority)


@pytest.fixture
def writer(server: Server) -> Iterator[ClickHouse]:
    connection = clickhouse(server.settings())
    yield connection
    connection.close()


@pytest.fixture
def reader(server: Server) -> Iterator[ClickHouse]:
    connection = clickhouse_reader(server.settings())
    yield connection
    connection.close()


def test_the_sinks_write_over_tls_and_the_reader_reads_it(writer: ClickHouse, reader: ClickHouse):
    migrate(writer)
    ranges = (covering(0, 0, events=1),)
    rows = journal_rows(journal_row())
    Ledger(writer, JOURNAL).write(0, ranges, Counted(ranges, None, rows), NOON)
    assert reader.query("SELECT team, calls FROM spend") == [("search", 1)]
    with pytest.raises(ClickHouseRefused, match="may only read"):
        reader.command("TRUNCATE TABLE spend")


def test_what_only_reads_is_the_user_where_no_reader_is_set(server: Server):
    settings = server.settings(clickhouse_reader=None, clickhouse_reader_password="")
    connection = clickhouse_reader(settings)
    connection.command("CREATE TABLE mine (n Int8) ENGINE = MergeTree ORDER BY n")
    connection.command("DROP TABLE mine")
    connection.close()


DENIALS = [
    ({"clickhouse_password": "wrong-hunter2"}, "_PASSWORD", "Authentication failed"),
    ({"clickhouse_user": "nobody"}, "_PASSWORD", "Authentication failed"),
    ({"clickhouse_ca": None}, "_CA", "certificate verify failed: unable to get local issuer"),
    ({"clickhouse_ca": "OTHER"}, "_CA", "certificate verify failed: unable to get local issuer"),
    ({"clickhouse_ca": "NO PEM"}, "_CA", "no certificate or crl found"),
    ({"clickhouse": "NO TLS"}, "", "does not speak TLS"),
    ({"clickhouse": "OTHER NAME"}, "", "certificate is not valid for 'localhost'"),
]


def changed(server: Server, changes: dict[str, object]) -> Settings:
    stands_for = {
        "OTHER": server.authority.other_ca,
        "NO PEM": Path(__file__),
        "NO TLS": server.plain.replace("http:", "https:"),
        "OTHER NAME": server.secure.replace("127.0.0.1", "localhost"),
    }
    return server.settings(**{n: stands_for.get(str(v), v) for n, v in changes.items()})


@pytest.mark.parametrize(("changes", "variable", "says"), DENIALS, ids=str)
def test_a_stage_that_is_not_let_in_says_in_one_line_which_setting_it_is(
    server: Server, changes: dict[str, object], variable: str, says: str
):
    settings = changed(server, changes)
    with pytest.raises(UserError) as caught:
        check_access(settings)
    message = str(caught.value)
    assert message.startswith(f"SPENDSTREAM_CLICKHOUSE{variable}: ")
    assert says in message
    assert "hunter2" not in message
    assert "\n" not in message


def test_a_stage_waits_for_one_that_is_away_and_is_let_in_by_one_that_knows_it(server: Server):
    check_access(server.settings())
    check_access(server.settings(clickhouse=f"https://127.0.0.1:{Ports.free().clickhouse}"))


def test_http_to_a_server_that_speaks_tls_is_one_line(server: Server):
    connection = ClickHouse(server.secure.replace("https:", "http:"), user="writer")
    # It closes the connection, or resets it where it has not read the whole request.
    with pytest.raises(ClickHouseUnavailable, match=r"^ClickHouse at http://\S+ .+$"):
        connection.query("SELECT 1")


def test_a_denial_is_told_from_another_refusal(server: Server, writer: ClickHouse):
    with pytest.raises(ClickHouseRefused) as refused:
        writer.query("SELECT nothing_of_this_name")
    assert not isinstance(refused.value, ClickHouseDenied)
