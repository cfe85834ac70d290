"""A road is closed and opened by its feed; workers on real servers follow within a round."""

from __future__ import annotations

import json
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from models.roads.notifications import decode_notification
from models.roads.predictions import decode_prediction
from models.timestamps import rfc3339
from tests.agents.test_alerts import worker
from tests.roads.feed_messages import line_of
from tests.sources.here_server import flow, result
from tests.verification.log import read_log
from tests.web.roads.test_closed_roads import DESTINATION, EDGE, NAME, ORIGIN, ends, quickest
from tests.web.roads.test_routes import GRAPH
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.sources.delivery import Delivery
from trafficapp.sources.here import HereFlow
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import NOTIFICATIONS, PREDICTIONS, ROADS_RAW, declared_topics

WAY = [str(GRAPH.edge_ids[edge]) for edge in quickest()]
OTHERS = [name for name in WAY if name != NAME]


def asked(port: int, path: str, question: object = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        None if question is None else json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        body = answer.read()
        return json.loads(body) if answer.headers.get_content_type() == "application/json" else body.decode()


def until(holds: Callable[[], Any], folder: Path, seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except (urllib.error.URLError, OSError):
            pass
        if time.monotonic() > deadline:
            logs = [log.read_text(errors="replace")[-4000:] for log in folder.rglob("worker.log")]
            raise AssertionError("\n\n".join(logs))
        time.sleep(0.1)


def here_round(settings: Settings, reader: HereFlow, results: Iterable[Any]) -> None:
    """A round of the feed, as `trafficapp poll-here` sends it."""
    found = reader.read(json.dumps(flow(*results, seconds_ago=0)).encode(), time.time_ns() // 1000)
    assert not found.left_out
    delivery = Delivery(settings, ROADS_RAW, linger_ms=1)
    for message in found.messages:
        delivery.send(message.key, message.value)
    assert delivery.flush(30) == 0
    reader.was_sent(found)


def other_round(settings: Settings, **changes: Any) -> None:
    """The road alone, as another producer sends it: by its name in the graph."""
    delivery = Delivery(settings, ROADS_RAW, linger_ms=1)
    message = {
        "event_id": secrets.token_hex(4),
        "timestamp": rfc3339(time.time_ns() // 1000),
        "road_id": NAME,
        "road_name": "Via Prova",
        "current_speed": 48.0,
        "free_flow_speed": 50.0,
        "jam_factor": 0.4,
        "congestion_level": "low",
        "coordinates": line_of(GRAPH, NAME),
    } | changes
    delivery.send(NAME.encode(), json.dumps(message).encode())
    assert delivery.flush(30) == 0


async def test_a_closed_road_is_left_within_a_round_and_comes_back(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    run = secrets.token_hex(4)
    settings = load_settings(app_id=f"test-closed-{run}", kafka={"bootstrap_servers": stack.kafka_bootstrap_servers})
    await create_topics(settings, declared_topics(settings))
    endpoints = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    environment = {**os.environ, **endpoints.environment(), "TRAFFICAPP_FORECAST__SETTLE_SECONDS": "0.2"}
    environment |= {"TRAFFICAPP_FORECAST__ROUND_SECONDS": "1", "TRAFFICAPP_AUTH__PUBLIC_READS": "true"}
    with ExitStack() as workers:
        ports = {}
        for role in ("roads", "live"):
            folder = tmp_path / role
            folder.mkdir()
            own = {"TRAFFICAPP_WORKER__ROLE": role, "TRAFFICAPP_DATA_DIR": str(folder)}
            _, ports[role] = workers.enter_context(worker(settings, environment | own, folder))
        # another worker than the one that predicts
        port = ports["live"]

        def route() -> Any:
            return asked(port, "/route/recommend", {"origin": ORIGIN, "destination": DESTINATION})

        def osrm() -> dict[tuple[str, str], str]:
            lines = (line.split(",") for line in asked(port, "/export/osrm/current.csv").splitlines())
            return {(one, other): speed for one, other, speed in lines}

        def now() -> dict[str, Any]:
            roads = {one["road_id"]: one for one in asked(port, "/traffic/current")}
            found: dict[str, Any] = roads.get(NAME, {})
            return found

        def is_open() -> Any:
            answer = route()
            on = answer["speeds_from"] == "predictions" and not answer["avoided"]
            return answer if on and osrm().get(ends(EDGE), "0") != "0" else None

        def is_closed() -> Any:
            answer = route()
            return answer if [one["edge_ids"] for one in answer["avoided"]] == [[NAME]] else None

        reader = HereFlow()
        free = [result(name, speed=14.0, jamFactor=0.2) for name in OTHERS]
        here_round(settings, reader, [*free, result(NAME, speed=14.0, jamFactor=0.2)])
        before = until(is_open, tmp_path)

        # HERE closes it
        here_round(settings, reader, [*free, result(NAME, closed=True, speed=..., freeFlow=..., jamFactor=...)])
        left = until(is_closed, tmp_path, 20)
        assert left["recommended_route"]["waypoints"] != before["recommended_route"]["waypoints"]
        assert osrm()[ends(EDGE)] == "0"
        here_round(settings, reader, [*free, result(NAME, speed=14.0, jamFactor=0.2)])
        back = until(is_open, tmp_path, 20)
        assert back["recommended_route"] == before["recommended_route"]

        # another producer does, by the jam factor alone
        other_round(settings, jam_factor=10, current_speed=0)
        until(is_closed, tmp_path, 20)
        assert osrm()[ends(EDGE)] == "0"
        road = until(lambda: now() if now().get("closed") else None, tmp_path, 20)
        assert (road["jam_factor"], road["congestion_level"], road["speed_from"]) == (10.0, "high", None)
        predicted = asked(port, f"/api/predict/roads?road_id={NAME}")
        assert [(one["source"], one["predicted_speed_30min"]) for one in predicted] == [("closed", 0.0)]
        # it stands, which is slow and not closed
        other_round(settings, jam_factor=9.9, current_speed=0)
        until(is_open, tmp_path, 20)
        # routes and rows come by different ways
        until(lambda: now() and "closed" not in now(), tmp_path, 20)
        assert 2 <= float(osrm()[ends(EDGE)]) < 5
        # a speed that is only usual is told as what it is
        other_round(settings, jam_factor=1, current_speed=44, confidence=0.6)
        road = until(lambda: now() if now().get("confidence") else None, tmp_path, 20)
        assert (road["current_speed"], road["confidence"], road["speed_from"]) == (44.0, 0.6, "historical")
    kinds = [
        (one.alert_type, one.message)
        for record in read_log(settings.kafka.bootstrap_servers, NOTIFICATIONS)
        # other tests may have put there what is none
        if b"Via Prova" in (record.value or b"")
        and (one := decode_notification(record.value or b"")).road_name == "Via Prova"
    ]
    assert ("severe_traffic", "Via Prova: closed to traffic") in kinds
    said = [
        one
        for record in read_log(settings.kafka.bootstrap_servers, PREDICTIONS)
        if NAME.encode() in (record.value or b"") and (one := decode_prediction(record.value or b"")).road_id == NAME
    ]
    assert {one.source for one in said} >= {"closed"}
    assert all(one.current_speed != 44 for one in said)
