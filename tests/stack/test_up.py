"""`trafficapp up` on servers that exist already: the workers, the simulated city, and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.ports import free_port
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stack import workers
from trafficapp.stack.addresses import ADDRESSES
from trafficapp.stack.servers.endpoints import Endpoints

#: What fits a terminal as it opens.
SCREEN_LINES = 24


def ask(web_port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=5)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def wait_for_health(web_port: int, seconds: float = 180) -> dict[str, object]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            body: dict[str, object] = ask(web_port, "/health")
            return body
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline, "the worker did not come back"
            time.sleep(0.2)


def status(web_port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=5)
    connection.request("GET", path)
    return connection.getresponse().status


def wait_for_line(file: Path, text: str, seconds: float = 180) -> list[str]:
    """All lines, as soon as one has a text."""
    deadline = time.monotonic() + seconds
    while True:
        lines = file.read_text(encoding="utf-8").splitlines()
        if any(text in line for line in lines):
            return lines
        assert time.monotonic() < deadline, "\n".join(lines)
        time.sleep(0.2)


def wait_for_forty_cameras_and_all_roads(web_port: int, seconds: float = 180) -> None:
    """Until the page shows the whole simulated city, and forecasts of it; other tests left others behind."""
    deadline = time.monotonic() + seconds
    all_cameras = {f"cam_{number:02}" for number in range(1, 41)}
    all_roads = set(city_graph(RoadSettings()).edge_ids.tolist())
    while True:
        cameras = all_cameras - {row["camera_id"] for row in ask(web_port, "/metrics/current")}
        roads = all_roads - {row["road_id"] for row in ask(web_port, "/traffic/current")}
        forecasts = all_roads - {row["road_id"] for row in ask(web_port, "/api/predict/roads")}
        if not (cameras or roads or forecasts):
            return
        assert time.monotonic() < deadline, (cameras, roads, forecasts)
        time.sleep(0.5)


def test_up_plays_the_city_on_given_servers_and_brings_a_killed_worker_back(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    web_port = free_port(room=150)  # the workers behind the first one have ports up to a hundred higher
    given = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    command = [sys.executable, "-m", "trafficapp.cli", "up", "--data-dir", str(tmp_path / "data")]
    environment = {**os.environ, **given.environment(), "TRAFFICAPP_APP_ID": f"test-up-{os.getpid()}"}
    with (
        (tmp_path / "up.err").open("w", encoding="utf-8") as errors,
        subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--web-port", str(web_port)], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().strip()]
            # no terminal is there, so no password is printed
            assert lines == [f"ready http://127.0.0.1:{web_port}/"]
            assert (tmp_path / "data" / "stack.env").read_text().splitlines() == given.export_lines()
            told = wait_for_line(tmp_path / "up.err", "Ctrl-C stops")
            # what other tests left in the topics is told as well
            left = [line for line in told if re.search(r"offset \d+ is|at offset \d+", line)]
            assert len(told) - len(left) + len(lines) <= SCREEN_LINES, "\n".join(told)
            for path, what in ADDRESSES:
                assert any(f"http://127.0.0.1:{web_port}{path} " in line and line.endswith(what) for line in told)
                assert status(web_port, path) == 200
            assert sum("source | simulated city: " in line for line in told) == 1
            # what is not shown is in the files
            assert "[INFO]" in (tmp_path / "data" / "logs" / "worker-1.log").read_text()
            children = psutil.Process(process.pid).children()
            roles = sorted(child.environ().get("TRAFFICAPP_WORKER__ROLE", "source") for child in children)
            assert roles == ["alerts", "feeds", "history", "live", "roads", "source", "streams"]
            wait_for_forty_cameras_and_all_roads(web_port)
            streams = next(c for c in children if c.environ().get("TRAFFICAPP_WORKER__ROLE") == "streams")
            streams.kill()
            streams.wait(10)
            assert wait_for_health(web_port)["status"] == "ok"
            wait_for_line(tmp_path / "up.err", "worker-1 | was ended by SIGKILL; starting again")
            wait_for_line(tmp_path / "up.err", "worker-1 | is there again after")
            # the source has sent for a minute by now, and said so in its file alone
            assert not any("detections, event time" in line for line in wait_for_line(tmp_path / "up.err", ""))
            assert "detections, event time" in (tmp_path / "data" / "logs" / "source.log").read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert not any(child.is_running() for child in children)


def test_as_json_every_line_of_everybody_is_an_object(
    stack: Endpoints, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Lines of workers, of the supervisor, tracebacks, the banner, the addresses, and why a second one cannot start."""
    given = Endpoints(stack.kafka_bootstrap_servers, database_url, redis_url)
    command = [sys.executable, "-m", "trafficapp.cli", "up", "--no-demo", "--data-dir", str(tmp_path / "data")]
    environment = {
        **os.environ,
        **given.environment(),
        "TRAFFICAPP_APP_ID": f"test-up-json-{os.getpid()}",
        "TRAFFICAPP_LOGGING__FORMAT": "json",
    }
    file = tmp_path / "up.lines"
    with (
        file.open("w", encoding="utf-8") as lines,
        subprocess.Popen(command, env=environment, stdout=lines, stderr=subprocess.STDOUT) as process,  # noqa: S603
    ):
        try:
            wait_for_line(file, "Ctrl-C stops", 240)
            second = subprocess.run(  # noqa: S603 - our own command
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            live = next(
                child
                for child in psutil.Process(process.pid).children()
                if child.environ().get("TRAFFICAPP_WORKER__ROLE") == "live"
            )
            live.kill()
            wait_for_line(file, "is there again after")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert all(one.keys() >= {"time", "level", "logger", "message", "role", "process"} for one in told)
    assert {"up", "migrate", "topics", "worker-1", "history", "live", "alerts", "roads", "feeds"} == {
        one["process"] for one in told
    }
    assert {one["role"] for one in told if one["process"] == "worker-1"} == {"streams"}
    ended = next(one for one in told if "was ended by SIGKILL" in one["message"])
    assert (ended["process"], ended["level"]) == ("live", "WARNING")
    said = [one["message"] for one in told if one["process"] == "up"]
    assert any(message.startswith("ready http://127.0.0.1:") for message in said)
    assert not any("export " in message for message in said)
    assert any("| appdir " in one["message"] and one["process"] == "live" for one in told)  # Faust's banner
    assert second.returncode == 1
    assert [json.loads(line)["level"] for line in second.stdout.splitlines()] == ["ERROR"]
    assert "in use by process" in json.loads(second.stdout)["message"]


def test_every_worker_has_a_port_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        chosen = workers.choose_workers(3, first)
    assert [(worker.name, worker.role) for worker in chosen] == [
        *(("worker-1", "streams"), ("worker-2", "streams"), ("worker-3", "streams")),
        *(("history", "history"), ("live", "live"), ("alerts", "alerts"), ("roads", "roads"), ("feeds", "feeds")),
    ]
    assert len({worker.web_port for worker in chosen} - {first}) == 8
    assert workers.choose_workers(1, first, with_clickhouse=True)[-1].role == "clickhouse"
    small = workers.choose_workers(1, first, is_site=True)
    assert [(worker.name, worker.role) for worker in small] == [("worker-1", "site"), ("roads", "roads")]
