"""Views of the current state: ``/cameras``, ``/metrics/current``, ``/congestion/current``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, Meta, Struct

from models.cameras.registry import CameraSeen, encode_cameras
from models.cameras.window_rows import CameraWindow, WindowRow, encode_window_row
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.stores.redis.connection import CurrentState, camera_row_of, rows_of, with_lanes
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable
from web.serving.shapes import Name

MAX_CAMERAS = 10_000

_LOCAL = {"X-Data-Source": "local"}


def _local_rows(context: WebContext, camera_id: str | None = None) -> list[WindowRow]:
    """What this worker knows itself.

    Raises:
        ProblemError: nothing; another worker may know it, and so will Redis.
    """
    rows = [] if context.local_current is None else list(context.local_current(camera_id))
    if not rows:
        raise unavailable("Redis, which holds the current state,")
    return rows


def _camera_wide(rows: Iterable[WindowRow]) -> list[WindowRow]:
    return [row for row in rows if row.lane_id is None]


def _answer(body: bytes, *headers: dict[str, str]) -> web.Response:
    merged = {name: value for part in headers for name, value in part.items()}
    return json_answer(body, merged)


class CamerasQuery(Struct, frozen=True, kw_only=True):
    """Which cameras, in order of their ids; ``zone`` is the id or name of a zone."""

    zone: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_CAMERAS)] = MAX_CAMERAS
    cursor: str | None = None


class CurrentQuery(CamerasQuery, frozen=True, kw_only=True):
    """One camera, or which cameras; ``lanes`` asks for the rows of their lanes, too. One camera has them anyway."""

    # whatever a camera calls itself
    camera_id: Annotated[str, Meta(min_length=1, max_length=parameters.MAX_IDENTIFIER_CHARACTERS)] | None = None
    lanes: bool = False


class _Page:
    """The part of a list of cameras that a request asks for."""

    def __init__(self, request: web.Request, limit: int, among: frozenset[str] | None) -> None:
        self._request = request
        self._after = parameters.cursor(request, str)
        self._limit = limit
        self._among = among
        self.headers: dict[str, str] = {}

    def of(self, camera_ids: Sequence[str]) -> list[str]:
        """The page of ordered ids; sets the header that leads on."""
        rest = [
            camera_id
            for camera_id in camera_ids
            if (self._after is None or camera_id > self._after) and (self._among is None or camera_id in self._among)
        ]
        page = rest[: self._limit]
        if len(rest) > len(page):
            self.headers[hdrs.LINK] = parameters.next_link(self._request, page[-1])
        return page


async def _page(request: web.Request, query: CamerasQuery) -> _Page:
    return _Page(request, query.limit, await request.app[CONTEXT].registry.choose(query.zone))


async def cameras(request: web.Request, query: CamerasQuery) -> web.Response:
    """Every camera that reported."""
    context = request.app[CONTEXT]
    page = await _page(request, query)
    source: dict[str, str] = {}
    state = CurrentState(context.redis)
    in_two: dict[str, list[int]] = {}
    try:
        scores = dict(await from_redis(state.last_seen()))
        camera_ids = page.of(list(scores))
        in_two = await from_redis(state.in_two_partitions(camera_ids))
        seen = {camera_id: rfc3339(round(scores[camera_id] * MICROSECONDS_PER_SECOND)) for camera_id in camera_ids}
    except RedisAway:
        seen = {row.camera_id: row.window_end for row in _camera_wide(_local_rows(context))}
        camera_ids = page.of(sorted(seen))
        source = _LOCAL
    chosen = [CameraSeen(camera_id, seen[camera_id], in_two.get(camera_id, UNSET)) for camera_id in camera_ids]
    return _answer(encode_cameras(chosen), page.headers, source)


async def metrics_current(request: web.Request, query: CurrentQuery) -> web.Response:
    """The newest window of one camera or of every camera.

    With `camera_id` one object, the row of the whole camera with `lanes`; without it an array of camera-wide rows by
    camera_id, with `lanes=true` each followed by the rows of its lanes.
    """
    if query.camera_id is not None:
        return await _metrics_of(request.app[CONTEXT], query.camera_id)
    return await _newest_rows(request, query, lanes=query.lanes)


async def _metrics_of(context: WebContext, camera_id: str) -> web.Response:
    try:
        current = await from_redis(CurrentState(context.redis).camera(camera_id))
    except RedisAway:
        camera_row, *lanes = _in_order(_local_rows(context, camera_id))
        window = CameraWindow(*msgspec.structs.astuple(camera_row), lanes=lanes)
        return _answer(encode_window_row(window), _LOCAL)
    if current is None:
        raise ProblemError(404, f"no camera {camera_id!r} has reported")
    return _answer(with_lanes(current))


async def congestion_current(request: web.Request, query: CamerasQuery) -> web.Response:
    """How congested every camera is.

    The camera-wide row of the newest window of every camera, by camera_id.
    """
    return await _newest_rows(request, query, lanes=False)


async def _newest_rows(request: web.Request, query: CamerasQuery, *, lanes: bool) -> web.Response:
    context = request.app[CONTEXT]
    page = await _page(request, query)
    try:
        documents = await from_redis(_page_documents(context, page))
        rows = map(rows_of if lanes else camera_row_of, documents)
        return _answer(b"[" + b",".join(rows) + b"]", page.headers)
    except RedisAway:
        found = _page_rows(context, page)
        return _answer(encode_window_row(found if lanes else _camera_wide(found)), page.headers, _LOCAL)


async def _page_documents(context: WebContext, page: _Page) -> list[bytes]:
    state = CurrentState(context.redis)
    return await state.cameras(await _page_cameras(state, page))


async def _page_cameras(state: CurrentState, page: _Page) -> list[str]:
    return page.of([camera_id for camera_id, _ in await state.last_seen()])


def _page_rows(context: WebContext, page: _Page) -> list[WindowRow]:
    rows = _in_order(_local_rows(context))
    by_camera = {camera_id: list(group) for camera_id, group in groupby(rows, key=lambda row: row.camera_id)}
    return [row for camera_id in page.of(list(by_camera)) for row in by_camera[camera_id]]


def _in_order(rows: Iterable[WindowRow]) -> list[WindowRow]:
    """By camera, camera-wide before lanes."""
    return sorted(rows, key=lambda row: (row.camera_id, -1 if row.lane_id is None else row.lane_id))


_HEADERS = (
    NEXT_PAGE,
    ("X-Data-Source", "`local` while Redis is away: only what this worker knows itself"),
)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /cameras", cameras, Tag.CURRENT, list[CameraSeen], errors=(404, 503), headers=_HEADERS),
        Operation(
            "GET /metrics/current",
            metrics_current,
            Tag.CURRENT,
            CameraWindow | list[WindowRow],
            errors=(404, 503),
            headers=_HEADERS,
        ),
        Operation(
            "GET /congestion/current",
            congestion_current,
            Tag.CURRENT,
            list[WindowRow],
            errors=(404, 503),
            headers=_HEADERS,
        ),
    ]
