"""``/asyncapi.json``: AsyncAPI 3.0 of the Kafka topics and the WebSockets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from models.alerts import AlertEvent
from models.cameras.window_rows import FinishedWindow
from models.dead_letters import DeadLetter
from models.described_schemas import Schema, prose
from models.problem import Problem
from models.roads.route_updates import RouteUpdate
from trafficapp.cameras.incoming import CAMERA_DETECTIONS
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import Settings
from trafficapp.topics import (
    ALERTS,
    CITY_PARTITIONS,
    DEAD_LETTERS,
    METRICS,
    ROUTE_UPDATES,
)
from web.documents.openapi import plain_path
from web.serving.operations import Operation
from web.serving.schemas import Schemas

_RECEIVE, _SEND = "receive", "send"


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic as producers and consumers around us see it.

    Attributes:
        action: what this application does with it.
        key: what the record key is.
        messages: shapes of the value, any of them.
        partitions: None for those of the settings.
    """

    name: str
    action: str
    key: str
    summary: str
    messages: tuple[type, ...]
    partitions: int | None = None


#: Topics that are no feed by declaration.
_TOPICS = (
    _Topic(
        CAMERA_DETECTIONS.topic, _RECEIVE, CAMERA_DETECTIONS.key, CAMERA_DETECTIONS.summary, CAMERA_DETECTIONS.shapes
    ),
    _Topic(
        METRICS, _SEND, "camera_id", "Finished windows; the same one may come again, byte for byte.", (FinishedWindow,)
    ),
    _Topic(
        ALERTS,
        _SEND,
        "camera_id",
        "Steps in the lives of alerts; the largest revision of an id counts.",
        (AlertEvent,),
    ),
    _Topic(
        ROUTE_UPDATES,
        _SEND,
        "none",
        "That routes are found with new speeds from now on.",
        (RouteUpdate,),
        CITY_PARTITIONS,
    ),
    _Topic(DEAD_LETTERS, _SEND, "key of the refused record", "Records that were refused, with reasons.", (DeadLetter,)),
)


def _topic_of(feed: Feed[Any], settings: Settings) -> _Topic:
    """The topic of a feed, as it is declared."""
    action, key = (_SEND if feed.is_ours else _RECEIVE), ("any" if feed.takes_any_key else feed.key_name)
    return _Topic(feed.topic_in(settings), action, key, feed.summary, (feed.shape,), feed.partitions_in(settings))


def describe(operations: Iterable[Operation], settings: Settings, feeds: Iterable[Feed[Any]] = FEEDS) -> dict[str, Any]:
    """The document.

    Args:
        operations: as they are mounted; only WebSockets are described.
        settings: addresses and numbers of partitions.
        feeds: those that are switched on; what only this application reads is not described.
    """
    topics = [*_TOPICS, *(_topic_of(feed, settings) for feed in feeds if not feed.is_inner)]
    sockets = [operation for operation in operations if operation.websocket]
    shapes = [shape for topic in topics for shape in topic.messages]
    shapes += [part for socket in sockets for part in (socket.query_shape, socket.answer) if part is not None]
    schemas = Schemas([Problem, *shapes])
    channels: dict[str, Schema] = {}
    actions: dict[str, Schema] = {}
    for topic in topics:
        name = _identifier(topic.name)
        channels[name] = _topic_channel(topic, settings, schemas)
        actions[f"{topic.action}_{name}"] = _action(topic.action, name, topic.summary)
    for socket in sockets:
        name = _identifier(socket.path)
        channels[name] = _socket_channel(socket, schemas)
        actions[f"{_SEND}_{name}"] = _action(_SEND, name, socket.summary)
    brokers = _servers_for_others(settings)
    encrypted = settings.kafka.api_key is not None and settings.kafka.security_protocol == "SASL_SSL"
    security = {"protocol": "kafka-secure" if encrypted else "kafka"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "trafficapp",
            "version": version("trafficapp"),
            "description": "Topics and WebSockets. The HTTP part of the API is in `/openapi.json`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            **{f"kafka{number}": {"host": broker, **security} for number, broker in enumerate(brokers, 1)},
            "web": {"host": f"{settings.web.host}:{settings.web.port}", "protocol": "ws"},
        },
        "channels": channels,
        "operations": actions,
        "components": {"schemas": schemas.components(channels)},
    }


def _servers_for_others(settings: Settings) -> list[str]:
    return (settings.kafka.open_servers or settings.kafka.bootstrap_servers).split(",")


def _topic_channel(topic: _Topic, settings: Settings, schemas: Schemas) -> Schema:
    brokers = range(1, 1 + len(_servers_for_others(settings)))
    key = {"type": "string", "description": topic.key}
    return {
        "address": topic.name,
        "description": topic.summary,
        "servers": [{"$ref": f"#/servers/kafka{number}"} for number in brokers],
        "messages": {
            shape.__name__: {
                "name": shape.__name__,
                "contentType": "application/json",
                "payload": schemas.of(shape),
                "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
            }
            for shape in topic.messages
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions or settings.kafka.partitions,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _socket_channel(socket: Operation, schemas: Schemas) -> Schema:
    query: Schema = {"type": "object", "properties": {}}
    if socket.query_shape is not None:
        query["properties"] = schemas.resolved(socket.query_shape)["properties"]
    token = {"type": "string", "description": "A token; the protocols `bearer, TOKEN` do, too."}
    query["properties"] = {**query["properties"], "access_token": token}
    payload: Schema = {} if socket.answer is None else schemas.of(socket.answer)
    return {
        "address": plain_path(socket.path),
        "description": "\n\n".join(filter(None, [socket.summary, prose(socket.description)])),
        "servers": [{"$ref": "#/servers/web"}],
        "messages": {"message": {"contentType": "application/json", "payload": payload}},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _action(action: str, channel: str, summary: str) -> Schema:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _identifier(text: str) -> str:
    return "_".join(re.findall(r"\w+", text))
