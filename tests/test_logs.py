"""Every line of a worker that logs as JSON is one object, from its banner to its end."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import secrets
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.ports import free_port
from trafficapp import logs
from trafficapp.logs import Escaping, JsonFormatter
from trafficapp.stores.migrations import migrate
from trafficapp.worker_logs import ColouredFormatter, PlainFormatter, logging_config

ROOT = Path(__file__).resolve().parents[1]
FIELDS = {"time", "level", "logger", "message", "role"}


@contextmanager
def json_logs() -> Iterator[io.StringIO]:
    """What is logged after `install`; everything is put back afterwards."""
    root = logging.getLogger()
    kept = (sys.stdout, sys.stderr, sys.excepthook, threading.excepthook, logging.raiseExceptions)
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.install("streams", "info", stream)
    try:
        yield stream
    finally:
        sys.stdout, sys.stderr, sys.excepthook, threading.excepthook, logging.raiseExceptions = kept
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_everything_becomes_a_record() -> None:
    with json_logs() as lines:
        say_all_kinds_of_things()
    check(records(lines))


def say_all_kinds_of_things() -> None:
    logging.getLogger("a.b").warning("%s lanes\nclosed 😀 \udc80", 3)
    logging.getLogger("a.b").debug("not told")
    logging.getLogger("a.b").info("wrong %d", "arguments")
    print("printed", end="")
    print(", once")
    print("more", file=sys.stderr)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("a").exception("failed")
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]


def check(told: list[dict[str, Any]]) -> None:
    assert all(record.keys() >= FIELDS and record["role"] == "streams" for record in told)
    assert [(record["logger"], record["level"]) for record in told] == [
        ("a.b", "WARNING"),
        ("a.b", "INFO"),
        ("stdout", "INFO"),
        ("stderr", "WARNING"),
        ("py.warnings", "WARNING"),
        ("a", "ERROR"),
        ("uncaught", "CRITICAL"),
    ]
    assert told[0]["message"] == "3 lanes\nclosed 😀 \\udc80"
    assert told[2]["message"] == "printed, once"
    assert "ValueError: no" in told[5]["exc_info"]


def test_time_is_rfc_3339_in_utc() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "", None, None)
    record.created = 1768374000.25
    assert json.loads(JsonFormatter("live").format(record))["time"] == "2026-01-14T07:00:00.250Z"


async def test_a_worker_from_its_first_line_to_its_last(
    kafka_bootstrap: str, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """The same worker shows when it lives and when it is ready."""
    await asyncio.to_thread(migrate, database_url)
    port, metrics_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TRAFFICAPP_APP_ID": f"logs-{secrets.token_hex(4)}",
        "TRAFFICAPP_WORKER__ROLE": "live",
        "TRAFFICAPP_WEB__PORT": str(port),
        "PROCESSOR_METRICS_PORT": str(metrics_port),
        "TRAFFICAPP_LOGGING__FORMAT": "json",
        "PYTHONUNBUFFERED": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faust", "-A", "trafficapp", "--datadir", str(tmp_path), "worker", "-l", "info"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        seen = await ready(url, process)
        async with aiohttp.ClientSession() as session, session.get(f"{url}/cameras?x={'y' * 9000}") as too_long:
            assert (too_long.status, too_long.content_type) == (414, "application/problem+json")
        metrics = f"http://127.0.0.1:{metrics_port}/"
        async with aiohttp.ClientSession() as session, session.get(metrics) as families:
            assert 'b2_build_info{app_id="logs-' in await families.text()
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert not [line for line in output.splitlines() if not line.startswith(b"{")]
    told = [json.loads(line) for line in output.splitlines()]
    assert all(record.keys() >= FIELDS and record["role"] == "live" for record in told)
    assert all(datetime.fromisoformat(record["time"]).tzinfo is not None for record in told)
    loggers = {record["logger"] for record in told}
    assert "stdout" in loggers  # Faust's banner
    assert any(name.startswith("mode") or name.startswith("faust") for name in loggers)
    assert "trafficapp.engine.app" in loggers
    assert seen[-1] == (200, 200)
    # alive before it is ready, ready never before it is alive
    assert all(state in ((200, 503), (200, 200)) for state in seen)


async def ready(url: str, process: asyncio.subprocess.Process) -> list[tuple[int, int]]:
    """What ``/health/live`` and ``/health/ready`` answer, from the first answer until the worker is ready."""
    seen: list[tuple[int, int]] = []
    async with aiohttp.ClientSession() as session, asyncio.timeout(180):
        while (not seen or seen[-1][1] != 200) and process.returncode is None:
            try:
                async with session.get(f"{url}/health/live") as live, session.get(f"{url}/health/ready") as is_ready:
                    seen.append((live.status, is_ready.status))
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    return seen


OUTSIDE = "odd\n[2026-11-30 00:00:00,000] [1] [ERROR]: forged\x1b[2J\u202eback\x9b1m\u2028end"


def told_as_text(formatter: logging.Formatter, name: str = "web.x") -> list[str]:
    """The lines of a record with everything from outside."""
    try:
        raise ValueError(OUTSIDE)
    except ValueError:
        trace = sys.exc_info()
        record = logging.LogRecord(name, logging.INFO, __file__, 1, "camera %s", (OUTSIDE,), trace, "f", OUTSIDE)
    return formatter.format(record).split("\n")


@pytest.mark.parametrize("kind", [Escaping, PlainFormatter, ColouredFormatter])
def test_what_comes_from_outside_is_no_line_of_its_own(kind: type[logging.Formatter]) -> None:
    first, *below = told_as_text(kind(fmt="%(message)s"))
    assert first == r"camera odd\n[2026-11-30 00:00:00,000] [1] [ERROR]: forged\x1b[2J\u202eback\x9b1m\u2028end"
    assert all(line.startswith("  ") for line in below)
    assert len(below) > 3
    for hidden in "\x1b\u202e\x9b\u2028\r":
        assert not [line for line in below if hidden in line]


def test_a_worker_logs_so() -> None:
    formatters = logging_config()["formatters"]
    assert {name: Escaping in told["()"].__mro__ for name, told in formatters.items()} == {
        "default": True,
        "colored": True,
    }


def test_tables_of_faust_keep_their_lines() -> None:
    first, *below = told_as_text(PlainFormatter("%(message)s"), "faust.app")
    assert first == "camera odd"
    assert all(line.startswith("  ") for line in below)


def test_json_shows_what_a_text_hides_and_means_the_same() -> None:
    record = logging.LogRecord("web.x", logging.INFO, __file__, 1, "camera %s", (OUTSIDE + "\U000e0041",), None)
    line = JsonFormatter("streams").format(record)
    assert line.isprintable()
    assert json.loads(line)["message"] == f"camera {OUTSIDE}\U000e0041"
