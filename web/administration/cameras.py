"""``/api/admin/cameras``: the camera registry."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, Meta, Struct

from models.administration.changes import Camera, CameraChange, NewCameraBody
from models.plain_text import hidden_in
from trafficapp.cameras.calibration import Unstorable, check_calibration
from trafficapp.stores.cameras import registry as camera_queries
from web.administration.answers import PAGE_HEADERS, WRITE_HEADERS, administered, answer, creating
from web.serving import parameters
from web.serving.context import CONTEXT
from web.serving.operations import Operation
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.writing import Write, write

PATH = "/api/admin/cameras"

#: A camera_id may hold any character; a slash comes percent-encoded.
_LONGEST_ID = 256

_ONE_PATH = PATH + "/{camera_id:[^/]+}"


class CameraPath(Struct, frozen=True):
    """Which camera."""

    camera_id: Annotated[str, Meta(min_length=1)]


class CamerasQuery(Struct, frozen=True):
    """Which cameras, in order of their ids; with ``registered=false`` those that only reported."""

    registered: bool = True
    zone: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    cursor: str | None = None


async def cameras(request: web.Request, query: CamerasQuery) -> web.Response:
    """All registered cameras."""
    context = request.app[CONTEXT]
    after = parameters.cursor(request, Name) or ""
    among = await context.registry.choose(query.zone)
    found = await context.reserved.ask(
        lambda pool: camera_queries.cameras_page(pool, query.limit + 1, after, registered=query.registered, among=among)
    )
    shown, headers = parameters.page(request, found, query.limit, lambda camera: camera.camera_id)
    return answer(shown, headers)


async def one(request: web.Request, path: CameraPath) -> web.Response:
    """A registered camera."""
    camera = await request.app[CONTEXT].reserved.ask(lambda pool: camera_queries.camera(pool, path.camera_id))
    if camera is None:
        raise _unknown(path.camera_id)
    return answer(camera)


async def create(request: web.Request, body: NewCameraBody) -> web.Response:
    """Register a camera."""
    wanted = _checked(
        Camera(
            camera_id=body.camera_id,
            name=body.name or body.camera_id,
            latitude=_one_of({"latitude": body.latitude, "lat": body.lat}, None),
            longitude=_one_of({"longitude": body.longitude, "lng": body.lng, "lon": body.lon}, None),
            road_segment=body.road_segment,
            description=body.description,
            calibration=body.calibration,
            registered=True,
            last_seen=None,
        )
    )

    async def change(under_way: Write) -> Camera:
        camera = await camera_queries.register_camera(under_way.connection, wanted)
        if camera is None:
            raise ProblemError(HTTPStatus.CONFLICT, f"a camera {body.camera_id!r} is registered already")
        under_way.changes_registry = True
        await under_way.audit("cameras.create", f"camera {body.camera_id}", after=camera)
        return camera

    written = await write(request, change)
    location = f"{PATH}/{quote(body.camera_id, safe='')}"
    return answer(written.result, written.headers | {hdrs.LOCATION: location}, HTTPStatus.CREATED)


async def replace(request: web.Request, path: CameraPath, body: CameraChange) -> web.Response:
    """Change a registered camera, or register one.

    What is left out stays as it is; null clears it. A camera that is not registered is: 201.
    """
    new = _changed(_bare(path.camera_id), body)

    async def change(under_way: Write) -> tuple[Camera, bool]:
        connection = under_way.connection
        before = await camera_queries.camera(connection, path.camera_id, for_update=True)
        camera = None if before is not None else await camera_queries.register_camera(connection, _checked(new))
        is_new = camera is not None
        if camera is None:
            # it is there, perhaps since a moment ago
            before = before or await camera_queries.camera(connection, path.camera_id, for_update=True)
            if before is None:
                raise ProblemError(HTTPStatus.CONFLICT, f"camera {path.camera_id!r} is changed by others just now")
            camera = await camera_queries.update_camera(connection, _checked(_changed(before, body)))
        under_way.changes_registry = True
        action = "cameras.create" if is_new else "cameras.update"
        await under_way.audit(action, f"camera {path.camera_id}", before, camera)
        return camera, is_new

    written = await write(request, change)
    camera, is_new = written.result
    if not is_new:
        return answer(camera, written.headers)
    location = f"{PATH}/{quote(path.camera_id, safe='')}"
    return answer(camera, written.headers | {hdrs.LOCATION: location}, HTTPStatus.CREATED)


async def delete(request: web.Request, path: CameraPath) -> web.Response:
    """Take a camera out of the registry.

    What it reports is still counted.
    """

    async def change(under_way: Write) -> None:
        before = await camera_queries.camera(under_way.connection, path.camera_id, for_update=True)
        if before is None:
            raise _unknown(path.camera_id)
        await camera_queries.unregister_camera(under_way.connection, path.camera_id)
        under_way.changes_registry = True
        await under_way.audit("cameras.delete", f"camera {path.camera_id}", before)

    written = await write(request, change)
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=written.headers)


def _bare(camera_id: str) -> Camera:
    """A camera of which nothing but its id is known."""
    return Camera(
        camera_id=camera_id,
        name=camera_id,
        latitude=None,
        longitude=None,
        road_segment=None,
        description=None,
        calibration=None,
        registered=True,
        last_seen=None,
    )


def _one_of(given: Mapping[str, Any], absent: object) -> Any:
    """The one value that several names may give; ``absent`` when none does.

    Raises:
        ProblemError: 422, they give different ones.
    """
    values = {name: value for name, value in given.items() if value is not absent}
    if len(set(values.values())) > 1:
        detail = f"{' and '.join(values)} mean the same and may not differ"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return next(iter(values.values()), absent)


def _changed(before: Camera, body: CameraChange) -> Camera:
    said = {name: getattr(body, name) for name in body.__struct_fields__ if name not in ("lat", "lng", "lon")}
    said["latitude"] = _one_of({"latitude": body.latitude, "lat": body.lat}, UNSET)
    said["longitude"] = _one_of({"longitude": body.longitude, "lng": body.lng, "lon": body.lon}, UNSET)
    given = {name: value for name, value in said.items() if value is not UNSET}
    if "name" in given and given["name"] is None:
        given["name"] = before.camera_id  # a name makes a camera registered
    return msgspec.structs.replace(before, **given)


def _checked(camera: Camera) -> Camera:
    """A camera as it can be stored.

    Raises:
        ProblemError: 422, it cannot.
    """
    if len(camera.camera_id) > _LONGEST_ID or hidden_in(camera.camera_id) is not None:
        detail = f"camera_id must have 1 to {_LONGEST_ID} characters, none of them hidden, such as line ends"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    if camera.camera_id in (".", ".."):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "camera_id . and .. have no address of their own")
    if (camera.latitude is None) != (camera.longitude is None):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "latitude and longitude belong together")
    try:
        check_calibration(camera.calibration)
    except Unstorable as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    return camera


def _unknown(camera_id: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"no camera {camera_id!r} is registered")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        administered(f"GET {PATH}", cameras, answer=list[Camera], errors=(404, 503), headers=PAGE_HEADERS),
        creating(f"POST {PATH}", create, Camera, "camera"),
        administered(f"GET {_ONE_PATH}", one, answer=Camera, errors=(404, 503)),
        administered(f"PUT {_ONE_PATH}", replace, answer=Camera, errors=(409, 422, 503), headers=WRITE_HEADERS),
        administered(
            f"DELETE {_ONE_PATH}", delete, status=HTTPStatus.NO_CONTENT, errors=(404, 503), headers=WRITE_HEADERS
        ),
    ]
