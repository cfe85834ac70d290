"""``/api/alarms/shelves``: alarms that operators need not be told of for a while, and why."""

from __future__ import annotations

import uuid
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.alarms import NewShelf, Shelf
from trafficapp.stores.alarms import shelves as stored
from trafficapp.stores.alarms.alarms import city_alert_end
from trafficapp.stores.alerts.queries import alert as stored_alert
from trafficapp.stores.alerts.writes import is_known
from web.alerts.actions import told_name
from web.alerts.views import live_alert, unknown_alert
from web.auth.access import Access
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.writing import NOBODY, Write, write

PATH = "/api/alarms/shelves"

_encode = msgspec.json.Encoder().encode


class ShelfPath(Struct, frozen=True):
    """Which shelf."""

    id: Annotated[int, Meta(ge=1, le=parameters.LARGEST_ID)]


class ShelvesQuery(Struct, frozen=True, kw_only=True):
    """Which shelves, the newest first.

    Attributes:
        ended: those that have ended as well; else only those in force.
    """

    ended: bool = False
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    cursor: str | None = None


async def shelves(request: web.Request, query: ShelvesQuery) -> web.Response:
    """What is shelved, by whom, why and until when."""
    cursor = parameters.cursor(request, parameters.IdCursor)
    before = parameters.LARGEST_ID if cursor is None else cursor.id
    found = await request.app[CONTEXT].database.ask(
        lambda pool: stored.shelves(pool, before, query.limit + 1, with_ended=query.ended)
    )
    shown, headers = parameters.page(request, found, query.limit, lambda one: parameters.IdCursor(one.id))
    return json_answer(_encode(shown), headers)


async def shelve(request: web.Request, body: NewShelf) -> web.Response:
    """Shelve an alarm.

    Either one open alert by `alert_id`, or what a `rule` raises of a `source`: a camera, a road, the cameras that
    stand in a zone now, or a `subject` of alerts of the city's other feeds (a vehicle, a station, a stop). `timed` for
    so many `minutes`; `one_shot` until the alarm that stands, else the next one, is over, for `minutes` at most. Needs
    a reason. While it is shelved, an alarm raises no toast and no notification; it goes on working beneath, is stored,
    listed and marked as `withheld`. A shelf ends by itself, or is released. Kept is the name that is told (`admin_id`,
    else the header `X-Admin-User`, else the caller's) and who was authenticated.
    """
    context = request.app[CONTEXT]
    longest = timedelta(hours=context.settings.alarms.most_shelf_hours)
    _check(body, longest)
    named = told_name(request, body.admin_id)
    cameras = await _cameras_in(context, body)
    live = None if body.alert_id is None else await live_alert(context, _id(body.alert_id))

    async def change(under_way: Write) -> Shelf:
        connection = under_way.connection
        if body.alert_id is not None:
            alert_id = _id(body.alert_id)
            alert = await stored_alert(connection, alert_id) or live or await city_alert_end(connection, alert_id)
            if alert is None:
                raise unknown_alert(alert_id)
            if alert.resolved_at is not None:
                raise ProblemError(HTTPStatus.CONFLICT, f"alert {alert_id} ended at {alert.resolved_at}")
        elif body.source_kind == "camera" and not await is_known(connection, body.source or ""):
            raise _wrong(f"there is no camera {body.source!r}")
        if await stored.in_force(connection) >= stored.MOST_SHELVES:
            detail = f"{stored.MOST_SHELVES} shelves are in force; release some, or mend what raises so many alarms"
            raise ProblemError(HTTPStatus.CONFLICT, detail)
        by = named or under_way.actor.name, under_way.actor.caller or NOBODY
        shelf = await stored.shelve(connection, body, cameras, by, longest)
        await under_way.audit("alarms.shelve", f"shelf {shelf.id}", after=shelf)
        return shelf

    written = await write(request, change)
    headers = written.headers | {hdrs.LOCATION: f"{PATH}/{written.result.id}"}
    return json_answer(_encode(written.result), headers, HTTPStatus.CREATED)


async def one(request: web.Request, path: ShelfPath) -> web.Response:
    """A shelf, in force or not."""
    found = await request.app[CONTEXT].database.ask(lambda pool: stored.shelves(pool, path.id + 1, 1, with_ended=True))
    if not found or found[0].id != path.id:
        raise _unknown(path.id)
    return json_answer(_encode(found[0]))


async def release(request: web.Request, path: ShelfPath) -> web.Response:
    """Take an alarm off its shelf before its time."""
    named = told_name(request, None)

    async def change(under_way: Write) -> None:
        before = await stored.locked_shelf(under_way.connection, path.id)
        if before is None:
            raise _unknown(path.id)
        if before.ended_at is not None:
            raise ProblemError(HTTPStatus.CONFLICT, f"shelf {path.id} {before.ended_because} at {before.ended_at}")
        after = await stored.release(under_way.connection, path.id, named or under_way.actor.name)
        await under_way.audit("alarms.release", f"shelf {path.id}", before, after)

    written = await write(request, change)
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=written.headers)


def _check(body: NewShelf, longest: timedelta) -> None:
    """What the fields say together.

    Raises:
        ProblemError: 422, they contradict each other.
    """
    of_rule = (body.rule, body.source_kind, body.source)
    if (body.alert_id is None) == (of_rule == (None, None, None)) or (body.alert_id is None and None in of_rule):
        raise _wrong("name either alert_id, or rule, source_kind and source")
    if body.alert_id is not None:
        _id(body.alert_id)
    if body.kind == "timed" and body.minutes is None:
        raise _wrong("a timed shelf needs minutes")
    if body.minutes is not None and timedelta(minutes=body.minutes) > longest:
        most = f"{longest.total_seconds() / 60:g}"
        raise _wrong(f"minutes must be at most {most} (the setting alarms.most_shelf_hours)")


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _wrong(f"alert_id {text!r} is no id of an alert") from None


async def _cameras_in(context: WebContext, body: NewShelf) -> list[str] | None:
    if body.source_kind != "zone":
        return None
    try:
        chosen = await context.registry.choose(body.source)
    except ProblemError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise _wrong(error.detail) from None
        raise
    return sorted(chosen or ())


def _wrong(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _unknown(shelf_id: int) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"there is no shelf {shelf_id}")


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(f"GET {PATH}", shelves, Tag.ALERTS, list[Shelf], errors=(400, 503), headers=(NEXT_PAGE,)),
        Operation(
            f"POST {PATH}",
            shelve,
            Tag.ALERTS,
            Shelf,
            access=Access.OPERATE,
            status=HTTPStatus.CREATED,
            errors=(400, 404, 409, 422, 503),
            headers=((hdrs.LOCATION, "the shelf"),),
        ),
        Operation(f"GET {PATH}/{{id}}", one, Tag.ALERTS, Shelf, errors=(404, 503)),
        Operation(
            f"DELETE {PATH}/{{id}}",
            release,
            Tag.ALERTS,
            access=Access.OPERATE,
            status=HTTPStatus.NO_CONTENT,
            errors=(400, 404, 409, 503),
        ),
    ]
