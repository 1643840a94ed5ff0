"""May a call be made? Answered from memory, by what the guard has published."""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import Literal, Self

from spendstream._forks import watch
from spendstream._security import Security
from spendstream._transport import TOKEN_VARIABLE, checked_token
from spendstream._url import http_base, kafka_servers
from spendstream.quota._decide import Decision, decide
from spendstream.quota._follower import Follower
from spendstream.quota._source import Source
from spendstream.quota._table import QuotaTable, utc_now

TOPIC = "llm.quotas"
CLOSE_TIMEOUT = 5.0
_MEANWHILE = {"open": "allowed", "closed": "refused"}


class Quotas:
    """What is left of budgets, for a gateway.

    ``url``: ``kafka://host:port[,host:port]`` (the topic ``llm.quotas``, or ``topic``; ``security``
    as for an emitter) or ``http(s)://host[:port][/base]`` of the web stage, with a ``token`` that
    has the scope ``quota`` (else that of the environment, ``SPENDSTREAM_TOKEN``).

    While quotas are not known, as they were not read yet or no guard has said anything for
    ``stale_after`` seconds, ``fail`` decides: ``open`` allows calls, ``closed`` refuses them.
    A guard that is at work says something every 5 seconds.

    Connects in a thread of its own. May be used from any thread, and after a fork: the child
    connects anew, and until then answers by what its parent knew. Raises ValueError for
    options that are wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        fail: Literal["open", "closed"] = "open",
        stale_after: float = 30.0,
        security: Security | None = None,
        topic: str | None = None,
    ) -> None:
        if fail not in _MEANWHILE:
            raise ValueError(f"fail is {fail!r}; open or closed is understood")
        if not stale_after > 0:
            raise ValueError(f"stale_after is {stale_after}; seconds, above 0")
        self._source, self._shown = _source(url, token, security, topic)
        self._fail_open = fail == "open"
        self._meanwhile = f"calls are {_MEANWHILE[fail]} meanwhile (fail={fail})"
        self._stale_after = stale_after
        self._lock = threading.Lock()
        self._closed = False
        self._forked = False
        self._follower = Follower(self._source, self._shown, QuotaTable())
        atexit.register(self.close)
        watch(self)

    def decide(
        self,
        *,
        department: str | None = None,
        team: str | None = None,
        project: str | None = None,
        use_case: str | None = None,
        application: str | None = None,
        environment: str | None = None,
        user: str | None = None,
        customer: str | None = None,
        model: str | None = None,
        provider: str | None = None,
    ) -> Decision:
        """May a call with these attributes be made? Does not wait.

        Name all that the call's usage event will have: a budget about what is left out cannot be
        judged. A name that was never seen has its whole limit.
        """
        given = (
            ("department", department),
            ("team", team),
            ("project", project),
            ("use_case", use_case),
            ("application", application),
            ("environment", environment),
            ("user", user),
            ("customer", customer),
            ("model", model),
            ("provider", provider),
        )
        table = self._following().table
        unknown = self._why_unknown(table)
        if unknown is not None:
            why = f"{unknown}; {self._meanwhile}."
            return Decision(self._fail_open, None, why, None, None, known=False)
        question = {name: str(value) for name, value in given if value}
        return decide(table.definitions, table.members, question, utc_now())

    @property
    def ready(self) -> bool:
        """Whether everything was read once. What was read may be stale: see `Decision.known`."""
        return self._following().ready.is_set()

    def wait_ready(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until `ready`; whether it is."""
        return self._following().ready.wait(timeout)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Stop following; wait up to ``timeout`` seconds. Runs by itself when the interpreter
        exits. May be called again. From then on nothing is known."""
        with self._lock:
            self._closed = True
            follower = None if self._forked else self._follower
        if follower is not None:
            follower.stop(timeout)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _why_unknown(self, table: QuotaTable) -> str | None:
        if self._closed:
            return "Quotas are not followed any more"
        if not table.live:
            return f"Quotas were not read from {self._shown} yet"
        if table.heard is None:
            return f"No guard has published quotas at {self._shown} yet"
        silence = time.monotonic() - table.heard
        if silence > self._stale_after:
            return f"Nothing was heard of quotas from {self._shown} for {silence:.0f} s"
        return None

    def _following(self) -> Follower:
        if not self._forked:
            return self._follower
        with self._lock:
            if self._forked and not self._closed:
                self._follower = Follower(self._source, self._shown, self._follower.table)
                self._forked = False
            return self._follower

    def _hold(self) -> None:
        self._lock.acquire()

    def _release(self) -> None:
        self._lock.release()

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        if not self._forked:
            self._forked = True
            self._follower.forsake()


def _source(
    url: str, token: str | None, security: Security | None, topic: str | None
) -> tuple[Source, str]:
    """What reads, and the URL as it may be shown. Raises ValueError.

    A client is imported where it is needed only: each takes longer than the rest of the package.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in ("kafka", "http", "https"):
        shown = f"{scheme}://" if separator else "a URL without a scheme"
        raise ValueError(
            f"cannot read quotas from {shown}; "
            "kafka://host:port[,host:port] or http(s)://host[:port][/base] is understood"
        )
    if scheme == "kafka":
        if token is not None:
            raise ValueError("token is for http:// and https://; a Kafka broker takes security=")
        from spendstream.quota._kafka import KafkaSource

        servers = kafka_servers(url)
        access = (security or Security.from_environment(os.environ)).options()
        shown = f"kafka://{','.join(f'{host}:{port}' for host, port in servers)}"
        return KafkaSource(servers, access, topic or TOPIC), shown
    if security is not None or topic is not None:
        option = "topic" if security is None else "security"
        raise ValueError(f"{option} is for kafka://; the web stage decides that itself")
    from spendstream.quota._http import HttpSource

    base = http_base(url)
    secret = checked_token(os.environ.get(TOKEN_VARIABLE, "") if token is None else token)
    return HttpSource(base, secret), base
