"""``trafficapp feeds``: what comes in, and whether messages would be accepted."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec import structs

from models.cameras.detections import TICK_HEADER
from models.cameras.flat_detections import FlatDetection
from models.dead_letters import DeadLetter, encode_dead_letter
from models.described_schemas import schema_of
from models.timestamps import rfc3339
from tests.feeds.parking_bays import PARKING_BAYS
from tests.roads.feed_messages import T0_US
from tests.roads.odd_messages import odd_messages
from trafficapp.cameras.incoming import CAMERA_DETECTIONS
from trafficapp.cli import main
from trafficapp.commands.feeds.checking import Counts, judged
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.kafka_topics import TopicAdmin
from trafficapp.feeds.declared import FEEDS as DECLARED_FEEDS
from trafficapp.feeds.incoming import Incoming
from trafficapp.incoming import incoming_feeds
from trafficapp.roads.incoming import RoadJudge
from trafficapp.settings import load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW, ROADS_RAW, declared_topics

ROOT = Path(__file__).resolve().parents[2]
NO_OBJECT = "invalid_field: expected an object, got "
NO_VEHICLE = "missing_field: Object missing required field `vehicle_id`"
FEEDS = incoming_feeds(load_settings())


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["feeds", *arguments], input=stdin)


def check(name: str, file: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit status, and lines of the output without the place of the file."""
    ended = run("check", name, str(file), *arguments)
    return ended.exit_code, ended.output.replace(f"{file}:", "").splitlines()


def sample(name: str, *arguments: str) -> dict[str, Any]:
    ended = run("sample", name, *arguments)
    assert ended.exit_code == 0, ended.output
    told: dict[str, Any] = json.loads(ended.output)
    return told


def lines(messages: Sequence[object]) -> bytes:
    return b"".join(msgspec.json.encode(message) + b"\n" for message in messages)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "messages.jsonl"


# ---------------------------------------------------------------------- samples


@pytest.mark.parametrize(
    ("feed", "form"),
    [(feed, example.form) for feed in FEEDS for example in feed.examples(load_settings())],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_sample_is_accepted_and_has_the_form_of_its_schema(feed: Incoming, form: str, file: Path) -> None:
    shown = sample(feed.name, "--form", form)
    file.write_text(json.dumps(shown))
    assert check(feed.name, file) == (0, ["1 message: 1 accepted, 0 refused"])
    jsonschema.validate(shown, sample(feed.name, "--schema"))


def test_a_schema_says_what_is_wrong_with_a_message() -> None:
    shown = sample("road-speeds")
    del shown["jam_factor"]
    with pytest.raises(jsonschema.ValidationError, match="jam_factor"):
        jsonschema.validate(shown, sample("road-speeds", "--schema"))


def test_a_feed_is_found_by_its_topic_and_others_are_told() -> None:
    assert sample(ROADS_RAW).keys() == sample("road-speeds").keys()
    ended = run("sample", "nonsense")
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: there is no feed 'nonsense'; there are: cameras, road-speeds")
    ended = run("sample", "cameras", "--form", "round")
    assert ended.output == "Error: cameras has no form 'round'; there are: detection, flat, frame\n"


def test_the_sample_is_of_a_class_that_is_accepted(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("TRAFFICAPP_VEHICLE_CLASSES", '["tram"]')
    for form in ("detection", "flat", "frame"):
        file.write_text(json.dumps(sample("cameras", "--form", form)))
        assert check("cameras", file)[0] == 0


# ---------------------------------------------------------------------- forms of files


def detection(**changes: Any) -> dict[str, Any]:
    return {**sample("cameras"), **changes}


def test_json_lines_an_array_and_one_message_are_read_with_their_lines(file: Path) -> None:
    good, bad = detection(), detection(confidence=2)
    file.write_bytes(b"\n" + lines([good, bad]) + b"\n\nno json\n")
    status, told = check("cameras", file)
    assert status == 1
    assert [re.match(r"\d+: \w+", line)[0] for line in told[:2]] == ["3: invalid_field", "6: not_json"]  # type: ignore[index]
    assert told[2] == "3 messages: 1 accepted, 2 refused: invalid_field 1, not_json 1"

    file.write_text(json.dumps([good, bad, good], indent=2))
    status, told = check("cameras", file)
    begins = json.dumps([good, bad, good], indent=2).splitlines().index("  {", 2) + 1
    assert (status, told[0].split(":")[0]) == (1, str(begins))
    assert told[-1] == "3 messages: 2 accepted, 1 refused: invalid_field 1"

    file.write_text("\ufeff" + json.dumps(good, indent=2))
    assert check("cameras", file) == (0, ["1 message: 1 accepted, 0 refused"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", ["no messages"]),
        (b"[]\n", ["no messages"]),
        (b" \n\n", ["no messages"]),
        (b"[1]\n[2]\n", ["1: " + NO_OBJECT + "list", "2: " + NO_OBJECT + "list"]),
        (b"{\n{}\n", ["1: not_json: Input data was truncated", "2: " + NO_VEHICLE]),
        (b"5\n", ["1: " + NO_OBJECT + "int"]),
    ],
)  # fmt: skip
def test_odd_files_are_read_as_lines(text: bytes, told: list[str], file: Path) -> None:
    file.write_bytes(text)
    status, shown = check("cameras", file)
    assert shown[: len(told)] == told
    assert status == (0 if told == ["no messages"] else 1)


def test_compressed_files_and_stdin_are_read(file: Path) -> None:
    text = lines([detection()])
    file.write_bytes(gzip.compress(text))
    assert check("cameras", file)[0] == 0
    for stdin in (text, gzip.compress(text)):
        assert run("check", "cameras", "-", stdin=stdin).output == "1 message: 1 accepted, 0 refused\n"
    ended = run("check", "cameras", "-", stdin=b"nonsense")
    assert ended.output.startswith("-:1: not_json: ")


def test_several_files_are_told_apart(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(detection()))
    second.write_text("{}")
    ended = run("check", "cameras", str(first), str(second))
    assert ended.output.splitlines()[0].startswith(f"{second}:1: missing_field: ")
    assert ended.output.splitlines()[-1] == "2 messages: 1 accepted, 1 refused: missing_field 1"


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path: Path, file: Path) -> None:
    assert run("check", "cameras", str(file)).output == f"Error: {file} cannot be read: No such file or directory\n"
    assert run("check", "cameras", str(tmp_path)).output == f"Error: {tmp_path} cannot be read: Is a directory\n"
    file.write_bytes(gzip.compress(lines([detection()] * 100))[:-20])
    ended = run("check", "cameras", str(file))
    assert ended.exit_code == 1
    assert ended.output.startswith(f"Error: {file} cannot be read: Compressed file ended")
    for text in (b'[\n{"a": 1},\n', b"[" * 5000, b"[" * 5000 + b"]" * 5000):
        file.write_bytes(text)
        ended = run("check", "cameras", str(file))
        assert ended.output.startswith(f"Error: {file} begins as a JSON array, and is none: ")


# ---------------------------------------------------------------------- what is accepted


def test_a_frame_of_which_a_part_is_refused_is_accepted_in_part(file: Path) -> None:
    frame = sample("cameras", "--form", "frame")
    frame["detections"][1]["class"] = "zeppelin"
    file.write_bytes(lines([frame]))
    assert check("cameras", file) == (
        1,
        [
            "1: left out: unknown_class: detections[1]: class 'zeppelin' is not one of the accepted",
            "1 message: 1 accepted (1 of them in part), 0 refused: unknown_class 1",
        ],
    )


def test_the_flat_form_takes_what_its_shape_allows(file: Path) -> None:
    least = FlatDetection(
        camera_id="c", ts=1_768_374_000, frame_id=-(2**63), vehicle_id="v", vehicle_class="car", confidence=0,
        bbox_x=-1e6, bbox_y=-1e6, bbox_w=0, bbox_h=0,
    )  # fmt: skip
    most = FlatDetection(
        camera_id="c" * 256, ts="2026-01-14T07:00:00Z", frame_id=2**63 - 1, vehicle_id="v" * 256, vehicle_class="bus",
        confidence=1, bbox_x=1e6, bbox_y=1e6, bbox_w=1e6, bbox_h=1e6, centroid_x=1e6, centroid_y=-1e6, lane_id=32_767,
        speed_kmh=0,
    )  # fmt: skip
    file.write_bytes(lines([least, most]))
    assert check("cameras", file, "--sent", "own") == (0, ["2 messages: 2 accepted, 0 refused"])
    judge = CAMERA_DETECTIONS.judge(load_settings())
    for changes in ({"lane_id": 32_768}, {"confidence": 1.01}, {"bbox_x": 1e7}, {"vehicle_id": ""}, {"speed_kmh": -1}):
        wrong = structs.replace(most, **changes)
        (refused,) = judge.judge(msgspec.json.encode(wrong), T0_US).refused
        assert refused.reason == "invalid_field"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(msgspec.to_builtins(wrong), schema_of([FlatDetection]))


def test_long_lists_are_cut_and_counted(file: Path) -> None:
    file.write_bytes(lines([{}] * 1234))
    status, told = check("cameras", file)
    assert (status, len(told)) == (1, 22)
    assert told[-2] == "… and 1,214 more; --all shows them"
    assert told[-1] == "1,234 messages: 0 accepted, 1,234 refused: missing_field 1,234"
    assert len(check("cameras", file, "--all")[1]) == 1235


def test_what_is_wrong_cannot_move_the_cursor(file: Path) -> None:
    file.write_bytes(lines([detection(timestamp="\x1b[2J")]))
    (told, _) = check("cameras", file)[1]
    assert "\x1b" not in told
    assert "invalid_timestamp" in told


@pytest.mark.parametrize("name", ["cameras", "road-speeds"])
def test_times_are_judged_by_when_messages_are_sent(name: str, file: Path) -> None:
    moments = ["2026-01-14T07:00:00Z", "2026-01-14T08:30:00Z"]
    file.write_bytes(lines([{**sample(name), "timestamp": moment} for moment in moments]))
    assert check(name, file, "--sent", "own")[0] == 0
    _, told = check(name, file, "--sent", moments[0])
    assert re.match(r"2: future: ", told[0])
    # a camera is late by its own clock alone
    assert check(name, file)[1][-1].endswith("2 accepted, 0 refused" if name == "cameras" else "2 refused: late 2")
    assert run("check", name, str(file), "--sent", "noon").exit_code == 2


def test_a_road_is_judged_like_in_the_worker_with_what_came_before(file: Path) -> None:
    road = sample("road-speeds")
    elsewhere = road | {"road_id": "nowhere", "coordinates": [[11.3271, 44.4985], [11.3262, 44.4989]]}
    file.write_bytes(lines([road, road, elsewhere, road | {"current_speed": 300}]))
    status, told = check("road-speeds", file)
    assert [line.split(":")[:2] for line in told[:2]] == [["3", " unknown_road"], ["4", " impossible_speed"]]
    assert told[-1] == ("4 messages: 2 accepted (1 of them repeated), 2 refused: unknown_road 1, impossible_speed 1")
    assert status == 1


def test_the_judge_decides_as_the_worker_does() -> None:
    """Whatever comes under its own key: what the worker refuses is refused, for the same reason."""
    line = sample("road-speeds")["coordinates"]
    judge = RoadJudge(load_settings())
    odd = [one for one in odd_messages("x", rfc3339(T0_US), line) if one.reason != "key_mismatch" and one.value]
    judged = {
        one.name: next((part.reason for part in judge.judge(one.value or b"", T0_US).refused), None) for one in odd
    }
    assert judged == {one.name: one.reason for one in odd}


def test_json_for_programs(file: Path) -> None:
    file.write_bytes(lines([detection(), {}]))
    ended = run("check", "cameras", "--json", str(file))
    told = json.loads(ended.output)
    assert (ended.exit_code, told["accepted"], told["refused"], told["reasons"]) == (1, 1, 1, {"missing_field": 1})
    assert told["shown"][0] | {"detail": ""} == {
        "file": str(file), "line": 2, "reason": "missing_field", "detail": "", "accepted": False,
    }  # fmt: skip


def test_a_declared_feed_is_checked_by_its_declaration(file: Path) -> None:
    settings = load_settings()
    feed = incoming_feeds(settings, [PARKING_BAYS, *DECLARED_FEEDS])[1]
    assert (feed.name, feed.topic, feed.key, feed.any_key) == ("parking-bays", "parking-bays", "bay_id", True)
    (example,) = feed.examples(settings)
    bay = example.as_of(T0_US)
    jsonschema.validate(bay, schema_of(feed.shapes))
    # the zone of its times is that of the declaration: 08:00 in Bologna is 07:00 UTC, which is the time of sending
    messages = [bay, bay | {"timestamp": "2026-01-14T08:00:00"}, bay | {"timestamp": "2026-01-14T08:02:00"}, [bay]]
    file.write_bytes(lines([*messages, {**bay, "lat": 91}]))
    counts = Counts()
    found = list(judged([file], feed.judge(settings), lambda: T0_US, counts))
    assert [(one.line, one.reason) for one in found] == [(3, "future"), (4, "invalid_field"), (5, "invalid_field")]
    assert (counts.accepted, counts.refused, counts.are_fine) == (2, 3, False)
    # what is ours comes from nowhere else
    others = {feed.name for feed in DECLARED_FEEDS if not feed.is_ours}
    assert {one.name for one in incoming_feeds(settings)} == {"cameras", *others}
    assert "road-speeds" in others


# ---------------------------------------------------------------------- documents


def test_the_page_for_producers_has_the_table_of_the_declarations() -> None:
    page = (ROOT / "docs/producers.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- feeds: begin -->\n(.*?)<!-- feeds: end -->", page, re.DOTALL)
    assert found is not None
    assert found[1] == run("--markdown").output


def test_the_messages_in_the_page_for_producers_are_accepted(file: Path) -> None:
    page = (ROOT / "docs/producers.md").read_text(encoding="utf-8")
    shown = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 2
    for text in shown:
        file.write_text(text)
        name = "road-speeds" if "road_id" in text else "cameras"
        assert check(name, file, "--sent", "own") == (0, ["1 message: 1 accepted, 0 refused"])


# ---------------------------------------------------------------------- the broker


@pytest.fixture(scope="module")
def servers(own_stack: Endpoints) -> Iterator[dict[str, str]]:
    """Topics with nothing in them, and an application that nobody has run."""
    assert own_stack.kafka_bootstrap_servers is not None
    servers = {
        "KAFKA_BOOTSTRAP_SERVERS": own_stack.kafka_bootstrap_servers,
        "TRAFFICAPP_APP_ID": f"test-feeds-{os.getpid()}",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in servers.items():
            environment.setenv(name, value)
        settings = load_settings()
        admin = TopicAdmin(settings)
        for topic in declared_topics(settings):
            if topic.name in (EVENTS_RAW, ROADS_RAW, DEAD_LETTERS):
                admin.make_anew(topic, 2)
        yield servers
        asyncio.run(create_topics(settings, declared_topics(settings)))


def shown(servers: dict[str, str], *arguments: str) -> str:
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "trafficapp.cli", "feeds", *arguments],
        env={**os.environ, **servers, "COLUMNS": "250"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def standing(servers: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What is told of each feed, by name."""
    return {one["name"]: one for one in json.loads(shown(servers, "--json"))}


def test_what_comes_in_is_asked_of_the_broker(servers: dict[str, str]) -> None:
    nothing = standing(servers)["cameras"]
    assert (nothing["messages_per_minute"], nothing["newest_event"], nothing["lag"]) == (0, None, {})
    assert nothing["dead_letters"] == {}
    assert nothing["retention_seconds"] == 86_400
    assert "nobody reads it" in shown(servers)

    producer = Producer({"bootstrap.servers": servers["KAFKA_BOOTSTRAP_SERVERS"]})
    now_us = time.time_ns() // 1_000_000 * 1000
    for number in range(30):
        told = detection(frame_id=number, timestamp=rfc3339(now_us - 60_000_000 + number * 1_000_000))
        producer.produce(EVENTS_RAW, json.dumps(told), partition=number % 2)
    # what is ours is no message, and what is ahead of its time or no message at all is not the newest
    for number in range(100):
        producer.produce(EVENTS_RAW, None, partition=number % 2, headers={TICK_HEADER: b""})
    producer.produce(EVENTS_RAW, json.dumps(detection(timestamp=rfc3339(now_us + 3_600_000_000))), partition=0)
    producer.produce(EVENTS_RAW, b"nonsense", partition=1)
    for offset, (topic, reason) in enumerate([(EVENTS_RAW, "late"), (EVENTS_RAW, "future"), (ROADS_RAW, "late")] * 2):
        letter = DeadLetter(
            topic=topic, partition=0, offset=offset, timestamp=rfc3339(now_us), reason=reason, detail="said so"
        )
        producer.produce(DEAD_LETTERS, encode_dead_letter(letter), partition=offset % 2)
    producer.produce(DEAD_LETTERS, b"no letter", partition=0)
    assert producer.flush(30) == 0
    done = Consumer({"bootstrap.servers": servers["KAFKA_BOOTSTRAP_SERVERS"], "group.id": servers["TRAFFICAPP_APP_ID"]})
    done.commit(offsets=[TopicPartition(EVENTS_RAW, 0, 60), TopicPartition(EVENTS_RAW, 1, 50)], asynchronous=False)
    done.close()

    found = standing(servers)
    cameras = found["cameras"]
    assert cameras["messages_per_minute"] == pytest.approx(32 / 5, abs=0.01)
    assert cameras["newest_event"] == rfc3339(now_us - 31_000_000)
    assert cameras["lag"] == {servers["TRAFFICAPP_APP_ID"]: 132 - 110}
    assert cameras["dead_letters"] == {"late": 2, "future": 2}
    assert cameras["dead_letters_are_all"]
    assert found["road-speeds"]["dead_letters"] == {"late": 2}
    table = shown(servers)
    for part in ("traffic.events.raw", "camera_id", "late: 2", f"{servers['TRAFFICAPP_APP_ID']}: 22", "6.4", "24 h"):
        assert part in table


def test_rates_of_more_than_is_read_are_told_without_ticks(servers: dict[str, str]) -> None:
    producer = Producer({"bootstrap.servers": servers["KAFKA_BOOTSTRAP_SERVERS"]})
    road = json.dumps(sample("road-speeds"))
    for _ in range(5000):
        producer.produce(ROADS_RAW, road, partition=1)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert standing(servers)["road-speeds"]["messages_per_minute"] == 1000


def test_a_topic_that_is_not_there_is_told(servers: dict[str, str]) -> None:
    client = AdminClient({"bootstrap.servers": servers["KAFKA_BOOTSTRAP_SERVERS"]})
    client.delete_topics([ROADS_RAW])[ROADS_RAW].result()
    until = time.monotonic() + 180
    while standing(servers)["road-speeds"]["exists"] and time.monotonic() < until:
        time.sleep(0.2)
    assert "no topic" in shown(servers)
