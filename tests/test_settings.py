"""Settings: precedence, the names that deployments use, and errors that name the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from trafficapp.kafka import aiokafka_config, librdkafka_config
from trafficapp.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_contracts_names_override_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "faust.yml").write_text("windows: {allowed_lateness_seconds: 7, idle_timeout_seconds: 20}\n")
    monkeypatch.setenv("WINDOW_ALLOWED_LATENESS_SECONDS", "3.5")

    windows = load_settings().windows

    assert (windows.allowed_lateness_seconds, windows.idle_timeout_seconds) == (3.5, 20)


def test_every_setting_has_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICAPP_CONGESTION__MAX_COUNT", "80")

    assert load_settings().congestion.max_count == 80


def test_urls_are_put_together_from_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGUSER", "traffic")
    monkeypatch.setenv("PGPASSWORD", "a/b@c")
    monkeypatch.setenv("REDIS_HOST", "cache.example")
    monkeypatch.setenv("REDIS_PORT", "6380")

    settings = load_settings()

    assert settings.postgres.url.get_secret_value() == "postgresql://traffic:a%2Fb%40c@db.example:5432/trafficapp"
    assert settings.redis.url.get_secret_value() == "redis://cache.example:6380/0"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("TRAFFICAPP_WORKER__ROLE", "boss", "'streams', 'alerts', 'roads', 'history' or 'live'"),
        ("WINDOW_ALLOWED_LATENESS_SECONDS", "-1", "greater than or equal to 0"),
        ("TRAFFICAPP_WINDOWS__SIZE_SECONDS", "five", "valid number"),
        ("TRAFFICAPP_CONGESTION__THRESHOLD_HIGH", "0.9", "must ascend"),
        ("KAFKA_API_KEY", "key", "must be set together"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(
    variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert told in str(refused.value)
    assert variable.split("__")[0].removeprefix("TRAFFICAPP_").split("_")[0].lower() in str(refused.value).lower()


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faust.yml").write_text("windows: {size_minutes: 5}\n")

    with pytest.raises(SettingsError, match=r"windows\.size_minutes"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://traffic:hidden@db/x")

    assert "hidden" not in repr(load_settings())


def test_an_api_key_switches_every_client_to_sasl_ssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_API_KEY", "key")
    monkeypatch.setenv("KAFKA_API_SECRET", "secret")
    settings = load_settings()

    assert librdkafka_config(settings)["security.protocol"] == "SASL_SSL"
    assert aiokafka_config(settings)["security_protocol"] == "SASL_SSL"
    assert aiokafka_config(settings)["sasl_plain_password"] == "secret"  # noqa: S105
