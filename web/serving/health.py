"""``GET /health``: whether the servers behind a worker answer. Always 200 and always quick, also when they are not.

``/health/live`` and ``/health/ready`` are for whoever starts and stops workers: neither looks at other servers, so that
an outage of one of them restarts nothing.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
import time
from http import HTTPStatus

from aiohttp import hdrs, web

from models.health import Health, Liveness, Reach, Readiness, encode_health
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import KafkaSettings
from web.auth.access import Access
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, Probe
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError

logger = logging.getLogger(__name__)

#: A server that takes longer does not answer.
PROBE_TIMEOUT_SECONDS = 0.6

#: As long as somebody asks, servers are looked after all the time, with this pause in between.
PAUSE_SECONDS = 0.4
UNASKED_SECONDS = 10.0

#: What is told is no older: a look and the pause before it take no longer.
CACHE_SECONDS = 1.0

# ApiVersions, version 0: api_key 18, version 0, correlation id 1, client id "health"
_API_VERSIONS = struct.pack(">hhih6s", 18, 0, 1, 6, b"health")


def kafka_answers(settings: KafkaSettings) -> Probe:
    """A probe that asks the brokers for their API versions: needs no login, and a frozen broker fails it."""
    servers = [server.strip().rpartition(":") for server in settings.bootstrap_servers.split(",")]
    encrypted = settings.api_key is not None and settings.security_protocol == "SASL_SSL"
    security = ssl.create_default_context() if encrypted else None

    async def ask(host: str, port: int) -> bool:
        reader, writer = await asyncio.open_connection(host, port, ssl=security)
        try:
            writer.write(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
            _, correlation = struct.unpack(">ii", await reader.readexactly(8))
            return bool(correlation == 1)
        finally:
            writer.close()

    async def probe() -> bool:
        answers = await asyncio.gather(
            *(ask(host.strip("[]"), int(port)) for host, _, port in servers), return_exceptions=True
        )
        return any(answer is True for answer in answers)

    return probe


class HealthCheck:
    """Runs the probes side by side, however many ask, and beside those who ask: a slow server keeps nobody waiting.

    Args:
        probes: by name: kafka, postgres, redis.
        telemetry: learns each result.
    """

    def __init__(self, probes: dict[str, Probe], telemetry: Telemetry) -> None:
        self._probes = probes
        self._telemetry = telemetry
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._known: Health | None = None
        self._known_at = self._asked_at = 0.0

    async def health(self) -> Health:
        """The state of the servers, at most a second old; only who is the first to ask for a while has to wait."""
        self._asked_at = time.monotonic()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking(), name="look after the servers")
        while self._known is None or time.monotonic() - self._known_at >= CACHE_SECONDS:
            self._looked.clear()
            await self._looked.wait()
        return self._known

    async def stop(self) -> None:
        """Look after nobody any more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _keep_looking(self) -> None:
        while True:
            self._known = await self._look()
            self._known_at = time.monotonic()
            self._looked.set()
            await asyncio.sleep(PAUSE_SECONDS)
            if time.monotonic() - self._asked_at >= UNASKED_SECONDS:
                return

    async def _look(self) -> Health:
        names = list(self._probes)
        results = await asyncio.gather(*(self._ask(name) for name in names))
        reached: dict[str, Reach] = {
            name: "ok" if up else "unreachable" for name, up in zip(names, results, strict=True)
        }
        return Health(status="ok" if all(results) else "degraded", **reached)

    async def _ask(self, name: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                up = await self._probes[name]()
        except Exception as error:
            logger.debug("%s does not answer: %r", name, error)
            up = False
        self._telemetry.dependency_up.labels(name).set(up)
        return up

    async def view(self, request: web.Request) -> web.Response:
        """Whether the servers behind this worker answer.

        Always 200.
        """
        return json_answer(encode_health(await self.health()))

    def operations(self) -> list[Operation]:
        """What this module answers."""
        return [
            Operation("GET /health", self.view, Tag.OPERATION, Health, access=Access.OPEN),
            Operation("GET /health/live", live, Tag.OPERATION, Liveness, access=Access.OPEN),
            Operation("GET /health/ready", ready, Tag.OPERATION, Readiness, access=Access.OPEN, errors=(503,)),
        ]


async def live(request: web.Request) -> web.Response:
    """Whether this worker turns.

    Start it anew when it does not.
    """
    # whoever answers is alive
    return json_answer(encode_health(Liveness()))


async def ready(request: web.Request) -> web.Response:
    """Whether this worker has taken over its partitions.

    503 while it reads state back: at its start, and whenever partitions are shared out anew.
    """
    if not request.app[CONTEXT].is_ready():
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "this worker is taking over its partitions", {hdrs.RETRY_AFTER: "1"}
        )
    return json_answer(encode_health(Readiness()))
