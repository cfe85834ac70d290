"""GTFS Realtime feeds of others: what is no feed changes nothing, and nothing is sent twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from google.transit import gtfs_realtime_pb2 as gtfs_rt

from tests.sources.test_sending import records, topic
from trafficapp.cli import main
from trafficapp.settings import load_settings
from trafficapp.sources.delivery import Delivery, Stopped
from trafficapp.sources.gtfs_rt_polling import FeedSource, GtfsRtPoller
from trafficapp.timetables.realtime_in import FeedReader, UnusableBody

__all__ = ["topic"]

NOW_S = 1_768_464_000.0


def feed(timestamp_s: float, *vehicles: tuple[str, float], version: str = "2.0") -> bytes:
    """A feed of vehicles, each with the time of its position."""
    message = gtfs_rt.FeedMessage()
    message.header.gtfs_realtime_version = version
    message.header.timestamp = int(timestamp_s)
    for name, at_s in vehicles:
        entity = message.entity.add()
        entity.id = name
        entity.vehicle.vehicle.id = name
        entity.vehicle.position.latitude, entity.vehicle.position.longitude = 44.5, 11.25
        entity.vehicle.timestamp = int(at_s)
        entity.vehicle.trip.trip_id, entity.vehicle.trip.start_date = "line-0", "20260115"
    return bytes(message.SerializeToString())


def test_what_is_new_is_read_once() -> None:
    reader = FeedReader()
    first = reader.read(feed(NOW_S, ("a", NOW_S - 10), ("b", NOW_S - 20), ("old", NOW_S - 900)), NOW_S)
    assert first is not None
    assert [vehicle.vehicle_id for vehicle in first.vehicles] == ["a", "b"]
    assert first.left_out.total() == 1
    assert json.loads(json.dumps({"start": first.vehicles[0].start_date})) == {"start": "20260115"}
    # what was not sent is read again
    assert reader.read(feed(NOW_S, ("a", NOW_S - 10)), NOW_S) is not None
    reader.was_sent(first)
    assert reader.read(feed(NOW_S, ("a", NOW_S - 10)), NOW_S) is None
    second = reader.read(feed(NOW_S + 30, ("a", NOW_S + 20), ("b", NOW_S - 20)), NOW_S + 30)
    assert second is not None
    assert [vehicle.vehicle_id for vehicle in second.vehicles] == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        gtfs_rt.FeedMessage().SerializePartialToString(),
        feed(NOW_S - 400, ("a", NOW_S - 400)),
        feed(NOW_S + 120, ("a", NOW_S)),
    ],
)
def test_what_is_no_feed_of_now_changes_nothing(body: bytes) -> None:
    reader = FeedReader()
    first = reader.read(feed(NOW_S - 450, ("a", NOW_S - 450)), NOW_S - 440)
    assert first is not None
    reader.was_sent(first)
    known = dict(reader.told_s)
    with pytest.raises(UnusableBody):
        reader.read(body, NOW_S)
    assert reader.told_s == known


class Agency:
    """A server that gives its answers in turn, the last again and again; with a tag for each body."""

    def __init__(self) -> None:
        self.answers: list[bytes | int] = []
        self.asked: list[str | None] = []
        agency = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agency.asked.append(self.headers.get("If-None-Match"))
                answer = agency.answers.pop(0) if len(agency.answers) > 1 else agency.answers[0]
                tag = f'"{hash(answer):x}"'
                if isinstance(answer, int) or agency.asked[-1] == tag:
                    self.send_response(answer if isinstance(answer, int) else 304)
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("ETag", tag)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/vehicles?key=secret"


@pytest.fixture
def agency() -> Iterator[Agency]:
    made = Agency()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_again_and_again(agency: Agency, kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.time()
    first, second = feed(now_s - 30, ("a", now_s - 40)), feed(now_s, ("a", now_s - 10), ("b", now_s - 5))
    agency.answers = [first, first, b"", 500, second, 404]
    monkeypatch.setattr("trafficapp.sources.gtfs_rt_polling.back_off", lambda failures, at_least: 0.0)

    def stopping() -> bool:
        return len(agency.asked) == 6

    told: list[str] = []
    source = FeedSource(agency.url, FeedReader(), {})
    delivery = Delivery(load_settings(), topic, stopping=stopping)
    with pytest.raises(Stopped):
        GtfsRtPoller([source], 0.01, delivery, stopping, told.append).run()
    assert [line.split(";")[0] for line in told[:5]] == [
        "127.0.0.1: sent 1 vehicles",
        "127.0.0.1: nothing new",
        "127.0.0.1: the body is empty",
        "127.0.0.1 answers with 500",
        "127.0.0.1: sent 2 vehicles",
    ]
    assert "secret" not in "".join(told)
    # the tag of what was used last is asked with, whatever came since
    assert agency.asked[0] is None
    assert len({*agency.asked[1:5]}) == 1
    sent = [json.loads(record.value or b"") for record in records(kafka_bootstrap, topic)]
    assert [(one["vehicle_id"], one["trip_id"]) for one in sent] == [("a", "line-0"), ("a", "line-0"), ("b", "line-0")]


def test_once_without_an_answer(agency: Agency, topic: str) -> None:
    agency.answers = [503]
    done = CliRunner().invoke(main, ["poll-gtfs-rt", agency.url, "--once", "--topic", topic])
    assert done.exit_code == 1
    assert "answers with 503" in done.output
