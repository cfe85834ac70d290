"""The registered cameras and zones as a worker has them in memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from redis.asyncio import Redis

from trafficapp.administration.registered import RegisteredCamera, RegisteredZone
from trafficapp.administration.zones import LonLat, places_inside
from trafficapp.stores.cameras.registry_queries import REGISTRY_CHANNEL, registered
from web.serving.database import Database
from web.serving.problems import ProblemError, unavailable
from web.sockets.subscription import Subscription, Tasks

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 30.0

#: How soon after a load a zone that is not known is worth another look.
LOOK_AGAIN_SECONDS = 1.0

_LOAD_WITHIN_SECONDS = 10.0
_FIRST_LOAD_WITHIN_SECONDS = 3.0
_RETRY_SECONDS = 2.0


#: A zone's ring, closed.
Ring: TypeAlias = tuple[LonLat, ...]


class Place(NamedTuple):
    """Where something is, WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What was registered at one moment."""

    cameras: Mapping[str, RegisteredCamera] = field(default_factory=dict)
    zones: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rings: Mapping[str, Ring] = field(default_factory=dict)
    registered_zones: tuple[RegisteredZone, ...] = ()


class Registry:
    """Keeps what is registered up to date, and what was last known while Postgres is away.

    Args:
        database: where it is registered.
        connect: makes the client that listens for changes, one that does not connect again by itself.
    """

    def __init__(self, database: Database, connect: Callable[[], Redis]) -> None:
        self._database = database
        self._subscription = Subscription(connect, REGISTRY_CHANNEL, self._note_change, self._note_change)
        self._known: _Known | None = None
        self._loaded_at = 0.0
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0
        self._changed = asyncio.Event()
        self._tasks = Tasks()

    # ------------------------------------------------------------------ asking

    @property
    def loaded(self) -> bool:
        """Whether it was ever read."""
        return self._known is not None

    @property
    def cameras(self) -> Mapping[str, RegisteredCamera]:
        """All registered cameras by their ids; none before the first load."""
        return {} if self._known is None else self._known.cameras

    @property
    def zones(self) -> tuple[RegisteredZone, ...]:
        """All registered zones; none before the first load."""
        return () if self._known is None else self._known.registered_zones

    def camera(self, camera_id: str) -> RegisteredCamera | None:
        """A camera, or None when it is not registered."""
        return self.cameras.get(camera_id)

    def place(self, camera_id: str) -> Place | None:
        """Where a camera is, or None when nobody said so."""
        camera = self.camera(camera_id)
        if camera is None or camera.latitude is None or camera.longitude is None:
            return None
        return Place(camera.latitude, camera.longitude)

    def segment(self, camera_id: str | None) -> str | None:
        """The road segment of a camera, or None when nobody said so."""
        camera = None if camera_id is None else self.camera(camera_id)
        return None if camera is None else camera.road_segment

    def cameras_in(self, zone: str) -> frozenset[str] | None:
        """The ids of the cameras in a zone, given by id or name; None when there is no such zone."""
        return None if self._known is None else self._known.zones.get(zone)

    async def choose(self, zone: str | None) -> frozenset[str] | None:
        """The cameras that a request asks for with ``zone=``; None for all.

        Raises:
            ProblemError: 404, there is no such zone; 503, Postgres was never there to ask.
        """
        if zone is None:
            return None
        return (await self._known_with(zone)).zones[zone]

    async def ring_of(self, zone: str) -> Ring:
        """The closed ring of a zone, given by id or name.

        Raises:
            ProblemError: 404, there is no such zone; 503, Postgres was never there to ask.
        """
        return (await self._known_with(zone)).rings[zone]

    async def _known_with(self, zone: str) -> _Known:
        await self.need()
        if self.cameras_in(zone) is None and time.monotonic() - self._loaded_at > LOOK_AGAIN_SECONDS:
            # another worker may have made it a moment ago
            await self.refresh()
        if self._known is None or zone not in self._known.zones:
            raise ProblemError(404, f"there is no zone {zone!r}")
        return self._known

    async def need(self) -> None:
        """Return once it was read.

        Raises:
            ProblemError: 503, Postgres does not answer.
        """
        if not self.loaded and not await self.refresh(_FIRST_LOAD_WITHIN_SECONDS):
            raise unavailable("Postgres, which holds the zones and cameras,")

    # ------------------------------------------------------------------ keeping up to date

    async def refresh(self, within_seconds: float = _LOAD_WITHIN_SECONDS) -> bool:
        """Read again what is registered; callers that wait at the same time share one reading.

        Returns:
            whether Postgres answered; what was known stays when not.
        """
        self._asked += 1
        number = self._asked
        async with self._lock:
            if self._answered >= number:
                return True
            covers = self._asked
            try:
                cameras, zones = await self._database.ask(registered, within_seconds)
            except ProblemError:
                return False
            self._known = await asyncio.to_thread(_known, cameras, zones)
            self._answered, self._loaded_at = covers, time.monotonic()
            return True

    def start(self) -> None:
        """Begin to keep it up to date."""
        self._tasks.start(self._keep_fresh(), self._subscription.run())

    async def stop(self) -> None:
        """Stop keeping it up to date."""
        await self._tasks.stop()

    async def _keep_fresh(self) -> None:
        while True:
            self._changed.clear()
            pause = REFRESH_SECONDS
            try:
                if not await self.refresh():
                    pause = _RETRY_SECONDS
            except Exception:
                logger.exception("the registry of cameras and zones cannot be read; what was known stays")
            # not asyncio.wait_for, which before Python 3.12 may lose a cancellation
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _note_change(self, *_: object) -> None:
        """Somebody told of a change, or may have done so while nobody listened."""
        self._changed.set()


def _known(cameras: list[RegisteredCamera], zones: list[RegisteredZone]) -> _Known:
    ids: list[str] = []
    places: list[tuple[float, float]] = []
    for camera in cameras:
        if camera.latitude is not None and camera.longitude is not None:
            ids.append(camera.camera_id)
            places.append((camera.longitude, camera.latitude))
    standing, names = np.array(places, dtype=float).reshape(-1, 2), np.array(ids, dtype=object)
    by_key: dict[str, frozenset[str]] = {}
    rings: dict[str, Ring] = {}
    for zone in zones:
        inside = frozenset(names[places_inside(zone.ring, standing)])
        by_key[zone.name] = inside
        by_key[str(zone.id)] = inside  # names are no numbers, so nothing is hidden
        rings[zone.name] = rings[str(zone.id)] = tuple(zone.ring)
    return _Known({camera.camera_id: camera for camera in cameras}, by_key, rings, tuple(zones))
