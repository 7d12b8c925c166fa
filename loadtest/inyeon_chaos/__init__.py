"""Faults on purpose, and a checker that finds out whether anything was lost or done twice.

Drivers stand outside the processes under test and write a history; the checker compares it with the
final databases and with every topic. Development and tests only: services never import it.
"""

import os

# Read when gRPC is first imported. PostgreSQL is started again by a fork under people's open
# channels, and gRPC's fork handlers then end it before it runs.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
