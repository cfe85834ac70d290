"""``/api/admin/cameras``: the camera registry."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, Meta, Struct

from models.administration import Camera, CameraChange, NewCamera
from trafficapp.cameras.calibration import Unstorable, check_calibration
from trafficapp.stores import camera_queries
from web import parameters
from web.access import Access
from web.administration.answers import PAGE_HEADERS, WRITE_HEADERS, answer, page
from web.context import CONTEXT
from web.operations import Operation, Tag
from web.problems import ProblemError
from web.shapes import Name
from web.writing import Write, write

PATH = "/api/admin/cameras"

#: A camera_id may hold any character; a slash comes percent-encoded.
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
    """``GET /api/admin/cameras``."""
    context = request.app[CONTEXT]
    after = parameters.cursor(request, Name) or ""
    among = await context.registry.choose(query.zone)
    found = await context.database.ask(
        lambda pool: camera_queries.cameras_page(pool, query.limit + 1, after, registered=query.registered, among=among)
    )
    shown, headers = page(request, found, query.limit, lambda camera: camera.camera_id)
    return answer(shown, headers)


async def one(request: web.Request, path: CameraPath) -> web.Response:
    """``GET /api/admin/cameras/{camera_id}``."""
    camera = await request.app[CONTEXT].database.ask(lambda pool: camera_queries.camera(pool, path.camera_id))
    if camera is None:
        raise _unknown(path.camera_id)
    return answer(camera)


async def create(request: web.Request, body: NewCamera) -> web.Response:
    """``POST /api/admin/cameras``."""
    wanted = _checked(
        Camera(
            camera_id=body.camera_id,
            name=body.name or body.camera_id,
            latitude=body.latitude,
            longitude=body.longitude,
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
    """``PUT /api/admin/cameras/{camera_id}``."""

    async def change(under_way: Write) -> Camera:
        before = await camera_queries.camera(under_way.connection, path.camera_id, for_update=True)
        if before is None:
            raise _unknown(path.camera_id)
        camera = await camera_queries.update_camera(under_way.connection, _checked(_changed(before, body)))
        under_way.changes_registry = True
        await under_way.audit("cameras.update", f"camera {path.camera_id}", before, camera)
        return camera

    written = await write(request, change)
    return answer(written.result, written.headers)


async def delete(request: web.Request, path: CameraPath) -> web.Response:
    """``DELETE /api/admin/cameras/{camera_id}``."""

    async def change(under_way: Write) -> None:
        before = await camera_queries.camera(under_way.connection, path.camera_id, for_update=True)
        if before is None:
            raise _unknown(path.camera_id)
        await camera_queries.unregister_camera(under_way.connection, path.camera_id)
        under_way.changes_registry = True
        await under_way.audit("cameras.delete", f"camera {path.camera_id}", before)

    written = await write(request, change)
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=written.headers)


def _changed(before: Camera, body: CameraChange) -> Camera:
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if "name" in given and given["name"] is None:
        given["name"] = before.camera_id  # a name makes a camera registered
    return msgspec.structs.replace(before, **given)


def _checked(camera: Camera) -> Camera:
    """A camera as it can be stored.

    Raises:
        ProblemError: 422, it cannot.
    """
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
        Operation(
            method="GET",
            path=PATH,
            view=cameras,
            summary="All registered cameras",
            tag=Tag.ADMINISTRATION,
            access=Access.ADMINISTER,
            query_shape=CamerasQuery,
            answer=list[Camera],
            errors=(404, 503),
            headers=PAGE_HEADERS,
        ),
        Operation(
            method="POST",
            path=PATH,
            view=create,
            summary="Register a camera",
            tag=Tag.ADMINISTRATION,
            access=Access.ADMINISTER,
            body_shape=NewCamera,
            answer=Camera,
            status=HTTPStatus.CREATED,
            errors=(409, 422, 503),
            headers=(("Location", "Where the camera is."), *WRITE_HEADERS),
        ),
        Operation(
            method="GET",
            path=_ONE_PATH,
            view=one,
            summary="A registered camera",
            tag=Tag.ADMINISTRATION,
            access=Access.ADMINISTER,
            path_shape=CameraPath,
            answer=Camera,
            errors=(404, 503),
        ),
        Operation(
            method="PUT",
            path=_ONE_PATH,
            view=replace,
            summary="Change a registered camera",
            tag=Tag.ADMINISTRATION,
            access=Access.ADMINISTER,
            description="What is left out stays as it is; null clears it.",
            path_shape=CameraPath,
            body_shape=CameraChange,
            answer=Camera,
            errors=(404, 422, 503),
            headers=WRITE_HEADERS,
        ),
        Operation(
            method="DELETE",
            path=_ONE_PATH,
            view=delete,
            summary="Take a camera out of the registry",
            tag=Tag.ADMINISTRATION,
            access=Access.ADMINISTER,
            description="What it reports is still counted.",
            path_shape=CameraPath,
            status=HTTPStatus.NO_CONTENT,
            errors=(404, 503),
            headers=WRITE_HEADERS,
        ),
    ]
