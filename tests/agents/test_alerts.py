"""A worker of role alerts on real servers: killed in between, it goes on as if it had not been."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from agents.alerts import absence_of
from models.alerts import AlertEvent, decode_alert_event
from models.cameras.quiet_cameras import AFTER_QUIET_HEADER, QuietCamera, encode_quiet_camera
from models.cameras.window_rows import WindowRow, encode_window_row
from models.timestamps import epoch_us
from tests.alerts.windows import end_us, fresh, records, spelled, steps, window
from tests.ports import free_port
from tests.verification.log import read_log
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import ALERTS, METRICS, declared_topics, quiet_cameras
from trafficapp.windows.rules import partition_rules, quiet_limit_us

ROOT = Path(__file__).resolve().parents[2]
CAMERA = f"alerts-{secrets.token_hex(4)}"


@contextmanager
def worker(
    settings: Settings, environment: dict[str, str], folder: Path
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    with (
        (folder / "worker.log").open("a", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "faust", "-A", "trafficapp", "worker", "-l", "info", "--web-port", str(port)],
            env=environment | {"TRAFFICAPP_APP_ID": settings.app_id, "TRAFFICAPP_WEB__PORT": str(port)},
            cwd=ROOT,
            stdout=log,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process, port
        finally:
            process.kill()


def produce(
    settings: Settings,
    topic: str,
    camera_id: str,
    values: Iterable[bytes | None],
    *,
    headers: Sequence[tuple[str, bytes]] = (),
    age_seconds: float = 0.0,
) -> None:
    """Have records of a camera written, as if they were so old when their topic lets producers say so."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "partitioner": "murmur2_random"})
    written_ms = round((time.time() - age_seconds) * 1000)
    for value in values:
        producer.produce(topic, value, camera_id.encode(), headers=list(headers), timestamp=written_ms)
    assert producer.flush(30) == 0


def send(settings: Settings, rows: Iterable[WindowRow], camera_id: str = CAMERA) -> None:
    produce(settings, METRICS, camera_id, map(encode_window_row, rows))


def say_quiet(settings: Settings, row: WindowRow, age_seconds: float = 0.0) -> None:
    quiet = encode_quiet_camera(QuietCamera(row.camera_id, epoch_us(row.window_end)))
    produce(settings, quiet_cameras(settings), row.camera_id, [quiet], age_seconds=age_seconds)


def told(settings: Settings, camera_id: str = CAMERA) -> dict[tuple[str, int], bytes]:
    """The steps of our camera; one that was sent again must be the same."""
    found: dict[tuple[str, int], bytes] = {}
    for record in read_log(settings.kafka.bootstrap_servers, ALERTS):
        if record.key == camera_id.encode():
            step = decode_alert_event(record.value or b"")
            assert found.setdefault((step.id, step.revision), record.value or b"") == record.value
    return found


def wait_for(settings: Settings, count: int, folder: Path, camera_id: str = CAMERA) -> None:
    deadline = time.monotonic() + 180
    while len(told(settings, camera_id)) < count:
        assert time.monotonic() < deadline, (folder / "worker.log").read_text(errors="replace")[-5000:]
        time.sleep(0.2)


def exposition(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


async def deployed(
    stack: Endpoints, database_url: str, redis_url: str, folder: Path
) -> tuple[Settings, dict[str, str]]:
    settings = load_settings(
        app_id=f"test-alerts-{secrets.token_hex(4)}", kafka={"bootstrap_servers": stack.kafka_bootstrap_servers}
    )
    await create_topics(settings, declared_topics(settings))
    endpoints = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    environment = {**os.environ, **endpoints.environment(), "TRAFFICAPP_WORKER__ROLE": "alerts"}
    environment["TRAFFICAPP_DATA_DIR"] = str(folder)
    return settings, environment


async def test_alerts_live_on_when_their_worker_is_killed(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings, environment = await deployed(stack, database_url, redis_url, tmp_path)
    rows = [window(number, row.congestion_level[0], CAMERA) for number, row in enumerate(spelled("LHHHSMLLLLLLLHHL"))]
    delay_seconds, update_seconds = settings.alarms.on_delay_seconds, settings.alerts.update_seconds
    right: list[AlertEvent] = steps(rows, delay_seconds, update_seconds=update_seconds)
    with worker(settings, environment, tmp_path) as (process, _):
        send(settings, rows[:5])
        wait_for(settings, 2, tmp_path)
        process.kill()
    # the windows' worker was killed as well, and sends some again
    send(settings, rows[3:])
    with worker(settings, environment, tmp_path) as (process, port):
        wait_for(settings, len(right), tmp_path)
        # the windows say that no more are finished: what the next window would tell is told now
        say_quiet(settings, rows[-1])
        wait_for(settings, len(right) + 1, tmp_path)
        counted = exposition(port)
        process.terminate()
        assert process.wait(30) == 0
    found = [decode_alert_event(value) for value in told(settings).values()]
    right = steps([*rows, window(999, "?", CAMERA)], delay_seconds, update_seconds=update_seconds)
    assert found == right
    assert [step.action for step in found] == ["opened", "updated", "updated", "resolved", "opened", "resolved"]
    # other tests' cameras may have been counted, too
    assert 'b2_alerts_total{action="updated",alert_type="congestion"}' in counted


async def test_whenever_it_is_heard_that_a_camera_is_quiet_its_alert_ends_the_same(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings, environment = await deployed(stack, database_url, redis_url, tmp_path)
    camera_id = f"quiet-{secrets.token_hex(4)}"
    rows = [window(number, level, camera_id) for number, level in enumerate("LLSSSS")]
    delay_seconds, update_seconds = settings.alarms.on_delay_seconds, settings.alerts.update_seconds
    right = fresh(None, delay_seconds, update_seconds=update_seconds).apply(records(rows[:4], after_quiet=2))
    with worker(settings, environment, tmp_path) as (process, _):
        send(settings, rows[:3], camera_id)
        wait_for(settings, 1, tmp_path, camera_id)
        process.kill()
    # it is said while nobody listens, hours before anybody does again, among much that tells nothing
    many = (encode_quiet_camera(QuietCamera(f"once-{number}", 1)) for number in range(5000))
    produce(settings, quiet_cameras(settings), camera_id, [*many, None, b"{", b'{"camera_id":1}'])
    say_quiet(settings, rows[2], age_seconds=5 * 3600)
    with worker(settings, environment, tmp_path) as (process, _):
        wait_for(settings, 2, tmp_path, camera_id)
        process.kill()
    # the camera uploads its backlog; who takes over may or may not have heard that it was quiet
    after_quiet = [(AFTER_QUIET_HEADER, b"%d" % end_us(2))]
    produce(settings, METRICS, camera_id, [encode_window_row(rows[3])], headers=after_quiet)
    produce(
        settings, METRICS, camera_id, [None, b"{", b"[" * 100_000, encode_window_row(window(3, "S", "\0partition-0"))]
    )
    send(settings, rows[4:], camera_id)
    beyond = window(2 + 48 + 1, "S", camera_id)
    send(settings, [beyond], camera_id)
    with worker(settings, environment, tmp_path) as (process, _):
        wait_for(settings, 3, tmp_path, camera_id)
        process.terminate()
        assert process.wait(30) == 0
    found = [decode_alert_event(value) for value in told(settings, camera_id).values()]
    assert found[:2] == right
    assert [(step.action, step.revision) for step in found] == [("opened", 1), ("resolved", 2), ("opened", 1)]
    assert found[1].resolved_at == beyond.window_start
    assert found[2].triggered_at == beyond.window_end


def test_the_windows_forget_no_camera_before_its_alerts_are_known_to_be_over() -> None:
    settings = Settings()
    absence, remembering = absence_of(settings), partition_rules(settings).remembering
    assert absence.lasting_windows >= remembering.lasting_windows
    assert quiet_limit_us(settings) < absence.few_us < remembering.made_up_us
    assert absence.few_us < absence.us < remembering.forget_us
    # whatever is set, it is longer than windows of a camera that is there are apart
    least = absence_of(Settings(windows={"forget_made_up_minutes": 1, "forget_days": 0.001}))
    assert min(least.few_us, least.us) >= 60_000_000
