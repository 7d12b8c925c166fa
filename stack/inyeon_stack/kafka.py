"""A Kafka cluster in KRaft mode: one node, or three with replication factor 3 and min ISR 2."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from pathlib import Path

from inyeon_stack.kafka_node import KafkaNode
from inyeon_stack.ports import free_ports

INTERNAL_TOPICS = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")


class KafkaCluster:
    """Nodes on one folder: data survives `stop` and `start`, also of a later object.

    `ports`: of the brokers, one each; empty: any free ones. Each method may wait for minutes at
    worst; none is for the event loop.
    """

    def __init__(self, folder: Path, nodes: int = 1, ports: Sequence[int] = ()) -> None:
        if nodes < 1 or (ports and len(ports) != nodes):
            raise ValueError(f"{nodes} nodes with {len(ports)} ports")
        folder = folder.resolve()
        self._folder = folder
        found = free_ports(2 * nodes)
        brokers, controllers = tuple(ports or found[:nodes]), found[nodes:]
        self.nodes: tuple[KafkaNode, ...] = tuple(
            KafkaNode(
                folder / f"node{i + 1}",
                i + 1,
                brokers[i],
                controllers[i],
                self._settings,
                self._cluster_id,
            )
            for i in range(nodes)
        )

    @property
    def servers(self) -> tuple[str, ...]:
        """Bootstrap servers, host:port."""
        return tuple(node.server for node in self.nodes)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The same: what each engine has."""
        return self.servers

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the nodes that run."""
        return tuple(node.pid for node in self.nodes if node.pid is not None)

    @property
    def logs(self) -> tuple[Path, ...]:
        """What the nodes wrote."""
        return tuple(node.log for node in self.nodes)

    @property
    def replication(self) -> int:
        """Replicas that each topic can have: 1 or 3."""
        return min(3, len(self.nodes))

    def require_ports(self) -> None:
        """Raises PortTaken where somebody else has a port of a node that does not run."""
        for node in self.nodes:
            node.require_ports()

    def start(self) -> None:
        """Starts the nodes that do not run and waits until all serve. When one fails, those that
        this call started end. Raises EngineMissing, PortTaken, EngineFailed.
        """
        fresh = [node for node in self.nodes if node.pid is None]
        try:
            for node in fresh:
                node.launch()
            for node in fresh:
                node.await_ready()
        except BaseException:
            for node in fresh:
                node.kill()
            raise

    def stop(self) -> None:
        """Ends every node in an orderly way, the last one started first."""
        for node in reversed(self.nodes):
            node.stop()

    def kill(self) -> None:
        """SIGKILL for every node."""
        for node in self.nodes:
            node.kill()

    def _settings(self) -> dict[str, str]:
        return _settings([node.controller_port for node in self.nodes])

    def _cluster_id(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        noted = self._folder / "cluster.id"
        if not noted.exists():
            noted.write_text(cluster_id_of(uuid.uuid4()))
        return noted.read_text()


def cluster_id_of(number: uuid.UUID) -> str:
    """As Kafka writes its ids: URL-safe base64 of 16 bytes. Never with a leading hyphen, which its
    storage tool takes for an option."""
    written = base64.urlsafe_b64encode(number.bytes).decode().rstrip("=")
    return f"A{written[1:]}" if written.startswith("-") else written


def _settings(controllers: Sequence[int]) -> dict[str, str]:
    """What all nodes share."""
    count = len(controllers)
    replicas, in_sync = (3, 2) if count >= 3 else (1, 1)
    voters = ",".join(f"{i + 1}@127.0.0.1:{port}" for i, port in enumerate(controllers))
    internal = {f"{topic}.replication.factor": str(replicas) for topic in INTERNAL_TOPICS}
    internal |= {f"{topic}.min.isr": str(in_sync) for topic in INTERNAL_TOPICS[1:]}
    return internal | {
        "process.roles": "broker,controller",
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.num.partitions": "8",  # 50 by default: start-up and disk for few groups
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed waits at its start for the end of its own old registration:
        # 12 to 14 s with the default of 9 s, 6 to 9 s with 3 s.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
