"""One story on real servers: a worker of role streams is fed, killed, started again and stopped."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from models.cameras.window_rows import decode_window_row
from tests.ports import free_port
from tests.verification.compare import Comparison, FoundRow, compare_rows, found_row, read_topic
from tests.verification.letters import compare_dead_letters
from tests.verification.log import LogRecord, end_offsets, read_log
from tests.verification.truth import RowKey, Rules, Truth, truth_of
from trafficapp.commands.inspection import camera_reports
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state_rows import partition_key
from trafficapp.settings import Settings, load_settings
from trafficapp.sources.delivery import Delivery
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.state_logs import camera_state_log
from trafficapp.stores.administration.dead_letters import newest_dead_letters
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW, METRICS, declared_topics
from trafficapp.windows.cameras import decode_camera_row
from trafficapp.windows.partition import decode_partition_row

_Result = TypeVar("_Result")

ROOT = Path(__file__).resolve().parents[3]
IDLE_SECONDS = 3.0
WINDOW_MS = 5000
_RUN = secrets.token_hex(3)
#: The names of the first three begin alike; the last one falls silent.
CAMERAS = (f"t{_RUN}", f"t{_RUN}/1", f"t{_RUN}é 2")
SILENT = f"t{_RUN}-silent"


def event(camera_id: str, time_ms: int, frame_id: int, **fields: object) -> dict[str, object]:
    """A good detection; fields set to ... are left out."""
    message = {
        "camera_id": camera_id,
        "timestamp": time_ms,
        "frame_id": frame_id,
        "vehicle_id": f"v{frame_id % 7}",
        "class": ("car", "bus", "truck")[frame_id % 3],
        "confidence": 0.9,
        "bbox": {"x": frame_id % 50, "y": 10, "w": 40, "h": 20},
        "lane_id": (None, 0, 1)[frame_id % 3],
        "speed_estimate": (frame_id * 7) % 60,
    } | fields
    return {name: value for name, value in message.items() if value is not ...}


@dataclass
class Story:
    """What was sent and what came of it: the records of this run alone, whatever the topics held before."""

    settings: Settings
    environment: dict[str, str]
    web_port: int
    folder: Path
    first: dict[int, int]
    base_ms: int
    rules: Rules
    refused: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    stop_seconds: float = 0.0
    answers: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, list[LogRecord]] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        return self.settings.kafka.bootstrap_servers

    def read(self, topic: str) -> list[LogRecord]:
        """The records of a topic without ticks; once the story is over, it is read no more."""
        if topic in self.kept:
            return self.kept[topic]
        records = list(read_log(self.bootstrap, topic))
        if self.exit_code is not None:
            self.kept[topic] = records
        return records

    def log(self) -> list[LogRecord]:
        """Our events."""
        return [r for r in self.read(EVENTS_RAW) if r.offset >= self.first.get(r.partition, 0)]

    def truth(self) -> Truth:
        return truth_of(self.log(), self.rules)

    def rows(self) -> list[LogRecord]:
        """Our rows on ``traffic.metrics``."""
        keys = {camera.encode() for camera in (*CAMERAS, SILENT)}
        return [record for record in self.read(METRICS) if record.key in keys]

    def found(self) -> tuple[dict[RowKey, FoundRow], Comparison]:
        repeats = Comparison("repeats")
        return read_topic(self.rows(), repeats), repeats

    def letters(self) -> list[LogRecord]:
        """Dead letters of our events."""
        letters = []
        for record in self.read(DEAD_LETTERS):
            fields = json.loads(record.value or b"")
            if fields["offset"] >= self.first.get(fields["partition"], 0):
                letters.append(record)
        return letters

    @contextmanager
    def worker(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker that does not outlive the block."""
        command = [sys.executable, "-m", "faust", "-A", "trafficapp", "--datadir", str(self.folder)]
        command += ["worker", "-l", "info", "--web-port", str(self.web_port)]
        with (
            (self.folder / "worker.log").open("ab") as log,
            subprocess.Popen(  # noqa: S603 - our own command
                command, env=self.environment | environment, cwd=ROOT, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def get(self, path: str) -> tuple[Any, dict[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
            return json.loads(answer.read()), dict(answer.headers)

    def wait(self, what: str, ask: Callable[[], _Result], seconds: float = 180) -> _Result:
        """Ask until the answer is true."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if answer := ask():
                    return answer
            except (OSError, urllib.error.URLError):
                pass
            if time.monotonic() > deadline:
                log = (self.folder / "worker.log").read_text(errors="replace")
                pytest.fail(f"{what} did not happen within {seconds:g} s\n{log[-5000:]}")
            time.sleep(0.2)

    # ------------------------------------------------------------------ what is sent

    def send(self, *messages: tuple[bytes | None, bytes | None]) -> None:
        delivery = Delivery(self.settings, EVENTS_RAW, linger_ms=1)
        for key, value in messages:
            delivery.send(key, value)
        assert delivery.flush(30) == 0
        assert delivery.rejected.total() == 0

    def good(self, windows: range, cameras: tuple[str, ...] = CAMERAS) -> list[tuple[bytes, bytes]]:
        """Ten detections of each camera in each window, a little out of order."""
        messages = []
        for window in windows:
            for step in (0, 2, 1, 3, 4, 6, 5, 7, 9, 8):
                for camera in cameras:
                    fields: dict[str, object] = {"speed_estimate": ...} if camera == CAMERAS[1] else {}
                    frame = window * 10 + step
                    message = event(camera, self.base_ms + window * WINDOW_MS + step * 480, frame, **fields)
                    messages.append((camera.encode(), json.dumps(message).encode()))
        return messages

    def bad(self, window: int) -> list[tuple[bytes | None, bytes | None]]:
        """One message for each reason to refuse one, and one that is as large as may be."""
        camera, time_ms = CAMERAS[0], self.base_ms + window * WINDOW_MS
        key = camera.encode()

        def bad(reason: str, value: bytes | dict[str, object] | None, key: bytes | None = key) -> None:
            self.refused[reason] = self.refused.get(reason, 0) + 1
            messages.append((key, json.dumps(value).encode() if isinstance(value, dict) else value))

        messages: list[tuple[bytes | None, bytes | None]] = []
        bad("empty", None)
        bad("not_json", b'{"camera_id": "x')
        bad("not_json", b"\xff\xfe" * 495_000)
        bad("missing_field", event(camera, time_ms, 1, bbox=...))
        bad("invalid_field", event(camera, time_ms, 2, confidence=1.5))
        bad("invalid_timestamp", event(camera, time_ms, 3, timestamp="yesterday"))
        bad("unknown_class", event(camera, time_ms, 4, **{"class": "cow"}))
        bad("impossible_speed", event(camera, time_ms, 5, speed_estimate=4000))
        bad("key_mismatch", event(camera, time_ms, 6), b"somebody else")
        bad("future", event(camera, time_ms + 3_600_000, 7))
        bad("late", event(camera, self.base_ms, 8))
        return messages


@pytest.fixture(scope="module")
async def story(
    stack: Endpoints,
    kafka_bootstrap: str,
    database_url: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """Tell the story once; the tests look at its end."""
    folder = tmp_path_factory.mktemp("pipeline")
    app_id, web_port = f"test-pipeline-{_RUN}", free_port()
    environment = {
        **os.environ,
        **Endpoints(kafka_bootstrap, database_url, redis_url).environment(),
        "PYTHONUNBUFFERED": "1",
        "TRAFFICAPP_APP_ID": app_id,
        "TRAFFICAPP_DATA_DIR": str(folder),
        "TRAFFICAPP_WEB__PORT": str(web_port),
        "TRAFFICAPP_WORKER__ROLE": "streams",
        "TRAFFICAPP_WINDOWS__IDLE_TIMEOUT_SECONDS": str(IDLE_SECONDS),
        "TRAFFICAPP_WINDOWS__TICK_SECONDS": "0.5",
    }
    settings = load_settings(app_id=app_id, kafka={"bootstrap_servers": kafka_bootstrap})
    await create_topics(settings, declared_topics(settings))
    # twenty windows that ended a little while ago
    base_ms = int(time.time() * 1000) // WINDOW_MS * WINDOW_MS - 20 * WINDOW_MS
    first = end_offsets(kafka_bootstrap, EVENTS_RAW)
    told = Story(settings, environment, web_port, folder, first, base_ms, Rules.from_settings(settings))
    _tell(told)
    return told


def _tell(story: Story) -> None:
    with story.worker() as worker:
        story.answers["health"] = story.wait("health", lambda: story.get("/health")[0])
        story.send(*story.good(range(2), (SILENT,)), *story.good(range(5)))
        story.wait("a closed window", story.rows)
        # killed with work at hand: some of it is done, of some only the rows are out
        story.send(*story.good(range(6, 10)))
        worker.kill()
    story.send(*story.good(range(10, 12)), *story.good(range(11, 12)), *story.bad(12))
    away = f"redis://127.0.0.1:{free_port()}/0"
    with story.worker(REDIS_URL=away) as worker:
        right = story.truth()
        story.wait("every row", lambda: story.found()[0].keys() >= right.rows.keys())
        story.wait("every dead letter", lambda: len(story.letters()) >= len(right.dead_letters))
        story.answers["without redis"] = story.get("/health")[0]
        for camera in (*CAMERAS, SILENT):
            path = f"/metrics/current?camera_id={quote(camera, safe='')}"
            story.answers[camera] = story.wait("rows of the newest window", lambda path=path: _newest(story, path))  # type: ignore[misc]
        worker.send_signal(signal.SIGTERM)
        began = time.monotonic()
        story.exit_code = worker.wait(30)
        story.stop_seconds = time.monotonic() - began


def _newest(story: Story, path: str) -> Any:
    """Rows of the newest window, once it is the last one that was sent."""
    with closing(urllib.request.urlopen(f"http://127.0.0.1:{story.web_port}{path}", timeout=10)) as answer:
        assert answer.headers["X-Data-Source"] == "local"
        window = json.loads(answer.read())
        rows = [window, *window.pop("lanes")]
    newest = max(found_row(json.loads(r.value or b""))[0].start_us for r in story.rows() if _is(r, rows[0]))
    return rows if found_row(dict(rows[0]))[0].start_us == newest else None


def _is(record: LogRecord, row: dict[str, Any]) -> bool:
    return record.key == str(row["camera_id"]).encode()


def test_every_row_is_right_whatever_was_killed(story: Story) -> None:
    truth, (found, repeats) = story.truth(), story.found()
    assert {key.camera_id for key in truth.rows} == {*CAMERAS, SILENT}
    assert truth.counted == 10 * (2 + 3 * 11)
    assert truth.repeated == 3 * 10
    compared = compare_rows("rows", truth.rows, found, story.rules)
    assert compared.equal, str(compared)
    # rows that the second worker sent again are the same, byte for byte
    assert repeats.equal, str(repeats)


def test_every_refused_message_is_a_dead_letter_with_its_reason(story: Story) -> None:
    truth = story.truth()
    assert dict(truth.rejected) == story.refused
    assert len(story.refused) == 10
    compared = compare_dead_letters(truth.dead_letters, story.log(), story.letters())
    assert compared.equal, str(compared)


def test_a_silent_camera_is_closed_after_the_idle_time_out_and_not_before(story: Story) -> None:
    sent = max(r.timestamp_ms for r in story.log() if r.key == SILENT.encode())
    rows = [r for r in story.rows() if r.key == SILENT.encode()]
    last = max(decode_window_row(r.value or b"").window_start for r in rows)
    closed = min(r.timestamp_ms for r in rows if decode_window_row(r.value or b"").window_start == last)
    assert closed - sent >= 1000


async def test_the_state_is_written_at_the_end(story: Story) -> None:
    assert story.exit_code == 0
    assert story.stop_seconds < 10
    outbox = Outbox(story.settings)
    try:
        loaded = await camera_state_log(story.settings, outbox).load(sorted(story.first))
    finally:
        await outbox.stop()
    truth = story.truth()
    counted = repeated = late = 0
    for partition, rows in loaded.items():
        last = max((r.offset for r in story.log() if r.partition == partition), default=-1)
        # only ticks may stand behind
        assert decode_partition_row(rows[partition_key(partition)]).applied >= last
        cameras = {key.decode(): decode_camera_row(row) for key, row in rows.items() if key != partition_key(partition)}
        for name, camera in cameras.items():
            if name in (*CAMERAS, SILENT):
                counted, repeated, late = counted + camera.counted, repeated + camera.repeated, late + camera.late
                assert camera.windows == {}
    assert (counted, repeated, late) == (truth.counted, truth.repeated, truth.rejected["late"])


async def test_a_report_tells_of_a_camera(story: Story) -> None:
    right = [key for key in story.truth().rows if key.camera_id == CAMERAS[1]]
    (report,) = await camera_reports(story.settings, CAMERAS[1], 5)
    assert report.lag <= 1  # a tick that was sent while the worker stopped
    assert report.state.newest_us == (story.base_ms + 11 * WINDOW_MS + 9 * 480) * 1000
    assert report.state.closed_until_us == (story.base_ms + 12 * WINDOW_MS) * 1000
    assert len(report.rows) == 5
    assert report.rows[-1].window_start == decode_window_row(_last(story, CAMERAS[1])).window_start
    (longer,) = await camera_reports(story.settings, CAMERAS[1], 1000)
    assert len(longer.rows) >= len(right)
    assert await camera_reports(story.settings, f"{CAMERAS[0]}/", 5) == []


def _last(story: Story, camera: str) -> bytes:
    value = [record.value for record in story.rows() if record.key == camera.encode()][-1]
    assert value is not None
    return value


async def test_the_newest_dead_letters_are_shown_with_their_reasons(story: Story) -> None:
    letters = await newest_dead_letters(story.settings, 1000)
    ours = {(one.partition, one.offset): one for one in letters if one.offset >= story.first.get(one.partition, 0)}
    right = {place: next(iter(reasons)) for place, reasons in story.truth().dead_letters.items()}
    assert {place: one.reason for place, one in ours.items()} == right
    assert max(len(one.value or b"") for one in ours.values()) == 990_000
    assert await newest_dead_letters(story.settings, 2) == letters[-2:]


def test_the_worker_serves_what_it_knows(story: Story) -> None:
    assert story.answers["health"] == {"status": "ok", "kafka": "ok", "postgres": "ok", "redis": "ok"}
    degraded = {"status": "degraded", "kafka": "ok", "postgres": "ok", "redis": "unreachable"}
    assert story.answers["without redis"] == degraded
    found, _ = story.found()
    for camera in (*CAMERAS, SILENT):
        rows = dict(found_row(dict(row)) for row in story.answers[camera])
        newest = max(key.start_us for key in found if key.camera_id == camera)
        assert rows == {k: row for k, row in found.items() if (k.camera_id, k.start_us) == (camera, newest)}
        lanes = [row["lane_id"] for row in story.answers[camera]]
        assert lanes == [None, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("camera", CAMERAS[0]), ("newest event", "final until", "lag of the partition", "Last final rows")),
        (("camera", "nobody"), ("no worker has seen a camera 'nobody'",)),
        (("dead-letters", "--last", "500"), ("late", "key_mismatch", "not_json")),
    ],
)
def test_the_commands_print_it(story: Story, arguments: tuple[str, ...], told: tuple[str, ...]) -> None:
    printed = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "faust", "-A", "trafficapp", "--datadir", str(story.folder), *arguments],
        env=story.environment | {"COLUMNS": "250"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    for text in told:
        assert text in printed.stdout + printed.stderr
