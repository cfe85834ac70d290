"""``GET /api/still-cameras/{camera_id}/snapshot``: the newest picture of a still camera."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.still_cameras.messages import StillSnapshot
from trafficapp.feeds.decoder import LONGEST_KEY
from trafficapp.still_cameras.feeds import STILL_SNAPSHOTS
from trafficapp.still_cameras.snapshots import type_of
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable
from web.serving.context import CONTEXT
from web.serving.from_redis import RedisAway, from_redis
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError, unavailable

_decode = msgspec.json.Decoder(StillSnapshot).decode

#: Beside ``nosniff``, which every answer has: opened by itself, a picture may run and load nothing.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cross-Origin-Resource-Policy": "same-origin"}

_OBSERVED = ("X-Observed-At", "when it was taken, by the clock of the camera, RFC 3339")
_RECEIVED = ("X-Received-At", "when it came, by the clock of the broker, RFC 3339")


class CameraPath(Struct, frozen=True, kw_only=True):
    """Which camera."""

    camera_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]


async def snapshot(request: web.Request, path: CameraPath) -> web.Response:
    """The newest picture of a still camera.

    JPEG, PNG or WebP, whatever the camera calls it: the type is that of its first bytes, and nothing else is ever
    served. A picture is there for an hour after it came. 404 says that there is none: the camera sends none, or an
    address or a text in its place; see `snapshot_kind` in `GET /api/still-cameras`.
    """
    documents = CurrentDocuments(request.app[CONTEXT].redis, STILL_SNAPSHOTS)
    try:
        found = await from_redis(documents.documents([path.camera_id]))
    except RedisAway:
        raise unavailable("Redis, which holds pictures of still cameras,") from None
    pictures = readable(found, _decode, STILL_SNAPSHOTS.name)
    if not pictures:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no picture of {path.camera_id!r} of the last hour")
    picture = pictures[0]
    content_type = type_of(picture.picture)
    if content_type is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"what {path.camera_id!r} sent is no JPEG, PNG or WebP")
    moments = {_OBSERVED[0]: picture.timestamp, _RECEIVED[0]: picture.received_at}
    return web.Response(body=picture.picture, content_type=content_type, headers=_HEADERS | moments)


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/still-cameras/{camera_id}/snapshot",
            snapshot,
            Tag.CURRENT,
            content_type="image/*",
            errors=(404, 503),
            headers=(_OBSERVED, _RECEIVED),
        )
    ]
