"""The current state in Redis: names of its keys, and reading it.

====================================  =========================================================
``camera:{camera_id}:current``        JSON object: the newest window of the camera, its fields as
                                      in `models.cameras.window_rows`, and ``lanes``: an array of lane rows
``cameras:last_seen``                 sorted set: camera_id, scored by the end of its newest
                                      window in epoch seconds
``cameras:put``                       sorted set: camera_id, scored by when a row of its newest
                                      window was put last, by the server's clock in epoch seconds
``cameras:in_two_partitions``         sorted set: camera_id, scored by when its rows were last
                                      seen to come from several partitions, as above
``camera:{camera_id}:partitions``     hash, of a camera that came from another partition than
                                      before: see `trafficapp.stores.redis.live_script`; expires
``traffic:metrics``                   channel: JSON arrays of rows of newly finished windows
``cameras:forgotten``                 channel: JSON arrays of camera_ids that were forgotten
``sink:traffic.metrics:*``            bookkeeping of the sink that writes the above; its hash
                                      ``cameras`` has the partition of each camera
====================================  =========================================================

A camera is in all of them or in none: it is forgotten at once when nothing of it was put for ``windows.current_hours``.
Redis holds nothing that cannot be built again from Kafka, but for the events of the last minutes, the routes that were
asked for lately and cached answers, which are missed by nobody. docs/redis.md has all keys, and how they come back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from trafficapp.stores.redis.documents import those_in_json

LAST_SEEN_KEY = "cameras:last_seen"
PUT_KEY = "cameras:put"
IN_TWO_PARTITIONS_KEY = "cameras:in_two_partitions"
METRICS_CHANNEL = "traffic:metrics"
FORGOTTEN_CHANNEL = "cameras:forgotten"
WINDOW_OFFSETS_KEY = "sink:traffic.metrics"

#: A partition that told nothing new of a camera for this long tells nothing of it.
TELLS_SECONDS = 300.0

_KEYS_PER_COMMAND = 500

#: A page of a hash or sorted set as one text: many short answers cost the client a hundred times as much.
#: KEYS: its key. ARGV: HSCAN or ZSCAN, where to go on, about how many.
_SCAN = """
local key, command, position, about = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local go_on_at, pairs = unpack(redis.call(command, key, position, 'COUNT', about))
return {go_on_at, #pairs == 0 and '[]' or cjson.encode(pairs)}
"""
_PAIRS_PER_PAGE = 1000

_decode_texts = msgspec.json.Decoder(list[str]).decode

#: Where the lane rows begin in a document of `current_key`.
LANES_MARK = b',"lanes":['

#: What a client call may raise when the server is away, starting or shutting down.
UNAVAILABLE = (RedisError, OSError, TimeoutError)


def current_key(camera_id: str) -> str:
    """Key of a camera's newest window."""
    return f"camera:{camera_id}:current"


def partitions_key(camera_id: str) -> str:
    """Key of the partitions that rows of a camera came from, when there were several."""
    return f"camera:{camera_id}:partitions"


def connect(url: str, retries: int = 1) -> Redis:
    """A client that fails quickly and leaves waiting to its caller. Connects at its first command.

    Args:
        url: ``redis://host:port/db``.
        retries: a pooled connection may be left over from before a restart of the server, so one retry is
            right for commands. A subscription wants none: it would connect again without a word about
            the messages that it missed.
    """
    client: Redis = Redis.from_url(
        url,
        protocol=2,
        socket_connect_timeout=1.0,
        socket_timeout=5.0,
        health_check_interval=15,
        retry=Retry(NoBackoff(), retries),
    )
    return client


def is_outage(error: Exception) -> bool:
    """Whether waiting may help: the server is away, loading, read-only or out of memory for now."""
    if isinstance(error, ResponseError):
        return str(error).split(" ", 1)[0] in (
            "LOADING",
            "READONLY",
            "MASTERDOWN",
            "OOM",
            "BUSY",
            "MISCONF",
            "TRYAGAIN",
        )
    return isinstance(error, RedisConnectionError | OSError | TimeoutError | RedisError)


def document(camera_row: bytes, lane_rows: Sequence[bytes]) -> bytes:
    """Splice JSON rows of one window into the object kept under `current_key`; nothing is decoded."""
    return b"".join((camera_row[:-1], LANES_MARK, b",".join(lane_rows), b"]}"))


def rows_of(current: bytes) -> bytes:
    """The rows of a `document`, camera-wide first, joined by commas: the inside of a JSON array."""
    # A quote inside a JSON string is escaped, so the mark cannot stand within a camera_id.
    head, mark, tail = current.rpartition(LANES_MARK)
    if not mark:
        return current
    lanes = tail[:-2]
    return head + b"}," + lanes if lanes else head + b"}"


def camera_row_of(current: bytes) -> bytes:
    """The camera-wide row of a `document`."""
    head, mark, _ = current.rpartition(LANES_MARK)
    return head + b"}" if mark else current


def with_lanes(current: bytes) -> bytes:
    """A `document` whose array of lanes is there, if empty."""
    return current if LANES_MARK in current else current[:-1] + LANES_MARK + b"]}"


async def scan_pairs(
    client: Redis, command: Literal["HSCAN", "ZSCAN"], key: str
) -> AsyncIterator[list[tuple[str, str]]]:
    """A hash or sorted set with members that are UTF-8, page by page: none holds the server or us for long.

    What is there all the time comes at least once, what comes or goes meanwhile may come.
    """
    page_of, cursor = client.register_script(_SCAN), b"0"
    while True:
        cursor, page = await page_of(keys=[key], args=[command, cursor, _PAIRS_PER_PAGE])
        flat = _decode_texts(page)
        yield list(zip(flat[::2], flat[1::2], strict=True))
        if cursor == b"0":
            return


class CurrentState:
    """Reads the current state.

    Every method raises one of `UNAVAILABLE` when Redis is away.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client

    async def camera(self, camera_id: str) -> bytes | None:
        """The document of one camera, or None when it never reported."""
        value: Any = await self.client.get(current_key(camera_id))
        found = those_in_json([] if value is None else [bytes(value)], "cameras")
        return found[0] if found else None

    async def cameras(self, camera_ids: Sequence[str]) -> list[bytes]:
        """The documents of cameras, in the order asked for; one that never reported is left out.

        So is what is no JSON.
        """
        return [document async for piece in self.pieces(camera_ids) for document in piece]

    async def pieces(self, camera_ids: Sequence[str]) -> AsyncIterator[list[bytes]]:
        """The same a few at a time, so that others get their turn while there is something done with them."""
        for first in range(0, len(camera_ids), _KEYS_PER_COMMAND):
            keys: list[Any] = [current_key(camera_id) for camera_id in camera_ids[first : first + _KEYS_PER_COMMAND]]
            values: Any = await self.client.mget(keys)
            yield those_in_json([value for value in values if value is not None], "cameras")

    async def last_seen(self) -> list[tuple[str, float]]:
        """Each camera_id with the end of its newest window in epoch seconds, ordered by camera_id."""
        seen: dict[str, float] = {}
        async for pairs in scan_pairs(self.client, "ZSCAN", LAST_SEEN_KEY):
            seen.update((camera_id, float(score)) for camera_id, score in pairs)
        return sorted(seen.items())

    async def in_two_partitions(self, among: Iterable[str]) -> dict[str, list[int]]:
        """Cameras whose rows keep coming from more than one partition, with those partitions in order."""
        noticed: set[str] = set()
        async for pairs in scan_pairs(self.client, "ZSCAN", IN_TWO_PARTITIONS_KEY):
            noticed.update(camera_id for camera_id, _ in pairs)
        chosen = [camera_id for camera_id in among if camera_id in noticed] if noticed else []
        found: dict[str, list[int]] = {}
        for first in range(0, len(chosen), _KEYS_PER_COMMAND):
            piece = chosen[first : first + _KEYS_PER_COMMAND]
            pipeline = self.client.pipeline(transaction=False)
            for camera_id in piece:
                pipeline.hgetall(partitions_key(camera_id))
            for camera_id, fields in zip(piece, await pipeline.execute(), strict=True):
                if len(partitions := _telling(fields)) > 1:
                    found[camera_id] = partitions
        return found

    async def put_at(self) -> float | None:
        """When a newer window was put last, in epoch seconds by the server's clock; None before the first."""
        value: Any = await self.client.hget(WINDOW_OFFSETS_KEY, "put_at")
        return None if value is None else float(value)

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.client.ping()


def _telling(fields: dict[bytes, bytes]) -> list[int]:
    """The partitions that still tell something, from a hash of `partitions_key`."""
    told = {int(name[2:]): float(at) for name, at in fields.items() if name.startswith(b"t:")}
    newest = max(told.values(), default=0.0)
    return sorted(partition for partition, at in told.items() if at >= newest - TELLS_SECONDS)
