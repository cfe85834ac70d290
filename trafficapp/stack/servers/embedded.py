"""The embedded servers on one data folder: which to start, on which ports, in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trafficapp.stack.servers import kafka, kept_secrets, ports, postgres, redis_server
from trafficapp.stack.servers.endpoints import Endpoints, SecuredKafka
from trafficapp.stack.servers.jars import Progress
from trafficapp.stack.supervisor import ProcessSpec


def plan(
    data_dir: Path,
    given: Endpoints,
    announce_download: Callable[[int], Progress],
    remembered: ports.RememberedPorts | None = None,
    *,
    unprotected: bool = False,
) -> tuple[list[ProcessSpec], Endpoints]:
    """Say what to start for the servers that are not `given`, and where all of them will be.

    Fetches Kafka's jars when they are not in the cache. The data folder must be locked by the caller.

    Args:
        data_dir: the data folder.
        given: servers that are not to be started.
        announce_download: see `kafka.fetch_jars`.
        remembered: the folder's ports; read from it unless given.
        unprotected: let everybody on this machine do everything with Kafka, and the application with Postgres.

    Raises:
        StackError: A server is not installed for this machine, or the jars cannot be fetched.
    """
    specs: list[ProcessSpec] = []
    remembered = remembered or ports.RememberedPorts(data_dir)
    found = given
    if given.redis_url is None:
        port = remembered.choose("redis", redis_server.PREFERRED_PORT)
        specs.append(redis_server.spec(data_dir, port))
        found = replace(found, redis_url=redis_server.redis_url(data_dir, port))
    if given.database_url is None:
        port = remembered.choose("postgres", postgres.PREFERRED_PORT)
        owner = postgres.owner_url(data_dir, port)
        url = owner if unprotected else postgres.database_url(data_dir, port)
        found = replace(found, database_url=url, database_owner_url=None if unprotected else owner)
        specs.append(postgres.spec(data_dir, port))
    if given.kafka_bootstrap_servers is None:
        kafka.fetch_jars(announce_download)
        first = kafka.PREFERRED_PORT
        names = ("kafka", "kafka-secured", "kafka-controller")
        # as it was before there was one for ourselves: the controller's comes right behind that of producers
        chosen = kafka.Ports(*(remembered.choose(name, first + at) for name, at in zip(names, (0, 2, 1), strict=True)))
        specs.append(kafka.spec(data_dir, chosen, unprotected=unprotected))
        secured = SecuredKafka(
            f"{ports.LOOPBACK}:{chosen.secured}",
            kafka.USER,
            kept_secrets.kept(data_dir, kept_secrets.KAFKA),
            kept_secrets.kept(data_dir, kept_secrets.CONTROL_KEY),
        )
        found = replace(
            found,
            kafka_bootstrap_servers=f"{ports.LOOPBACK}:{chosen.open}",
            secured_kafka=None if unprotected else secured,
        )
    return specs, found
