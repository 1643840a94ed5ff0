"""A real Apache Kafka on loopback: KRaft, one to three nodes, each broker and controller in one.

For tests only: small heaps, small buffers, and failures noticed within seconds.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError

from tests.support.kafka_jars import KafkaUnavailable, jars, java, kafka_unavailable
from tests.support.waiting import wait_until

__all__ = ["KafkaCluster", "KafkaUnavailable", "Security", "kafka_unavailable"]

LOOPBACK = "127.0.0.1"
UP_SECONDS = 60.0
END_SECONDS = 30.0
POLITE_SECONDS = 3.0
"""For all nodes at once, when nobody wants their data any more."""
PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections: a node's ports must still be free
when it is started again."""
JAVA_OPTIONS = ("-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOG_OPTION = "-Dorg.slf4j.simpleLogger."
LOGGING = {
    "defaultLogLevel": "warn",
    "showDateTime": "true",
    "dateTimeFormat": "HH:mm:ss.SSS",
    "showShortLogName": "true",
}

# Executed instead of java itself: nothing is left behind when the tests' process is killed. What
# it held was for that process only, so there is no need to be polite.
_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the tests' process has gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""
# The kernel takes the *thread* that started a child for its parent. This one lives as long as the
# process, whichever thread a test calls us from.
_starter = ThreadPoolExecutor(1, thread_name_prefix="kafka-starter")


@dataclass(frozen=True)
class Security:
    """What the clients' listener demands. Brokers talk among themselves on another one, plaintext.

    ``protocol``: SASL_PLAINTEXT, SASL_SSL or SSL. ``properties``: lines of server.properties for
    it, in the form ``listener.name.clients.…`` (JAAS, keystore) or for the whole broker
    (``sasl.enabled.mechanisms``). ``format_options``: what `StorageTool format` gets on top, such
    as ``--add-scram SCRAM-SHA-256=[name=…,password=…]``. ``more``: further listeners for clients,
    name to protocol; `KafkaCluster.listener` says where.
    """

    protocol: str
    properties: Mapping[str, str] = field(default_factory=dict)
    format_options: tuple[str, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Node:
    number: int
    folder: Path
    clients: int
    brokers: int
    controllers: int
    more: tuple[int, ...] = ()

    @property
    def config(self) -> Path:
        return self.folder / "server.properties"

    @property
    def log(self) -> Path:
        return self.folder / "kafka.log"


class KafkaCluster:
    """Nodes 1 to ``nodes`` with their data under ``folder``, on ports that stay the same.

    ``properties`` go into every node's server.properties, over ours. ``security`` None: plaintext.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        *,
        properties: Mapping[str, str] | None = None,
        security: Security | None = None,
    ) -> None:
        self.folder = folder
        self._properties = dict(properties or {})
        self._security = security
        more = len(security.more) if security else 0
        ports = iter(_free_ports((3 + more) * nodes))
        self._nodes = {
            n: _Node(
                n,
                folder / f"node-{n}",
                *(next(ports), next(ports), next(ports)),
                more=tuple(next(ports) for _ in range(more)),
            )
            for n in range(1, nodes + 1)
        }
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, ``host:port[,host:port]``: those of nodes that are down too."""
        return ",".join(f"{LOOPBACK}:{node.clients}" for node in self._nodes.values())

    def listener(self, name: str) -> str:
        """Addresses of another listener: one of `Security.more`, or BROKERS, which is plaintext."""
        if name == "BROKERS":
            return ",".join(f"{LOOPBACK}:{node.brokers}" for node in self._nodes.values())
        assert self._security is not None, "no listeners but CLIENTS and BROKERS"
        index = list(self._security.more).index(name)
        return ",".join(f"{LOOPBACK}:{node.more[index]}" for node in self._nodes.values())

    @property
    def node_ids(self) -> tuple[int, ...]:
        """All nodes, also those that are down."""
        return tuple(self._nodes)

    def start(self) -> None:
        """Start all nodes, new ones on empty data; returns when each of them knows all others."""
        self._format()
        for node in self._nodes.values():
            self._spawn(node)
        for node in self._nodes.values():
            self._until_it_knows(node, set(self._nodes))

    def stop(self) -> None:
        """End all nodes: politely, and those that do not end in seconds for good."""
        running = [p for p in self._processes.values() if p.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + POLITE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # The last ones have no majority left to sign off with.
                process.kill()
                process.wait()

    def kill(self, node: int) -> None:
        """End a node by SIGKILL."""
        self._processes[node].kill()
        self._processes[node].wait()

    def terminate(self, node: int) -> None:
        """End a node by SIGTERM: it hands over what it leads, then ends."""
        process = self._processes[node]
        process.send_signal(signal.SIGTERM)
        process.wait(END_SECONDS)

    def start_node(self, node: int) -> None:
        """Start a node again, on its data and ports; returns when it answers and is registered."""
        assert not self.is_alive(node), f"node {node} runs"
        self._spawn(self._nodes[node])
        self._until_it_knows(self._nodes[node], {node})

    def is_alive(self, node: int) -> bool:
        """True while its process runs."""
        process = self._processes.get(node)
        return process is not None and process.poll() is None

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition, as the nodes that run see it; -1 where none does."""

        cluster = self._metadata(list(self._nodes.values()), topic)
        leader = cluster.leader_for_partition(TopicPartition(topic, partition))
        return -1 if leader is None else int(leader)

    def words(self) -> str:
        """The last lines of every node's log."""
        parts = []
        for node in self._nodes.values():
            text = node.log.read_text("utf-8", "replace") if node.log.exists() else ""
            state = "runs" if self.is_alive(node.number) else "is down"
            parts.append("\n".join([f"--- node {node.number} {state}", *text.splitlines()[-25:]]))
        return "\n".join(parts)

    def _format(self) -> None:
        """Write the configuration, and the cluster's id into folders that have none."""
        new = [node for node in self._nodes.values() if not node.config.exists()]
        # The leading letter: an id that begins with - would be taken for an option.
        identity = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        options = self._security.format_options if self._security else ()
        formatting = []
        for node in new:
            node.folder.mkdir(parents=True)
            lines = [f"{key}={value}\n" for key, value in self._config(node).items()]
            node.config.write_text("".join(lines))
            arguments = ("format", "-t", identity, "-c", str(node.config), *options)
            formatting.append(self._java(node, "kafka.tools.StorageTool", *arguments))
        for node, process in zip(new, formatting, strict=True):
            assert process.wait(UP_SECONDS) == 0, f"node {node.number} has no data:\n{self.words()}"

    def _spawn(self, node: _Node) -> None:
        self._processes[node.number] = self._java(node, "kafka.Kafka", str(node.config))

    def _java(self, node: _Node, *arguments: str) -> subprocess.Popen[bytes]:
        logging = [f"{LOG_OPTION}{key}={value}" for key, value in LOGGING.items()]
        command = [
            *(sys.executable, "-S", "-c", _WITH_PARENT, str(os.getpid())),
            *(java(), *JAVA_OPTIONS, *logging, "-cp", f"{jars()}/*", *arguments),
        ]

        def start() -> subprocess.Popen[bytes]:
            with node.log.open("ab") as output:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )

        return _starter.submit(start).result()

    def _until_it_knows(self, node: _Node, others: set[int]) -> None:
        process = self._processes[node.number]

        def look() -> bool:
            if process.poll() is not None:
                return True
            if not all(_answers(port) for port in (node.clients, node.brokers)):
                return False
            try:
                known = self._metadata([node]).brokers()
            except KafkaError:
                return False
            return others <= {broker.nodeId for broker in known}

        try:
            wait_until(f"Kafka node {node.number} is up", look, UP_SECONDS)
            assert process.poll() is None, f"node {node.number} ended with {process.returncode}"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.words()}") from None

    def _metadata(self, nodes: list[_Node], *topics: str) -> ClusterMetadata:
        """As the first of these nodes that answers says; from any thread, with a loop or without.

        Asked on the brokers' own listener, which demands nothing. Raises KafkaError.
        """
        alive = [f"{LOOPBACK}:{n.brokers}" for n in nodes if self.is_alive(n.number)]

        async def ask() -> ClusterMetadata:
            client = AIOKafkaClient(bootstrap_servers=alive, request_timeout_ms=5000)
            try:
                await client.bootstrap()
                await client.set_topics(topics)
            finally:
                await client.close()
            return client.cluster

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()

    def _config(self, node: _Node) -> dict[str, str]:
        replicas, in_sync = str(min(3, len(self._nodes))), "2" if len(self._nodes) > 2 else "1"
        # A node that was killed cannot come back before its session is over, and a single one has
        # nobody to lose its partitions to.
        session, heartbeat = ("3000", "500") if len(self._nodes) > 1 else ("1000", "200")
        protocol = self._security.protocol if self._security else "PLAINTEXT"
        voters = [f"{n.number}@{LOOPBACK}:{n.controllers}" for n in self._nodes.values()]
        more = dict(self._security.more) if self._security else {}
        open_to = f"CLIENTS://{LOOPBACK}:{node.clients},BROKERS://{LOOPBACK}:{node.brokers}"
        for name, port in zip(more, node.more, strict=True):
            open_to += f",{name}://{LOOPBACK}:{port}"
        return {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"{open_to},CONTROLLERS://{LOOPBACK}:{node.controllers}",
            "advertised.listeners": open_to,
            "listener.security.protocol.map": (
                f"CLIENTS:{protocol},BROKERS:PLAINTEXT,CONTROLLERS:PLAINTEXT"
                + "".join(f",{name}:{spoken}" for name, spoken in more.items())
            ),
            "inter.broker.listener.name": "BROKERS",
            "controller.listener.names": "CONTROLLERS",
            "log.dirs": str(node.folder / "data"),
            # As in docker-compose.yml.
            "auto.create.topics.enable": "false",
            "message.max.bytes": "1162144",
            "group.initial.rebalance.delay.ms": "0",
            # Kafka's is 6000; a takeover should not take a test that long.
            "group.min.session.timeout.ms": "500",
            "unclean.leader.election.enable": "false",
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": "2",
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": "2",
            # The loss of a node is noticed in seconds.
            "broker.session.timeout.ms": session,
            "broker.heartbeat.interval.ms": heartbeat,
            "replica.lag.time.max.ms": "3000",
            # Retention works while a test waits.
            "log.initial.task.delay.ms": "500",
            "log.retention.check.interval.ms": "500",
            "log.segment.delete.delay.ms": "500",
            # Small: all runs on two cores, beside the stages.
            "num.network.threads": "2",
            "num.io.threads": "2",
            "background.threads": "2",
            "group.coordinator.threads": "1",
            "share.coordinator.threads": "1",
            "log.cleaner.dedupe.buffer.size": "4194304",
            **(self._security.properties if self._security else {}),
            **self._properties,
        }


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().choice(PORTS)
        try:
            socket.create_server((LOOPBACK, port)).close()
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found


def _answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
