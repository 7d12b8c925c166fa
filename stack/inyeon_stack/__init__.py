"""Real engines as plain processes: no containers, no root, 127.0.0.1 only.

For development and tests; services never import this.
"""

from inyeon_stack.errors import EngineFailed, EngineMissing, PortTaken, StackError
from inyeon_stack.kafka import KafkaCluster
from inyeon_stack.kafka_node import KafkaNode
from inyeon_stack.postgres import Postgres
from inyeon_stack.triton import Triton

__all__ = [
    "EngineFailed",
    "EngineMissing",
    "KafkaCluster",
    "KafkaNode",
    "PortTaken",
    "Postgres",
    "StackError",
    "Triton",
]
