"""The embedded servers on one data folder: which to start, on which ports, in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trafficapp.stack import kafka, ports, postgres, redis_server
from trafficapp.stack.endpoints import Endpoints
from trafficapp.stack.jars import Progress
from trafficapp.stack.supervisor import ProcessSpec


def plan(
    data_dir: Path, given: Endpoints, announce_download: Callable[[int], Progress]
) -> tuple[list[ProcessSpec], Endpoints]:
    """Say what to start for the servers that are not `given`, and where all of them will be.

    Fetches Kafka's jars when they are not in the cache. The data folder must be locked by the caller.

    Raises:
        StackError: A server is not installed for this machine, or the jars cannot be fetched.
    """
    specs: list[ProcessSpec] = []
    taken: list[int] = []
    found = given
    if given.redis_url is None:
        port = _take(redis_server.PREFERRED_PORT, taken)
        specs.append(redis_server.spec(data_dir, port))
        found = replace(found, redis_url=redis_server.redis_url(port))
    if given.database_url is None:
        port = _take(postgres.PREFERRED_PORT, taken)
        found = replace(found, database_url=postgres.database_url(data_dir, port))
        specs.append(postgres.spec(data_dir, port))
    if given.kafka_bootstrap_servers is None:
        kafka.fetch_jars(announce_download)
        port, controller_port = _take(kafka.PREFERRED_PORT, taken), _take(kafka.PREFERRED_PORT + 1, taken)
        specs.append(kafka.spec(data_dir, port, controller_port))
        found = replace(found, kafka_bootstrap_servers=f"{ports.LOOPBACK}:{port}")
    return specs, found


def _take(preferred: int, taken: list[int]) -> int:
    port = ports.choose(preferred, taken)
    taken.append(port)
    return port
