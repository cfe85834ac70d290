"""``/ws/realtime``: vehicles, emergencies, weather, traffic and the city's figures as they change.

What changed is gathered for a second and told as one message of each type, whatever the number of vehicles.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any, get_args

import msgspec
from aiohttp import WSCloseCode, web
from msgspec import Meta, Struct
from redis.asyncio import Redis

from models.city.realtime import RealtimeMessage, RealtimeType
from models.city.traffic import CitySummary, RoadTraffic
from models.fleet.positions import VehicleLocation
from models.incidents.current import ActiveEmergency, Incident
from models.records import MALFORMED
from models.timestamps import rfc3339
from models.weather.current import CurrentWeather
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.settings import Settings
from trafficapp.stores.city.overview import CHANNEL, SUMMARY_KEY, CityTold
from trafficapp.stores.redis.documents import readable
from trafficapp.weather.feeds import CURRENT_WEATHER
from web.feeds.socket import DocumentFeed
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.sockets.broadcast import Broadcaster
from web.sockets.channel import HeardChannel
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.subscription import Tasks
from web.sockets.windows import SOCKET_ERRORS

logger = logging.getLogger(__name__)

GATHERED_SECONDS = 1.0
#: A message of more documents is told as several.
_DOCUMENTS_PER_MESSAGE = 500
_KNOWN_WITHIN_SECONDS = 2.0

TYPES: tuple[str, ...] = get_args(RealtimeType)
_encode = msgspec.json.Encoder().encode
_decode_summary = msgspec.json.Decoder(CitySummary).decode
_decode_told = msgspec.json.Decoder(CityTold).decode


class _Said(Struct):
    """What a client says."""

    type: str


_decode_incident = msgspec.json.Decoder(Incident).decode
_decode_said = msgspec.json.Decoder(_Said).decode


class RealtimeQuery(Struct, frozen=True, kw_only=True):
    """Which types, separated by commas; all without it."""

    types: Annotated[str, Meta(max_length=256)] | None = None


def message(kind: RealtimeType, data: Any) -> bytes:
    """A message of now."""
    return _encode(RealtimeMessage(type=kind, data=data, timestamp=rfc3339(time.time_ns() // 1000)))


class CityChannel(HeardChannel):
    """Hears what was reckoned of the whole city."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        super().__init__(connect, CHANNEL)
        self.summary: CitySummary | None = None
        self.on_told: list[Callable[[CityTold], None]] = []

    async def catch_up(self, client: Redis) -> None:
        """Take over the newest figures."""
        found: Any = await client.get(SUMMARY_KEY)
        if found is not None:
            self.summary = next(iter(readable([found], _decode_summary, "city summaries")), self.summary)

    def take(self, message: bytes) -> None:
        """Tell on what was reckoned."""
        try:
            told = _decode_told(message)
        except MALFORMED as error:
            logger.warning("what is told of the city cannot be read: %s", error)
            return
        self.summary = told.summary
        for hear in self.on_told:
            hear(told)


class Realtime:
    """The route, its clients, and what is told to them.

    Args:
        settings: of the process.
        telemetry: of the process.
        connect: makes a client for a subscription, one that does not connect again by itself.
        feeds: those that are switched on.
        heard: what this worker hears anyway, by names of feeds; its owner starts it.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        connect: Callable[[], Redis],
        feeds: Iterable[Feed[Any]],
        heard: Mapping[str, DocumentFeed],
    ) -> None:
        # to these clients "going away" means not to come back
        self.clients = SocketClients("/ws/realtime", settings, telemetry, stop_code=WSCloseCode.SERVICE_RESTART)
        self.channel = CityChannel(connect)
        self._own: list[DocumentFeed] = []
        self._documents: dict[RealtimeType, DocumentFeed] = {}
        self._broadcaster = Broadcaster()
        self._tasks = Tasks()
        self._wanted: dict[SocketClient, frozenset[str]] = {}
        #: By type and natural key, the newest documents that were not told yet.
        self._gathered: dict[RealtimeType, dict[str, Any]] = {}
        for feed in feeds:
            kind, current = _KINDS.get(feed.name), feed.current
            if kind is None or not isinstance(current, Current) or current.channel is None:
                continue
            told = heard.get(feed.name)
            if told is None:
                told = DocumentFeed(feed, current, current.channel, settings, connect)
                self._own.append(told)
            told.on_told.append(partial(self._gather, kind))
            self._documents[kind] = told
        self.channel.on_told.append(self._reckoned)

    def start(self) -> None:
        """Begin to listen and to tell."""
        for heard in (self.channel, *self._own):
            heard.start()
        self._tasks.start(self._tell(), self._broadcaster.run())

    async def stop(self) -> None:
        """Stop both."""
        await asyncio.gather(self._tasks.stop(), *(heard.stop() for heard in (self.channel, *self._own)))

    async def live(self, request: web.Request, query: RealtimeQuery) -> web.StreamResponse:
        """The city as it changes.

        Messages are `{type, data, timestamp}`. `vehicles` (as in `/api/vehicles/locations`), `emergencies` (as in
        `/api/emergencies/active`, with those that are resolved), `weather` (as in `/api/weather`) and `traffic` (as in
        `/api/traffic/live/{road_id}`) have lists of what changed within the last second; `city_analytics` (as
        `/api/analytics/city-summary`) comes every five seconds, and first of all. `types` names some of them, separated
        by commas. `{"type": "ping"}` is answered with a `pong`; whatever else a client says is not. A client that reads
        too slowly is cut with 1013, one whose token ended with 4401; a worker that stops closes with 1012.
        """
        wanted = _types(query.types)
        if not await self.channel.knows_within(_KNOWN_WITHIN_SECONDS):
            raise unavailable("Redis, which this worker has never heard,")

        async def attend(client: SocketClient) -> None:
            await client.put(message("connection", {"status": "connected"}))
            if self.channel.summary is not None and "city_analytics" in wanted:
                await client.put(message("city_analytics", self.channel.summary))
            self._wanted[client] = wanted

        def leave(client: SocketClient) -> None:
            self._wanted.pop(client, None)

        with ExitStack() as told:
            for kind, feed in self._documents.items():
                if kind in wanted:
                    told.enter_context(feed.wanted())
            return await self.clients.serve(request, attend, leave, _hear)

    def operations(self) -> list[Operation]:
        """What this view answers."""
        return [
            Operation(
                f"GET {self.clients.route}",
                self.live,
                Tag.LIVE,
                RealtimeMessage,
                errors=SOCKET_ERRORS,
                websocket=True,
            )
        ]

    def _gather(self, kind: RealtimeType, document: bytes) -> None:
        if not self._wanted:
            return
        try:
            key, shown = _SHOWN[kind](document)
        except MALFORMED as error:
            logger.warning("what is told of %s cannot be read: %s", kind, error)
            return
        if shown is not None:
            self._gathered.setdefault(kind, {})[key] = shown

    def _reckoned(self, told: CityTold) -> None:
        if not self._wanted:
            return
        roads: dict[str, RoadTraffic] = {road.road_id: road for road in told.roads}
        self._gathered.setdefault("traffic", {}).update(roads)
        self._send("city_analytics", told.summary)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(GATHERED_SECONDS)
            gathered, self._gathered = self._gathered, {}
            for kind, documents in gathered.items():
                shown = list(documents.values())
                for first in range(0, len(shown), _DOCUMENTS_PER_MESSAGE):
                    self._send(kind, shown[first : first + _DOCUMENTS_PER_MESSAGE])
                    await self._broadcaster.room()

    def _send(self, kind: RealtimeType, data: Any) -> None:
        listeners = [client for client, wanted in self._wanted.items() if kind in wanted]
        if listeners:
            self._broadcaster.send(message(kind, data), listeners)


async def _hear(client: SocketClient, said: str | bytes) -> None:
    try:
        kind = _decode_said(said).type
    except MALFORMED:
        return
    if kind == "ping":
        await client.put(message("pong", {}))


def _types(names: str | None) -> frozenset[str]:
    if names is None:
        return frozenset(TYPES)
    wanted = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := wanted - set(TYPES):
        raise ProblemError(400, f"there is no type {', '.join(sorted(unknown))}; there are {', '.join(TYPES)}")
    return wanted


def _emergency(document: bytes) -> tuple[str, Struct | None]:
    """An incident, if it is an emergency."""
    one = _decode_incident(document)
    if not one.is_emergency:
        return one.incident_id, None
    return one.incident_id, ActiveEmergency.of(one)


def _shown_as(shape: type[Struct], key: str) -> Callable[[bytes], tuple[str, Struct | None]]:
    decode = msgspec.json.Decoder(shape).decode

    def read(document: bytes) -> tuple[str, Struct | None]:
        one = decode(document)
        return getattr(one, key), one

    return read


#: What documents of feeds are told as.
_KINDS: Mapping[str, RealtimeType] = {
    POSITIONS.name: "vehicles",
    INCIDENT_STEPS.name: "emergencies",
    CURRENT_WEATHER.name: "weather",
}

#: Turns documents into what is shown of them, with their keys.
_SHOWN: Mapping[str, Callable[[bytes], tuple[str, Struct | None]]] = {
    "vehicles": _shown_as(VehicleLocation, "vehicle_id"),
    "emergencies": _emergency,
    "weather": _shown_as(CurrentWeather, "station"),
}
