"""What HERE answers, as messages of the feed; and that every failure is told and waited out."""

from __future__ import annotations

import email.utils
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from models.timestamps import epoch_us
from tests.roads.feed_messages import FeedRecord, line_of, roads
from tests.sources.here_server import KEY, HereServer, flow, here_server, result
from tests.sources.test_sending import records, topic
from trafficapp.cli import main
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import HereSettings, RoadSettings, load_settings
from trafficapp.sources import here_polling
from trafficapp.sources.delivery import Delivery, Stopped
from trafficapp.sources.here import HereFlow, UnusableFlow
from trafficapp.sources.here_client import LONGEST_SECONDS, REFUSED_SECONDS, Failure, HereClient
from trafficapp.sources.here_polling import LONGEST_WAIT_SECONDS, HerePoller, back_off

__all__ = ["topic"]

BOX = (11.3, 44.4, 11.4, 44.6)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[HereServer]:
    with here_server() as server:
        monkeypatch.setenv("TRAFFICAPP_HERE__URL", server.url)
        monkeypatch.setenv("HERE_API_KEY", KEY)
        yield server


def client(**settings: Any) -> HereClient:
    return HereClient(load_settings().here.model_copy(update=settings), BOX)


def read(reader: HereFlow, answer: object, ahead_seconds: float = 0) -> list[dict[str, Any]]:
    now_us = time.time_ns() // 1000 - round(ahead_seconds * 1e6)
    found = reader.read(json.dumps(answer).encode(), now_us)
    assert all(json.loads(one.value or b"")["road_id"].encode() == one.key for one in found.messages)
    return [json.loads(one.value or b"") for one in found.messages]


def test_a_road_as_a_message() -> None:
    answer = flow(result("a10"))
    (message,) = read(HereFlow(), answer)
    assert message | {"road_id": "", "event_id": ""} == {
        "event_id": "",
        "timestamp": answer["sourceUpdated"],
        "road_id": "",
        "road_name": "Via a10",
        "current_speed": 18.0,
        "free_flow_speed": 50.0,
        "jam_factor": 6.4,
        "traversability": "open",
        "confidence": 0.98,
        "coordinates": line_of(city_graph(RoadSettings()), "a10"),
    }


def test_messages_pass_the_checks_of_the_feed() -> None:
    feed = roads(city_graph(RoadSettings()))
    now_us = time.time_ns() // 1000
    edges = ["a10", "a103", "a104"]
    body = json.dumps(flow(*(result(edge) for edge in edges))).encode()
    found = HereFlow().read(body, now_us)
    outcome = feed.apply(FeedRecord(n, m.value, m.key, now_us // 1000) for n, m in enumerate(found.messages))
    assert outcome.dead_letters == []
    assert [one.edges[0][0] for one in outcome.observations] == edges


def test_names_last_and_differ() -> None:
    reader, edges = HereFlow(), [result(edge) for edge in ("a10", "a103", "a104")]
    first = read(reader, flow(*edges))
    second = read(HereFlow(), flow(*reversed(edges), seconds_ago=5))
    assert [one["road_id"] for one in first] == [one["road_id"] for one in reversed(second)]
    assert len({one["road_id"] for one in first}) == 3
    assert len({one["event_id"] for one in first + second}) == 6


def test_what_closed_roads_and_missing_speeds_mean() -> None:
    reader = HereFlow()
    read(reader, flow(result("a10"), seconds_ago=60))
    closed = read(reader, flow(result("a10", closed=True, speed=..., freeFlow=..., jamFactor=...)))
    assert [(one["current_speed"], one["free_flow_speed"], one["jam_factor"]) for one in closed] == [(0.0, 50.0, 10.0)]
    body = json.dumps(
        flow(
            result("a1", freeFlow=...),  # never told
            result("a103", speed=...),
            result("a104", jamFactor=...),
            result("a10"),
            result("a10", speed=9.0),
            "nonsense",
            {"location": {"shape": {"links": []}}, "currentFlow": {"speed": 1, "freeFlow": 2, "jamFactor": 3}},
            {"location": {}, "currentFlow": {}},
        )
    ).encode()
    found = reader.read(body, time.time_ns() // 1000)
    assert [json.loads(one.value or b"")["current_speed"] for one in found.messages] == [18.0]
    assert found.left_out == {
        "without a free-flow speed": 1,
        "without a speed": 2,
        "that came twice": 1,
        "without the form of a road": 2,
        "without a line": 1,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"traversability": "closed"},
        {"traversability": "reversibleNotRoutable"},
        {"traversability": "open", "jamFactor": 10.0},
        {"traversability": ..., "jamFactor": 10.0, "speed": 7.0},
    ],
)
@pytest.mark.parametrize("speed", [{}, {"speed": ..., "freeFlow": ..., "confidence": ...}])
def test_a_closed_road_goes_through_the_feed_whatever_else_is_told(
    changes: dict[str, Any], speed: dict[str, Any]
) -> None:
    found = HereFlow().read(json.dumps(flow(result("a10", **(speed | changes)))).encode(), time.time_ns() // 1000)
    assert not found.left_out
    (message,) = found.messages
    feed = roads(city_graph(RoadSettings()))
    outcome = feed.apply([FeedRecord(0, message.value, message.key, time.time_ns() // 1_000_000)])
    (observation,) = outcome.observations
    assert (observation.closed, observation.current_speed, observation.jam_factor) == (True, 0.0, 10.0)
    assert observation.free_flow_speed > 1


@pytest.mark.parametrize(
    ("flow_fields", "closed", "confidence"),
    [
        ({"speed": 0.0, "jamFactor": 9.9}, False, 0.98),
        ({"speed": 0.0, "jamFactor": 9.9, "traversability": ...}, False, 0.98),
        ({"confidence": 0.5}, False, 0.5),
        ({"confidence": ...}, False, None),
    ],
)
def test_a_standing_road_is_not_closed_and_the_confidence_is_kept(
    flow_fields: dict[str, Any], closed: bool, confidence: float | None
) -> None:
    found = HereFlow().read(json.dumps(flow(result("a10", **flow_fields))).encode(), time.time_ns() // 1000)
    (message,) = found.messages
    feed = roads(city_graph(RoadSettings()))
    (observation,) = feed.apply([FeedRecord(0, message.value, message.key, time.time_ns() // 1_000_000)]).observations
    assert (observation.closed, observation.confidence) == (closed, confidence)


OPEN, SHUT = {"jamFactor": 2.0, "speed": 9.0, "traversability": "open"}, {"traversability": "closed", "jamFactor": 10.0}


@pytest.mark.parametrize(
    ("parts", "shares"),
    [
        ([OPEN, SHUT | {"length": 60.0}, OPEN], [(0.25, 0.75)]),
        ([OPEN, {"traversability": "ReversibleNotRoutable"}], [(0.5, 1.0)]),
        ([{"jamFactor": 10.0}, OPEN, OPEN, OPEN], [(0.0, 0.25)]),
        ([SHUT, SHUT, OPEN, SHUT], [(0.0, 0.5), (0.75, 1.0)]),
        ([OPEN, {"jamFactor": 9.9, "speed": 0.0}], []),
        ([], []),
    ],
)
def test_a_part_that_is_closed_is_a_closed_road_of_its_own(
    parts: list[dict[str, Any]], shares: list[tuple[float, float]]
) -> None:
    """The road goes on to be measured; nobody gets through, though it says that it is open."""
    told = [{"length": 30.0} | part for part in parts]
    found = HereFlow().read(json.dumps(flow(result("a10", subSegments=told))).encode(), time.time_ns() // 1000)
    assert not found.left_out
    now_ms = time.time_ns() // 1_000_000
    outcome = roads(city_graph(RoadSettings())).apply(
        FeedRecord(n, one.value, one.key, now_ms) for n, one in enumerate(found.messages)
    )
    assert outcome.dead_letters == []
    whole, *closed = outcome.observations
    assert (whole.closed, whole.current_speed) == (False, 18.0)
    assert [(one.closed, one.current_speed, one.road_name) for one in closed] == [(True, 0.0, "Via a10")] * len(shares)
    for one, (begin, end) in zip(closed, shares, strict=True):
        assert [edge for edge, _ in one.edges] == ["a10"]
        # it lies on the road, as long as its share, and where it was told
        assert length_m(one.coordinates) == pytest.approx((end - begin) * length_m(whole.coordinates), rel=1e-3)
        if begin == 0:
            assert one.coordinates[0] == pytest.approx(whole.coordinates[0], abs=1e-6)
        if end == 1:
            assert one.coordinates[-1] == pytest.approx(whole.coordinates[-1], abs=1e-6)


@pytest.mark.parametrize(
    "parts", [[SHUT, SHUT], [OPEN, SHUT | {"length": ...}], [OPEN, SHUT | {"length": 0}], [SHUT | {"length": -3}, OPEN]]
)
def test_where_it_is_not_told_which_part_is_closed_the_road_is(parts: list[dict[str, Any]]) -> None:
    told = [{name: value for name, value in ({"length": 30} | part).items() if value is not ...} for part in parts]
    (message,) = read(HereFlow(), flow(result("a10", subSegments=told)))
    assert (message["current_speed"], message["jam_factor"]) == (0.0, 10.0)


def test_a_closed_part_is_told_where_nothing_is_measured_and_costs_no_neighbour() -> None:
    told = [{"length": 30.0} | part for part in (OPEN, SHUT)]
    answer = flow(
        result("a10", speed=..., subSegments=told),
        result("a10", speed=..., subSegments=told),
        result("a103", subSegments="nonsense"),
        result("a104", jamFactor=-1.0),  # none could be reckoned
        result("a1", subSegments=None),
    )
    found = HereFlow().read(json.dumps(answer).encode(), time.time_ns() // 1000)
    assert [json.loads(one.value or b"")["current_speed"] for one in found.messages] == [0.0, 18.0]
    assert found.left_out == {"without a speed": 3, "without the form of a road": 1}


def length_m(line: Sequence[Sequence[float]]) -> float:
    steps = itertools.pairwise(np.array(line) * [111_195 * math.cos(math.radians(line[0][1])), 111_195])
    return sum(math.dist(one, other) for one, other in steps)


def test_no_state_of_the_roads_is_sent_twice() -> None:
    reader = HereFlow()
    now_us = time.time_ns() // 1000
    old, new = (json.dumps(flow(result(), seconds_ago=seconds)).encode() for seconds in (60, 30))
    first = reader.read(new, now_us)
    assert len(reader.read(new, now_us).messages) == 1  # not acknowledged yet
    reader.was_sent(first)
    for body in (new, old):
        again = reader.read(body, now_us)
        assert (again.is_news, again.messages) == (False, [])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"results": 1}', b"\xff", b"[" * 99_999, b'{"results":[],"sourceUpdated":"x"}']
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableFlow):
        HereFlow().read(body, epoch_us("2026-01-14T07:00:00Z"))


def test_an_answer_from_the_future_is_refused_and_blocks_nothing() -> None:
    reader = HereFlow()
    with pytest.raises(UnusableFlow, match="still to come"):
        read(reader, flow(result()), ahead_seconds=3600)
    assert len(read(reader, flow(result()))) == 1


async def test_the_question(here: HereServer) -> None:
    here.will(flow(result()))
    one = client()
    answer = await one.ask()
    assert answer is not None
    ((query, headers),) = here.asked
    assert query == {
        "in": "bbox:11.300000,44.400000,11.400000,44.600000",
        "locationReferencing": "shape",
        "apiKey": KEY,
    }
    assert "If-None-Match" not in headers
    one.etag = answer.etag
    assert await one.ask() is None
    assert here.asked[1][1]["If-None-Match"] == answer.etag


FAILURES: list[tuple[Any, dict[str, Any], str, float | None, bool]] = [
    ((401, {}, {"error_description": f"apiKey {KEY} invalid"}), {}, "refuses the key with 401", REFUSED_SECONDS, True),
    ((403, {}, {"cause": "no rights"}), {}, r"\(no rights\): check HERE_API_KEY", REFUSED_SECONDS, True),
    ((400, {}, {"title": "bbox too large"}), {}, r"refuses the question with 400 \(bbox", REFUSED_SECONDS, True),
    ((429, {"Retry-After": "17"}, {}), {}, "too many", 17.0, False),
    ((429, {}, {}), {}, "too many", 60.0, False),
    ((429, {"Retry-After": "9" * 400}, {}), {}, "too many", LONGEST_SECONDS, False),
    ((429, {"Retry-After": "soon"}, {}), {}, "too many", 60.0, False),
    ((500, {}, []), {}, "answers with 500", None, False),
    ((503, {"Retry-After": "3"}, {}), {}, "answers with 503", 3.0, False),
    ((302, {"Location": "http://127.0.0.1:9/"}, {}), {}, "302", REFUSED_SECONDS, True),
    (b" " * 3000, {"max_answer_bytes": 2000}, "larger than 2,000 bytes", None, False),
    (5.0, {"timeout_seconds": 0.2}, "did not answer within 0.2 s", None, False),
    (flow(), {"url": "http://127.0.0.1:9"}, "no connection to 127.0.0.1:9", None, False),
]


@pytest.mark.parametrize(("answer", "settings", "words", "wait_seconds", "lasting"), FAILURES)
async def test_failures_are_told_without_the_key(
    here: HereServer, answer: Any, settings: dict[str, Any], words: str, wait_seconds: float | None, lasting: bool
) -> None:
    here.will(answer)
    with pytest.raises(Failure, match=words) as failure:
        await client(**settings).ask()
    assert (failure.value.wait_seconds, failure.value.lasting) == (wait_seconds, lasting)
    assert KEY not in str(failure.value)


async def test_a_compressed_answer_may_not_grow_without_end(here: HereServer) -> None:
    here.will({"results": [" " * 1_000_000]})
    with pytest.raises(Failure, match="larger"):
        await client(max_answer_bytes=100_000).ask()


async def test_a_date_to_come_back_at(here: HereServer) -> None:
    here.will((429, {"Retry-After": email.utils.formatdate(time.time() + 100, usegmt=True)}, {}))
    with pytest.raises(Failure) as failure:
        await client().ask()
    assert failure.value.wait_seconds is not None
    assert 90 < failure.value.wait_seconds <= 100


def test_waits_grow_up_to_a_limit_and_never_undercut_what_was_asked_for() -> None:
    for failures in (0, 1, 5, 100, 10_000):
        longest = min(2.0 ** min(failures, 50), LONGEST_WAIT_SECONDS)
        assert longest / 2 <= back_off(failures, None) <= longest
        assert back_off(failures, 17.0) >= 17.0
    assert len({back_off(3, None) for _ in range(10)}) > 1


def test_the_key_is_no_text_of_the_settings(here: HereServer) -> None:
    settings = load_settings()
    assert settings.here.api_key is not None
    assert KEY not in repr(settings)
    assert KEY not in CliRunner().invoke(main, ["settings"]).output
    with pytest.raises(ValueError, match="west < east"):
        HereSettings(bbox=(11.0, 44.0, 10.0, 45.0))


def test_once(here: HereServer, kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here_polling, "FIRST_WAIT_SECONDS", 0.01)
    here.will((500, {}, {}), b"{", flow(result("a10"), result("a103"), result("a104", speed=...)))
    done = CliRunner().invoke(main, ["poll-here", "--once", "--topic", topic])
    assert done.exit_code == 0, done.output
    assert "HERE answers with 500; next try in" in done.output
    assert "cannot be used" in done.output
    assert "sent 2 roads; left out 1 without a speed" in done.output
    sent = records(kafka_bootstrap, topic)
    assert {record.key for record in sent} == {json.loads(record.value or b"")["road_id"].encode() for record in sent}
    assert len(sent) == 2
    graph = city_graph(RoadSettings())
    west, south, east, north = (float(edge) for edge in here.asked[0][0]["in"].removeprefix("bbox:").split(","))
    assert abs(west - graph.shape_lon.min()) < 1e-6 > abs(north - graph.shape_lat.max())
    assert west < east
    assert south < north


def test_once_without_success(here: HereServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here.will((403, {}, {}))
    refused = CliRunner().invoke(main, ["poll-here", "--once", "--topic", topic])
    assert (refused.exit_code, len(here.asked)) == (1, 1)
    assert "check HERE_API_KEY" in refused.output
    monkeypatch.delenv("HERE_API_KEY")
    keyless = CliRunner().invoke(main, ["poll-here", "--once", "--topic", topic])
    assert keyless.exit_code == 1
    assert "set HERE_API_KEY" in keyless.output


def test_again_and_again_until_told_to_stop(here: HereServer, kafka_bootstrap: str, topic: str) -> None:
    first, second = flow(result("a10"), seconds_ago=60), flow(result("a10", speed=7.0))
    same_time = second | {"results": [result("a10", speed=9.0)]}
    here.will(first, first, (500, {}, {}), second, same_time, 30.0)
    settings = load_settings()
    impatient = settings.model_copy(update={"here": settings.here.model_copy(update={"poll_seconds": 0.05})})

    def stopping() -> bool:
        return len(here.asked) == 6

    told: list[str] = []
    with pytest.raises(Stopped):
        HerePoller(impatient, Delivery(settings, topic, stopping=stopping), stopping, told.append).run()
    assert [line.split(";")[0] for line in told] == [
        "sent 1 roads",
        "nothing new",
        "HERE answers with 500",
        "sent 1 roads",
        "nothing newer",
    ]
    speeds = [json.loads(record.value or b"")["current_speed"] for record in records(kafka_bootstrap, topic)]
    assert speeds == [18.0, 25.2]
