"""Requests that documents tell people to type, asked of an application behind which everything is there."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.test_document_commands import Request, commands
from tests.web.administration.conftest import Call, call, migrated, tables
from tests.web.conftest import Worker

__all__ = ["call", "migrated", "tables"]

#: These ask for one thing by its name, which nobody told this application: 404 says so. All others are answered.
NOT_THERE = (
    *("/api/areas/", "/api/transit/stops/st-01/", "/api/transit/vehicles/bus-7", "/api/still-cameras/"),
    *("/api/incidents/inc-1/", "?camera_id=cam_01", "zone=Centro", "?key="),
)

#: Not asked here, and why.
NOT_ASKED = {
    "POST, PUT and DELETE": "they change something: the tests of their views send their like",
    "an address with a variable of the shell": "it comes from the answer of the command before it",
}


async def test_reading_requests_are_answered(history_worker: Worker, call: Call) -> None:
    asked = 0
    for told, arguments in commands("curl"):
        request = Request(arguments)
        if not request.is_ours or request.method != "GET" or "$" in request.url:
            continue
        address = urlsplit(request.url)
        path = f"{address.path}?{address.query}" if address.query else address.path
        async with history_worker.client.get(path, headers=request.headers) as answer:
            if any(part in path for part in NOT_THERE) and answer.status == 404:
                assert answer.content_type == "application/problem+json", told
                assert (await answer.json())["detail"], told
            else:
                assert answer.status < 400, f"{told}: {answer.status} {await answer.text()}"
        asked += 1
    assert asked > 30
