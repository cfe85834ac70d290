"""The documents say what is mounted, and are what their specifications demand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.web.conftest import Worker
from trafficapp.feeds.declared import FEEDS
from trafficapp.topics import (
    ALERTS,
    CITY_PARTITIONS,
    DEAD_LETTERS,
    EVENTS_RAW,
    METRICS,
    NOTIFICATIONS,
    PREDICTIONS,
    ROADS_RAW,
    ROUTE_UPDATES,
)
from web.auth.access import Access
from web.documents import views
from web.documents.openapi import plain_path
from web.serving.operations import OPERATIONS


async def document(worker: Worker, path: str) -> dict[str, Any]:
    response = await worker.client.get(path)
    assert (response.status, response.content_type) == (200, "application/json")
    body = await response.json()
    assert isinstance(body, dict)
    return body


async def test_openapi_is_valid_and_whole(worker: Worker) -> None:
    described = await document(worker, "/openapi.json")
    OpenAPIV31SpecValidator(described).validate()
    assert described["openapi"].startswith("3.1.")
    mounted = {
        (plain_path(operation.path), operation.method.lower())
        for operation in worker.client.app[OPERATIONS]
        if not operation.websocket
    }
    assert {(path, method) for path, item in described["paths"].items() for method in item} == mounted
    identifiers = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert len(set(identifiers)) == len(identifiers)


async def test_every_operation_says_how_it_may_fail(worker: Worker) -> None:
    described = await document(worker, "/openapi.json")
    for operation in worker.client.app[OPERATIONS]:
        if operation.websocket:
            continue
        told = described["paths"][plain_path(operation.path)][operation.method.lower()]
        statuses = set(told["responses"])
        assert {"414", "429"} <= statuses
        assert (operation.access is Access.OPEN) == ("401" not in statuses)
        assert operation.body_shape is None or {"400", "413", "422"} <= statuses
        expected = {Access.OPEN: [], Access.READ: [{}, {"bearer": []}, {"adminToken": []}]}
        assert told["security"] == expected.get(operation.access, [{"bearer": []}, {"adminToken": []}])


async def test_parameters_have_their_limits_and_no_null(worker: Worker) -> None:
    described = await document(worker, "/openapi.json")
    told = {parameter["name"]: parameter for parameter in described["paths"]["/metrics/history"]["get"]["parameters"]}
    assert told["camera_id"]["required"] is True
    assert told["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 10_000}
    assert {"type": "string", "format": "date-time"} in told["from"]["schema"]["anyOf"]
    assert "null" not in str([told, described["paths"]["/api/alerts/history"]["get"]["parameters"]])


async def test_what_docstrings_say_of_attributes_is_there(worker: Worker) -> None:
    described = await document(worker, "/openapi.json")
    row = described["components"]["schemas"]["WindowRow"]
    assert "Attributes" not in row["description"]
    assert "None when there is none" in row["properties"]["avg_speed_kmh"]["description"]


_needs_swagger = pytest.mark.skipif(
    not (Path(views.__file__).parents[1] / "dashboard/client/vendor/swagger-ui-bundle.js").is_file(),
    reason="Swagger UI is not here: `make setup-dev` fetches it",
)


@pytest.mark.parametrize(
    ("path", "pattern"), [("/docs", "text/html"), ("/docs/start.js", "javascript"), ("/docs/swagger-ui.css", "css")]
)
@_needs_swagger
async def test_the_page_to_read_and_try_asks_nobody_else(worker: Worker, path: str, pattern: str) -> None:
    response = await worker.client.get(path)
    assert response.status == 200
    assert pattern in response.content_type
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    text = await response.text()
    referred = re.findall(r"""(?:src|href)="([^"]+)""", text)
    assert all(other.startswith("/") for other in referred)
    for other in referred:
        assert (await worker.client.get(other)).status == 200
    assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", text)
    if path == "/docs/start.js":
        assert "validatorUrl: null" in text


#: Swagger UI came with DOMPurify 3.2.4 before.
_SAFE = (3, 4, 0)


@_needs_swagger
async def test_its_sanitizer_is_none_of_the_old_ones(worker: Worker) -> None:
    bundle = await (await worker.client.get("/docs/swagger-ui-bundle.js")).text()
    found = re.findall(r"DOMPurify\.version=\"(\d+)\.(\d+)\.(\d+)\"", bundle)
    assert found
    assert all(tuple(map(int, version)) >= _SAFE for version in found)


def test_without_its_files_the_page_says_what_to_run(tmp_path: Path) -> None:
    (page,) = views.routes(tmp_path)
    assert page.path == "/docs"


def resolve(described: dict[str, Any], reference: str) -> Any:
    node: Any = described
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


async def test_asyncapi_says_topics_and_sockets(worker: Worker) -> None:
    """There is no package with the schema of AsyncAPI 3; these are the rules of its specification that concern us."""
    described = await document(worker, "/asyncapi.json")
    assert described["asyncapi"] == "3.0.0"
    assert described["info"].keys() >= {"title", "version"}
    for reference in references(described):
        assert resolve(described, reference)
    sockets = {operation.path for operation in worker.client.app[OPERATIONS] if operation.websocket}
    addresses = {channel["address"]: channel for channel in described["channels"].values()}
    ours = {PREDICTIONS, ROUTE_UPDATES, NOTIFICATIONS}
    settings = worker.context.settings
    of_feeds = {feed.topic_in(settings) for feed in FEEDS if not feed.is_inner}
    assert {ROADS_RAW, PREDICTIONS, NOTIFICATIONS} <= of_feeds
    assert addresses.keys() == {EVENTS_RAW, METRICS, ALERTS, DEAD_LETTERS} | ours | of_feeds | sockets
    assert addresses[EVENTS_RAW]["messages"].keys() == {"Detection", "FlatDetection", "Frame"}
    for topic in ours:
        assert addresses[topic]["bindings"]["kafka"]["partitions"] == CITY_PARTITIONS
    assert all(re.fullmatch(r"[\w\-.]+", name) for name in [*described["channels"], *described["operations"]])
    for server in described["servers"].values():
        assert server.keys() >= {"host", "protocol"}
        assert "/" not in server["host"]
    for channel in addresses.values():
        assert channel["messages"]
        for message in channel["messages"].values():
            # the default dialect of a payload is close to draft 7
            jsonschema.Draft7Validator.check_schema(message["payload"])
            assert message["payload"] != {}, channel["address"]
    told = {operation["channel"]["$ref"]: operation["action"] for operation in described["operations"].values()}
    assert len(told) == len(addresses)
    assert told["#/channels/traffic_events_raw"] == "receive"
    assert told["#/channels/ws_metrics"] == "send"
