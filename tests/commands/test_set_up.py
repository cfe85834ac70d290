"""Commands of the person who runs the application, and what ``faust -A trafficapp`` lists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from trafficapp.cli import main
from trafficapp.settings import load_settings
from trafficapp.topics import EVENTS_RAW, METRICS, declared_topics

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "600")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_settings_shows_every_value_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOW_ALLOWED_LATENESS_SECONDS", "3.25")
    monkeypatch.setenv("DATABASE_URL", "postgresql://traffic:hidden@db/x")
    shown = run("settings")

    entry = next(entry for entry in shown.split("\n\n") if "windows.allowed_lateness_seconds" in entry)
    for part in (
        "3.25",
        "2.0",
        "TRAFFICAPP_WINDOWS__ALLOWED_LATENESS_SECONDS or WINDOW_ALLOWED_LATENESS_SECONDS",
        "watermark trails",
    ):
        assert part in entry
    assert "hidden" not in shown


def test_settings_for_documents_has_a_row_for_every_setting() -> None:
    lines = run("settings", "--markdown").splitlines()[2:]
    names = [line.split("`")[1] for line in lines]
    dumped = load_settings().model_dump()
    expected = [
        f"{section}.{name}" if isinstance(value, dict) and section != "cameras" else section
        for section, value in dumped.items()
        for name in (value if isinstance(value, dict) and section != "cameras" else [section])
    ]

    assert names == expected
    assert all(len(line.split(" | ")) == 4 and not line.endswith("|  |") for line in lines)


def test_a_wrong_setting_ends_a_command_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICAPP_KAFKA__PARTITIONS", "0")
    for arguments in (["settings"], ["topics", "list"], ["topics", "create"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert "TRAFFICAPP_KAFKA__PARTITIONS" in result.output


def test_topics_are_created_once_as_declared(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    app_id = f"test-administration-{os.getpid()}"
    monkeypatch.setenv("TRAFFICAPP_APP_ID", app_id)
    created = run("topics", "create")
    assert created.startswith("created ")
    assert f"{app_id}-camera_state-changelog" in created
    assert run("topics", "create") == "all topics exist\n"

    listed = run("topics", "list")
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    known = admin.list_topics(timeout=10).topics
    for topic in declared_topics(load_settings()):
        resource = ConfigResource(ResourceType.TOPIC, topic.name)
        config = admin.describe_configs([resource])[resource].result(10)
        assert len(known[topic.name].partitions) == topic.partitions
        line = next(line for line in listed.splitlines() if topic.name in line)
        assert str(topic.partitions) in line
        for name, value in topic.config.items():
            assert config[name].value == value
            assert f"{name}={value}" in line


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("tables", ("camera_state", "camera_windows", "lane_windows")),
        ("agents", ("windows", "finished_windows", EVENTS_RAW, METRICS)),
        ("models", ("Detection", "Frame", "WindowRow", "DeadLetter", "vehicle_count", "congestion_score")),
    ],
)
def test_faust_lists_what_there_is_without_a_broker(command: str, names: tuple[str, ...], tmp_path: Path) -> None:
    listed = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "faust", "-A", "trafficapp", "--datadir", str(tmp_path), command],
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "COLUMNS": "300"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    for name in names:
        assert name in listed.stdout


def test_faust_refuses_a_wrong_setting_with_its_name() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "trafficapp", "worker"],
        env={**os.environ, "TRAFFICAPP_WORKER__ROLE": "boss"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode != 0
    assert "TRAFFICAPP_WORKER__ROLE" in refused.stderr
    assert "'streams', 'alerts', 'roads', 'feeds', 'history', 'live', 'clickhouse', 'lake' or 'site'" in refused.stderr
