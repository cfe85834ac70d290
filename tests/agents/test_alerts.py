"""A worker of role alerts on real servers: killed in between, it goes on as if it had not been."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.alerts import AlertEvent, decode_alert_event
from models.quiet_cameras import QuietCamera, encode_quiet_camera
from models.timestamps import epoch_us
from models.window_rows import WindowRow, encode_window_row
from tests.agents.test_pipeline import free_port
from tests.alerts.windows import spelled, steps, window
from tests.verification.log import read_log
from trafficapp.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.sources.delivery import Delivery
from trafficapp.stack.endpoints import Endpoints
from trafficapp.topics import ALERTS, METRICS, declared_topics, quiet_cameras

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


def send(settings: Settings, rows: list[WindowRow]) -> None:
    delivery = Delivery(settings, METRICS, linger_ms=1)
    for row in rows:
        delivery.send(row.camera_id.encode(), encode_window_row(row))
    assert delivery.flush(30) == 0


def say_quiet(settings: Settings, row: WindowRow) -> None:
    delivery = Delivery(settings, quiet_cameras(settings), linger_ms=1)
    quiet = QuietCamera(row.camera_id, epoch_us(row.window_end))
    delivery.send(row.camera_id.encode(), encode_quiet_camera(quiet))
    assert delivery.flush(30) == 0


def told(settings: Settings) -> dict[tuple[str, int], bytes]:
    """The steps of our camera; one that was sent again must be the same."""
    found: dict[tuple[str, int], bytes] = {}
    for record in read_log(settings.kafka.bootstrap_servers, ALERTS):
        if record.key == CAMERA.encode():
            step = decode_alert_event(record.value or b"")
            assert found.setdefault((step.id, step.revision), record.value or b"") == record.value
    return found


def wait_for(settings: Settings, count: int, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while len(told(settings)) < count:
        assert time.monotonic() < deadline, (folder / "worker.log").read_text(errors="replace")[-5000:]
        time.sleep(0.2)


def exposition(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


async def test_alerts_live_on_when_their_worker_is_killed(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = load_settings(
        app_id=f"test-alerts-{secrets.token_hex(4)}", kafka={"bootstrap_servers": stack.kafka_bootstrap_servers}
    )
    await create_topics(settings, declared_topics(settings))
    endpoints = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    environment = {**os.environ, **endpoints.environment(), "TRAFFICAPP_WORKER__ROLE": "alerts"}
    environment["TRAFFICAPP_DATA_DIR"] = str(tmp_path)
    rows = [window(number, row.congestion_level[0], CAMERA) for number, row in enumerate(spelled("LHHHSMLLLLLLLHHL"))]
    right: list[AlertEvent] = steps(rows, update_seconds=settings.alerts.update_seconds)
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
    assert found == steps([*rows, window(999, "?", CAMERA)], update_seconds=settings.alerts.update_seconds)
    assert [step.action for step in found] == ["opened", "updated", "updated", "resolved", "opened", "resolved"]
    # other tests' cameras may have been counted, too
    assert 'b2_alerts_total{action="updated",alert_type="congestion"}' in counted
