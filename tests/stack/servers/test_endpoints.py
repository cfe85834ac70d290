from __future__ import annotations

import pytest

from trafficapp.stack.servers.endpoints import KAFKA_NAMES, POSTGRES_NAMES, REDIS_NAMES, Endpoints, accepts_connections


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KAFKA_NAMES, *POSTGRES_NAMES, *REDIS_NAMES):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_given_when_no_variable_is_set() -> None:
    assert Endpoints.from_environment() == Endpoints(None, None, None)


def test_servers_are_read_in_every_way_that_deployments_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker:9092")
    monkeypatch.setenv("PGHOST", "db")
    monkeypatch.setenv("PGUSER", "me")
    monkeypatch.setenv("REDIS_HOST", "cache")
    given = Endpoints.from_environment()
    assert given.kafka_bootstrap_servers == "broker:9092"
    assert given.database_url == "postgresql://me@db:5432/trafficapp"
    assert given.redis_url == "redis://cache:6379/0"
    assert given.complete


def test_the_camera_systems_names_name_servers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BROKERS", "kafka:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://u:p@postgres:5432/traffic")
    assert Endpoints.from_environment() == Endpoints("kafka:9092", "postgresql://u:p@postgres:5432/traffic", None)


def test_export_lines_survive_a_shell() -> None:
    lines = Endpoints("h:1", "postgresql://u:p$w@h/d", None).export_lines()
    assert lines == ["export KAFKA_BOOTSTRAP_SERVERS=h:1", "export DATABASE_URL='postgresql://u:p$w@h/d'"]


async def test_one_broker_that_answers_is_enough(kafka_bootstrap: str) -> None:
    assert await accepts_connections(f"127.0.0.1:1,{kafka_bootstrap}")
    assert not await accepts_connections("127.0.0.1:1")
