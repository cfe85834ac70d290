"""``/openapi.json``: OpenAPI 3.1, from the declarations that mount and validate the operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct

from models.described_schemas import Schema, prose
from models.problem import CONTENT_TYPE, Problem
from web.auth.access import Access
from web.serving.operations import Operation, Tag
from web.serving.schemas import Schemas

_TAGS = {
    Tag.CURRENT: "What cameras measure now.",
    Tag.HISTORY: "Finished windows, kept for weeks.",
    Tag.ALERTS: "What needs somebody's eyes: open, acknowledged, ended.",
    Tag.ANALYTICS: "Figures over long spans of time.",
    Tag.LIVE: "WebSockets are described in `/asyncapi.json`.",
    Tag.ADMINISTRATION: "Thresholds, zones, cameras, broadcasts. Every change is in the audit log.",
    Tag.OPERATION: "For those who run the application.",
}

_INTRODUCTION = """
Exact windows, alerts and live events of a city's traffic cameras. Times leave as RFC 3339 in UTC; spans are half-open,
`from <= time < to`. Long lists come in pages: the header `Link` leads to the next one. Unknown parameters and fields
are ignored. Every error is a problem document (RFC 9457).
"""

_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON web token whose role is viewer, operator or admin; or the administrator's static token.",
    },
    "adminToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Admin-Token",
        "description": "The administrator's static token; the header X-Admin-User names who it is.",
    },
}

_ROLE_NEEDED = {
    Access.OPEN: "",
    Access.READ: "",
    Access.OPERATE: "Needs the role operator.",
    Access.ADMINISTER: "Needs the role admin.",
}

_RATE_HEADERS = {
    "RateLimit-Limit": {"description": "Requests that may come at once.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Of those, how many now.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until all may come again.", "schema": {"type": "integer"}},
}

#: Headers of error answers, by status.
_ERROR_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to log in.", "required": True, "schema": {"type": "string"}}},
    429: {
        "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}},
        **_RATE_HEADERS,
    },
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}

_ERROR_TEXTS = {
    400: "A parameter does not fit, or the body is no JSON.",
    401: "No valid token came along.",
    403: "The token's role is too small.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is there.",
    413: "The body is too large.",
    414: "The query is too long.",
    415: "The body is not `application/json`.",
    421: "The name in `Host` is none of this worker's.",
    422: "The body has another shape, or asks for what cannot be.",
    429: "Too many requests of this client.",
    503: "A server behind this worker does not answer; try again.",
}


def describe(operations: Iterable[Operation], public_reads: bool) -> dict[str, Any]:
    """The document.

    Args:
        operations: as they are mounted; WebSockets are left out.
        public_reads: whether reads need no token here.
    """
    listed = [operation for operation in operations if not operation.websocket]
    schemas = Schemas([Problem, *_shapes(listed)])
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        item = paths.setdefault(plain_path(operation.path), {})
        item[operation.method.lower()] = _operation(operation, schemas, public_reads)
    used = {operation.tag for operation in listed}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "trafficapp",
            "version": version("trafficapp"),
            "description": prose(_INTRODUCTION),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": text} for tag, text in _TAGS.items() if tag in used],
        "paths": paths,
    }
    responses = {str(status): _problem(status, schemas) for status in sorted({*_ERROR_TEXTS})}
    components = {"responses": responses, "securitySchemes": _SECURITY_SCHEMES}
    return document | {"components": {"schemas": schemas.components([paths, responses]), **components}}


def plain_path(path: str) -> str:
    """A path without what aiohttp is told of its parts: ``{camera_id:.+}`` becomes ``{camera_id}``."""
    return re.sub(r"\{(\w+):[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", r"{\1}", path)


def beyond_schemas(operation: Operation) -> list[int]:
    """The statuses with which an operation may refuse what fits its schemas: spans that are empty, for example."""
    found = {400, 422} & set(operation.errors)
    fields = [] if operation.query_shape is None else msgspec.structs.fields(operation.query_shape)
    if any(field.encode_name == "cursor" or "Moment" in str(field.type) for field in fields):
        found.add(400)
    return sorted(found)


def statuses(operation: Operation) -> list[int]:
    """The errors that an operation may answer with, those of access, limits and shapes included."""
    found = {414, 421, 429, *operation.errors}
    if operation.method != "GET":
        found |= {403, 415}
    if operation.query_shape or operation.path_shape:
        found.add(400)
    if operation.body_shape:
        found |= {400, 408, 413, 422}
    if operation.access is not Access.OPEN:
        # 503: the server that publishes the keys of tokens is away
        found |= {401, 403, 503}
    return sorted(found)


def _shapes(operations: Sequence[Operation]) -> Iterable[Any]:
    for operation in operations:
        for part in (operation.path_shape, operation.query_shape, operation.body_shape, operation.answer):
            if part is not None:
                yield part


def _operation(operation: Operation, schemas: Schemas, public_reads: bool) -> Schema:
    words = re.findall(r"\w+", plain_path(operation.path))
    description = "\n\n".join(filter(None, [prose(operation.description), _ROLE_NEEDED[operation.access]]))
    described: Schema = {
        "operationId": "_".join([operation.method.lower(), *words]),
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": _security(operation.access, public_reads),
    }
    if description:
        described["description"] = description
    parameters = [
        *_parameters("path", operation.path_shape, schemas),
        *_parameters("query", operation.query_shape, schemas),
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body_shape is not None:
        required = bool(schemas.resolved(operation.body_shape).get("required"))
        content = {"application/json": {"schema": schemas.of(operation.body_shape)}}
        described["requestBody"] = {"required": required, "content": content}
    if beyond_schemas(operation):
        described["x-beyond-schemas"] = beyond_schemas(operation)
    errors = {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses(operation)}
    return described | {"responses": {str(operation.status): _answer(operation, schemas), **errors}}


def _security(access: Access, public_reads: bool) -> list[dict[str, list[str]]]:
    if access is Access.OPEN:
        return []
    anybody: list[dict[str, list[str]]] = [{}] if access is Access.READ and public_reads else []
    return [*anybody, {"bearer": []}, {"adminToken": []}]


def _parameters(place: str, shape: type[Struct] | None, schemas: Schemas) -> list[Schema]:
    if shape is None:
        return []
    resolved = schemas.resolved(shape)
    found = []
    for name, schema in resolved["properties"].items():
        plain = _without_null(schema)
        description = plain.pop("description", "")
        parameter: Schema = {"name": name, "in": place, "schema": plain}
        if place == "path" or name in resolved.get("required", ()):
            parameter["required"] = True
        if description:
            parameter["description"] = description
        found.append(parameter)
    return found


def _without_null(schema: Schema) -> Schema:
    """A parameter that is absent is not null: the schema of one that is there."""
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    kinds: list[Schema] = [kind for kind in kept.pop("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        return kept | kinds[0]
    return kept | {"anyOf": kinds} if kinds else kept


def _answer(operation: Operation, schemas: Schemas) -> Schema:
    answer: Schema = {"description": HTTPStatus(operation.status).phrase}
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in operation.headers}
    answer["headers"] = headers | _RATE_HEADERS
    if operation.answer is not None:
        answer["content"] = {operation.content_type: {"schema": schemas.of(operation.answer)}}
    elif operation.content_type.startswith("text/"):
        answer["content"] = {operation.content_type: {"schema": {"type": "string"}}}
    elif operation.status != HTTPStatus.NO_CONTENT:
        answer["content"] = {operation.content_type: {}}
    for other in operation.other_types:
        answer["content"][other] = {"schema": {"type": "string"}} if other.startswith("text/") else {}
    return answer


def _problem(status: int, schemas: Schemas) -> Schema:
    described: Schema = {"description": _ERROR_TEXTS.get(status, HTTPStatus(status).phrase)}
    if status in _ERROR_HEADERS:
        described["headers"] = _ERROR_HEADERS[status]
    return described | {"content": {CONTENT_TYPE: {"schema": schemas.of(Problem)}}}
