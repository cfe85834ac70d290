"""Workers whose topics change under them: partitions added, made anew, records deleted; and beginning anew."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from click.testing import CliRunner, Result
from confluent_kafka import ConsumerGroupState

from tests.agents.test_alerts import exposition, worker
from tests.conftest import delete_topics
from tests.roads.feed_messages import message
from tests.verification.log import read_log
from trafficapp.cli import main
from trafficapp.engine.fatal import Exit
from trafficapp.engine.kafka import create_topics, end_offsets
from trafficapp.engine.kafka_topics import TopicAdmin
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stores.migrations import migrate
from trafficapp.topics import (
    DEAD_LETTERS,
    EVENTS_RAW,
    METRICS,
    ROADS_RAW,
    TopicDeclaration,
    camera_state_changelog,
    declared_topics,
    road_feed_changelog,
    road_observations,
)

WITHIN_SECONDS = 180


class Place:
    """An application on servers of its own, whose topics are made anew for each test."""

    def __init__(self, endpoints: Endpoints, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.endpoints, self.folder, self.now = endpoints, folder, time.time()
        self.bootstrap = str(endpoints.kafka_bootstrap_servers)
        self.settings: Settings = load_settings(
            app_id=f"changed-{secrets.token_hex(3)}",
            kafka={"bootstrap_servers": self.bootstrap, "partitions": 2},
        )
        self.admin = TopicAdmin(self.settings)
        self.environment = {
            **endpoints.environment(),
            "TRAFFICAPP_APP_ID": self.settings.app_id,
            "TRAFFICAPP_KAFKA__PARTITIONS": "2",
            "TRAFFICAPP_DATA_DIR": str(folder),
        }
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        make_anew(self.settings, declared_topics(self.settings))
        migrate(str(endpoints.database_url))
        with psycopg.connect(str(endpoints.database_url), autocommit=True) as connection:
            connection.execute("TRUNCATE sink_offsets, traffic_events")

    @contextmanager
    def worker(self, role: str, **environment: str) -> Iterator[tuple[Popen[str], int]]:
        (self.folder / "worker.log").write_text("")
        variables = {**os.environ, **self.environment, "TRAFFICAPP_WORKER__ROLE": role, **environment}
        with worker(self.settings, variables, self.folder) as (process, port):
            yield process, port
            # it writes its state and leaves its group, for whose end the next one would wait otherwise
            process.terminate()
            process.wait(WITHIN_SECONDS)

    def log(self) -> str:
        return (self.folder / "worker.log").read_text(errors="replace")

    def wait_until(self, what: str) -> None:
        """Wait until a worker says something."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while what not in self.log():
            assert time.monotonic() < deadline, (what, self.log()[-4000:])
            time.sleep(0.1)

    def ends(self, process: Popen[str], status: Exit | None = None) -> str:
        """Wait until a worker has ended by itself; what it said."""
        code = process.wait(WITHIN_SECONDS)
        assert code == status if status is not None else code, (code, self.log()[-4000:])
        return self.log()

    def wait_until_nobody_works(self) -> None:
        """Wait until the broker has given up the workers that ended without leaving."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while any(
            state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
            for group, state in self.admin.groups().items()
            if group.startswith(self.settings.app_id)
        ):
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def command(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["topics", *arguments])

    def remake(self, name: str, partitions: int = 2) -> None:
        (topic,) = (one for one in declared_topics(self.settings) if one.name == name)
        self.admin.make_anew(topic, partitions)

    def send_events(self, camera: str, *seconds: int, partition: int = 0) -> None:
        values = []
        for second in seconds:
            detection = {
                "camera_id": camera,
                "timestamp": self.now - 600 + second,
                "frame_id": second,
                "vehicle_id": f"v{second}",
                "class": "car",
                "confidence": 0.9,
                "bbox": {"x": 10.0, "y": 20.0, "w": 30.0, "h": 40.0},
            }
            values.append((camera.encode(), json.dumps(detection).encode()))
        asyncio.run(send(self.bootstrap, EVENTS_RAW, partition, values))

    def send_speeds(self, *seconds: int, partition: int = 0) -> None:
        times = {second: self.now - 600 + second for second in seconds}
        told = [message(event_id=f"e-{second}", road_id="a10", timestamp=at) for second, at in times.items()]
        values = [(b"a10", json.dumps(one).encode()) for one in told]
        asyncio.run(send(self.bootstrap, ROADS_RAW, partition, values))

    def windows(self, camera: str) -> set[str]:
        """Beginnings of the finished windows of a camera."""
        found = read_log(self.bootstrap, METRICS)
        return {json.loads(one.value or b"")["window_start"] for one in found if one.key == camera.encode()}

    def wait_for_windows(self, camera: str, count: int) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while len(self.windows(camera)) < count:
            assert time.monotonic() < deadline, (self.windows(camera), self.log()[-4000:])
            time.sleep(0.2)

    def wait_for_speeds(self, *seconds: int) -> None:
        deadline, found = time.monotonic() + WITHIN_SECONDS, set[str]()
        while not found >= {f"e-{second}" for second in seconds}:
            log = read_log(self.bootstrap, road_observations(self.settings))
            found = {json.loads(one.value or b"")["event_id"] for one in log}
            assert time.monotonic() < deadline, (found, self.log()[-4000:])
            time.sleep(0.2)

    def events_stored(self) -> int:
        with psycopg.connect(str(self.endpoints.database_url)) as connection:
            found = connection.execute("SELECT count(*) FROM traffic_events").fetchone()
            assert found is not None
            return int(found[0])

    def wait_for_events(self, count: int) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while self.events_stored() < count:
            assert time.monotonic() < deadline, self.log()[-4000:]
            time.sleep(0.2)


def make_anew(settings: Settings, topics: Iterable[TopicDeclaration]) -> None:
    """Delete topics, where they are there, and create them as declared: all at once, which the broker does quickly."""
    admin, wanted = TopicAdmin(settings), {topic.name: topic for topic in topics}
    before = admin.logs(wanted)
    delete_topics(settings.kafka.bootstrap_servers, before.__contains__)
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        asyncio.run(create_topics(settings, wanted.values()))
        now = admin.logs(wanted)
        # those that were deleted may be told of for a moment
        if all(name in now and now[name] != before.get(name) for name in wanted):
            return
        assert time.monotonic() < deadline, (before, now)
        time.sleep(0.1)


async def send(bootstrap: str, topic: str, partition: int, values: list[tuple[bytes, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for key, value in values:
            await producer.send_and_wait(topic, value, key, partition=partition)


@pytest.fixture(scope="module", autouse=True)
def topics_as_others_need_them(own_stack: Endpoints) -> Iterator[None]:
    """Leave the servers with topics of the usual number of partitions, and no offsets of those that are gone."""
    yield
    settings = load_settings(kafka={"bootstrap_servers": str(own_stack.kafka_bootstrap_servers)})
    make_anew(settings, [topic for topic in declared_topics(settings) if not topic.name.startswith(settings.app_id)])
    with psycopg.connect(str(own_stack.database_url), autocommit=True) as connection:
        connection.execute("TRUNCATE sink_offsets, traffic_events")


@pytest.fixture
def place(own_stack: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(own_stack, tmp_path, monkeypatch)


def test_added_partitions_are_refused_until_the_topic_is_begun_anew(place: Place) -> None:
    changelog = camera_state_changelog(place.settings)
    place.send_events("cam_1", 1, 9)
    with place.worker("streams") as (process, _):
        place.wait_for_windows("cam_1", 1)
        refused = place.command("begin-anew", EVENTS_RAW)
        assert refused.exit_code == 1
        assert f"workers are running: streams (consumer group {place.settings.app_id})" in refused.output
        place.admin.add_partitions(EVENTS_RAW, 3)
        said = place.ends(process, Exit.PARTITIONS_CHANGED)
    assert f"{EVENTS_RAW} has 3 partitions, and its state in {changelog} was made when it had 2" in said
    assert f"trafficapp topics begin-anew {EVENTS_RAW}" in said
    # a new process refuses, too, whatever its role
    for role in ("streams", "history"):
        with place.worker(role) as (process, _):
            said = place.ends(process)
        assert f"SettingsError: {EVENTS_RAW} has 3 partitions" in said
    place.wait_until_nobody_works()

    before = place.admin.logs([changelog, METRICS])
    planned = place.command("begin-anew", EVENTS_RAW, "--dry-run")
    assert planned.exit_code == 0, planned.output
    for step in (f"delete {changelog}", "create it with 3 partitions", f"give {METRICS} 3 partitions instead of 2"):
        assert step in planned.output
    assert place.admin.logs([changelog, METRICS]) == before
    done = place.command("begin-anew", EVENTS_RAW)
    assert done.exit_code == 0, done.output
    *steps, last = done.output.splitlines()
    assert all(step.endswith("... done") for step in steps)
    assert last == "now start the workers again"
    assert place.admin.logs([changelog])[changelog].partitions == 3
    assert place.admin.logs([METRICS])[METRICS].partitions == 3
    # everything that is in the topic is computed again, and what comes to the new partition, too
    place.send_events("cam_2", 1, 9, partition=2)
    finished = place.windows("cam_1")
    with place.worker("streams"):
        place.wait_for_windows("cam_2", 1)
        assert place.windows("cam_1") >= finished


def test_a_state_row_knows_how_many_partitions_there_were(place: Place) -> None:
    place.send_speeds(1)
    with place.worker("roads"):
        place.wait_for_speeds(1)
        place.wait_until("took over")
    # somebody adds partitions to both, so that they agree
    place.admin.add_partitions(ROADS_RAW, 3)
    place.admin.add_partitions(road_feed_changelog(place.settings), 3)
    place.admin.add_partitions(DEAD_LETTERS, 3)
    with place.worker("roads") as (process, _):
        said = place.ends(process, Exit.PARTITIONS_CHANGED)
    assert f"{ROADS_RAW}: what is kept was made when the topic had 2 partitions; it has 3 now" in said
    assert f"begin-anew {ROADS_RAW}" in said
    place.wait_until_nobody_works()
    assert place.command("begin-anew", ROADS_RAW).exit_code == 0
    place.send_speeds(2)
    with place.worker("roads"):
        place.wait_for_speeds(1, 2)


def test_a_topic_that_was_made_anew_and_has_outgrown_the_offsets_is_noticed(place: Place) -> None:
    place.send_speeds(1, 2)
    with place.worker("roads"):
        place.wait_for_speeds(1, 2)
    place.remake(ROADS_RAW)
    place.send_speeds(*range(3, 20))
    with place.worker("roads") as (process, _):
        said = place.ends(process, Exit.LOG_WENT_BACK)
    assert "what is kept is of the topic with the id" in said
    assert f"trafficapp topics begin-anew {ROADS_RAW}" in said
    place.wait_until_nobody_works()
    done = place.command("begin-anew", ROADS_RAW)
    assert done.exit_code == 0, done.output
    with place.worker("roads"):
        place.wait_for_speeds(*range(3, 20))


def test_offsets_of_history_are_of_the_topic_that_they_were_made_of(place: Place) -> None:
    place.send_events("cam_1", 1, 2, 3)
    place.send_events("cam_2", 1, partition=1)
    with place.worker("history"):
        place.wait_for_events(4)
    # partitions that are added move no offset: nothing is to be forgotten, or events would be stored twice
    place.admin.add_partitions(EVENTS_RAW, 3)
    place.wait_until_nobody_works()
    done = place.command("begin-anew", EVENTS_RAW)
    assert "sink_offsets" not in done.output
    place.send_events("cam_3", 1, partition=2)
    with place.worker("history"):
        place.wait_for_events(5)
    assert place.events_stored() == 5
    # another topic of that name has events that were never stored
    place.remake(EVENTS_RAW, 3)
    place.send_events("cam_1", *range(10, 20))
    with place.worker("history") as (process, _):
        said = place.ends(process, Exit.LOG_WENT_BACK)
    assert f"begin-anew {EVENTS_RAW}" in said
    place.wait_until_nobody_works()
    done = place.command("begin-anew", EVENTS_RAW)
    assert "remove 3 offsets from the table sink_offsets" in done.output
    with place.worker("history"):
        place.wait_for_events(15)
    assert place.events_stored() == 15


def test_a_topic_that_is_made_anew_while_it_is_read_is_noticed(place: Place) -> None:
    place.send_speeds(1, 2, 3)
    with place.worker("roads") as (process, _):
        place.wait_for_speeds(1, 2, 3)
        place.remake(ROADS_RAW)
        place.send_speeds(*range(4, 20))
        said = place.ends(process, Exit.LOG_WENT_BACK)
    assert ROADS_RAW in said.splitlines()[-1]
    with place.worker("roads") as (process, _):
        said = place.ends(process, Exit.LOG_WENT_BACK)
    assert f"begin-anew {ROADS_RAW}" in said


def test_records_that_retention_deletes_first_are_told_and_counted(place: Place) -> None:
    place.send_speeds(1, 2)
    with place.worker("roads"):
        place.wait_for_speeds(1, 2)
    place.send_speeds(*range(3, 13))
    asyncio.run(delete_before(place.bootstrap, ROADS_RAW, 8))
    with place.worker("roads") as (_, port):
        place.wait_for_speeds(*range(9, 13))
        counted = exposition(port)
    assert f"{ROADS_RAW}-0: records 2 to 7 were deleted by the topic's retention before they were read" in place.log()
    (count,) = re.findall(rf'b2_records_lost_total{{topic="{ROADS_RAW}"}} (\S+)', counted)
    assert float(count) == 6


async def delete_before(bootstrap: str, topic: str, offset: int) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await client.close()


def test_what_cannot_be_begun_anew_is_told(place: Place) -> None:
    for topic, told in (
        ("nobody-has-this", "is no topic of ours"),
        (DEAD_LETTERS, f"nothing is kept of {DEAD_LETTERS}"),
    ):
        refused = place.command("begin-anew", topic)
        assert (refused.exit_code, told in refused.output) == (1, True), refused.output


def test_a_setting_of_a_topic_is_brought_up_when_a_worker_starts(place: Place) -> None:
    place.admin.set_config(ROADS_RAW, "message.timestamp.type", "CreateTime")
    with place.worker("roads"):
        place.wait_until(f"changed a topic: {ROADS_RAW}: message.timestamp.type=LogAppendTime instead of CreateTime")
        place.wait_until("took over")
    config = place.admin.config(ROADS_RAW)
    assert config is not None
    assert config["message.timestamp.type"].value == "LogAppendTime"
    assert asyncio.run(end_offsets(place.settings, ROADS_RAW, [0])) == {0: 0}
    place.admin.set_config(ROADS_RAW, "message.timestamp.type", "CreateTime")
    created = place.command("create")
    assert f"changed {ROADS_RAW}: message.timestamp.type=LogAppendTime" in created.output
    assert asyncio.run(create_topics(place.settings, declared_topics(place.settings))) == []
