"""The commands send what they say to a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests.verification.log import LogRecord, end_offsets, read_log
from trafficapp.cli import main
from trafficapp.settings import load_settings
from trafficapp.sources.delivery import Delivery, Stopped

_names = iter(range(1_000))


@pytest.fixture
def topic(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new topic of eight partitions."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    name = f"test.sources.{os.getpid()}.{next(_names)}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(name, 8, 1)])[name].result(30)
    return name


@contextmanager
def replaying(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``trafficapp replay`` in a process of its own that does not outlive the block."""
    command = [sys.executable, "-m", "trafficapp.cli", "replay", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            yield process
        finally:
            process.kill()


def records(kafka_bootstrap: str, topic: str) -> list[LogRecord]:
    return list(read_log(kafka_bootstrap, topic))


def test_replay_sends_the_slice_each_camera_in_order(kafka_bootstrap: str, topic: str) -> None:
    result = CliRunner().invoke(main, ["replay", "--speed", "max", "--limit", "20000", "--topic", topic])
    assert result.exit_code == 0, result.output
    assert "sent 20,000 messages (20,000 detections)" in result.output
    assert "20,000 acknowledged, 0 rejected" in result.output
    sent = records(kafka_bootstrap, topic)
    assert len(sent) == 20_000
    last: dict[bytes | None, int] = {}
    places: dict[bytes | None, set[int]] = {}
    for record in sent:
        fields = json.loads(record.value or b"")
        assert fields["camera_id"].encode() == record.key
        assert fields["timestamp"] >= last.get(record.key, 0)
        last[record.key] = fields["timestamp"]
        places.setdefault(record.key, set()).add(record.partition)
    assert len(places) == 40
    assert all(len(partitions) == 1 for partitions in places.values())


def test_keys_go_where_java_sends_them(kafka_bootstrap: str, topic: str) -> None:
    from aiokafka.partitioner import murmur2

    CliRunner().invoke(main, ["mock", "--cameras", "30", "--rate", "20", "--duration", "1", "--topic", topic])
    sent = records(kafka_bootstrap, topic)
    assert len({record.key for record in sent}) == 30
    for record in sent:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 8


def test_replay_keeps_the_pace_and_breaks_a_share(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    times = [1_768_374_000_000 + 100 * number for number in range(200)]
    path.write_text("\n".join(json.dumps({"camera_id": "a", "timestamp": time_}) for time_ in times))
    began = time.monotonic()
    result = CliRunner().invoke(
        main, ["replay", str(path), "--speed", "10", "--malformed-rate", "0.2", "--seed", "1", "--topic", topic]
    )
    assert result.exit_code == 0, result.output
    assert 1.9 <= time.monotonic() - began < 8  # 19.9 event seconds
    clean = [record for record in records(kafka_bootstrap, topic) if _timestamp(record.value) in times]
    assert 140 <= len(clean) < 190


def _timestamp(value: bytes | None) -> int | None:
    try:
        fields = json.loads(value or b"")
    except ValueError:
        return None
    return fields.get("timestamp") if fields.keys() == {"camera_id", "timestamp"} else None


def test_mock_sends_in_real_time(kafka_bootstrap: str, topic: str) -> None:
    arguments = ["--cameras", "2", "--rate", "10", "--duration", "2", "--with-lanes", "--no-speed", "--topic", topic]
    began = time.time()
    result = CliRunner().invoke(main, ["mock", *arguments])
    assert result.exit_code == 0, result.output
    sent = [json.loads(record.value or b"") for record in records(kafka_bootstrap, topic)]
    assert Counter(fields["camera_id"] for fields in sent) == {"cam_01": 20, "cam_02": 20}
    assert all("lane_id" in fields and "speed_estimate" not in fields for fields in sent)
    assert all(began * 1000 - 1 <= fields["timestamp"] <= time.time() * 1000 for fields in sent)


@pytest.mark.parametrize(
    "command",
    [
        ["mock", "--duration", "1"],
        ["mock", "--duration", "1", "--cameras", "2000", "--rate", "50"],
        ["simulate", "--duration", "1s"],
    ],
    ids=" ".join,
)
def test_a_duration_ends_while_kafka_is_away(command: list[str]) -> None:
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    arguments = [sys.executable, "-m", "trafficapp.cli", *command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=environment, check=False)  # noqa: S603
    assert done.returncode == 1, done.stderr
    assert "waiting for Kafka at 127.0.0.1:1" in done.stderr
    assert "the time is over, and not everything was sent" in done.stderr
    assert "sent 0 messages" in done.stderr


def test_a_replay_of_which_nothing_is_taken_says_so(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(json.dumps({"camera_id": "a", "timestamp": 1_768_374_000 + n}) for n in range(5)))
    result = CliRunner().invoke(main, ["replay", str(path), "--speed", "max", "--topic", topic])
    assert result.exit_code == 0, result.output
    assert "5 acknowledged by Kafka, 5 detections refused by the application (missing_field 5)" in result.output
    assert "0 rejected" not in result.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_endless_replay_with_its_counts(
    kafka_bootstrap: str, topic: str, number: signal.Signals
) -> None:
    with replaying("--loop", "--shift-to-now", "--topic", topic) as process:
        _wait_for_records(kafka_bootstrap, topic)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    sent = sum(end_offsets(kafka_bootstrap, topic).values())
    assert f"sent {sent:,} messages" in errors
    assert f"{sent:,} acknowledged, 0 rejected" in errors


def _wait_for_records(kafka_bootstrap: str, topic: str) -> None:
    deadline = time.monotonic() + 180
    while not sum(end_offsets(kafka_bootstrap, topic).values()):
        assert time.monotonic() < deadline, "nothing was sent"
        time.sleep(0.1)


def test_replay_waits_for_a_topic_that_is_not_there_yet(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    name = f"test.sources.{os.getpid()}.later"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    with replaying("--speed", "max", "--limit", "100", "--topic", name) as process:
        assert process.stderr is not None
        assert any(f"waiting for topic {name}" in line for line in process.stderr)
        admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, "100 acknowledged" in errors) == (0, True), errors


def test_an_absent_broker_is_waited_for_until_told_to_stop() -> None:
    told: list[str] = []
    settings = load_settings(kafka={"bootstrap_servers": "127.0.0.1:1"})
    delivery = Delivery(settings, "any", stopping=lambda: len(told) > 0)
    with pytest.raises(Stopped):
        delivery.wait_for_topic(told.append)
    assert told == ["waiting for Kafka at 127.0.0.1:1"]


def test_a_message_too_large_is_told(kafka_bootstrap: str, topic: str) -> None:
    delivery = Delivery(load_settings(), topic)
    with pytest.raises(KafkaException, match=r"(?i)size"):
        delivery.send(b"a", b"x" * 2_000_000)
    delivery.send(b"a", b"fits")
    assert delivery.flush(30) == 0
    assert (delivery.sent, delivery.acknowledged) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["absent.parquet"], "there is no file"),
        (["--speed", "0"], "neither a positive number nor max"),
        (["--speed", "fast"], "neither a positive number nor max"),
        (["--malformed-rate", "2"], "malformed-rate"),
        (["--cameras", "cam_99"], "holds no detection of these cameras"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(main, ["replay", *arguments])
    assert result.exit_code != 0
    assert text in result.output
