"""Settings: precedence, the names that deployments use, and errors that name the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from trafficapp.engine.kafka import aiokafka_config, librdkafka_config
from trafficapp.settings import Settings, SettingsError, load_settings
from trafficapp.settings.deployed_names import NAMES
from trafficapp.windows.rules import windower_rules


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*NAMES, "PGHOST", "REDIS_HOST", "CAMERA_CALIBRATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_contracts_names_override_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "faust.yml").write_text("windows: {allowed_lateness_seconds: 7, idle_timeout_seconds: 20}\n")
    monkeypatch.setenv("WINDOW_ALLOWED_LATENESS_SECONDS", "3.5")

    windows = load_settings().windows

    assert (windows.allowed_lateness_seconds, windows.idle_timeout_seconds) == (3.5, 20)


#: Each name of a deployment, a value that neither the file nor a default has, and what it becomes.
DEPLOYED = [
    ("KAFKA_BOOTSTRAP_SERVERS", "a:1, b:2", "kafka.bootstrap_servers", "a:1,b:2"),
    ("KAFKA_BROKERS", "kafka:9092", "kafka.bootstrap_servers", "kafka:9092"),
    ("DATABASE_URL", "postgresql://a@db/x", "postgres.url", "postgresql://a@db/x"),
    ("POSTGRES_URL", "postgresql://b@db/x", "postgres.url", "postgresql://b@db/x"),
    ("POSTGRES_URL", "postgresql+asyncpg://b:p%2Bq@db/x", "postgres.url", "postgresql://b:p%2Bq@db/x"),
    ("PGHOST", "db", "postgres.url", "postgresql://db:5432/trafficapp"),
    ("REDIS_URL", "rediss://cache/2", "redis.url", "rediss://cache/2"),
    ("REDIS_HOST", "cache", "redis.url", "redis://cache:6379/0"),
    ("ADMIN_API_KEY", "s" * 32, "admin.api_key", "s" * 32),
    ("WINDOW_SIZE_SECONDS", "10", "windows.size_seconds", 10.0),
    ("WINDOW_ALLOWED_LATENESS_SECONDS", "3.5", "windows.allowed_lateness_seconds", 3.5),
    ("RETENTION_EVENTS_HOURS", "48", "retention.events_hours", 48.0),
    ("RETENTION_METRICS_DAYS", "60", "retention.metrics_days", 60.0),
    ("SPEED_TRACKER_PIXEL_TO_METER", "0.07", "speed.pixel_to_meter", 0.07),
    ("HERE_API_KEY", "key", "here.api_key", "key"),
    ("GEOCODING_API_URL", "https://nominatim.example.org/", "geocoding.url", "https://nominatim.example.org/"),
    ("GEOCODING_API_KEY", "key", "geocoding.api_key", "key"),
    ("GEOCODING_TIMEOUT", "5", "geocoding.timeout_seconds", 5.0),
    ("CONGESTION_THRESHOLD_LOW", "0.25", "congestion.threshold_moderate", 0.25),
    ("CONGESTION_THRESHOLD_MODERATE", "0.5", "congestion.threshold_high", 0.5),
    ("CONGESTION_THRESHOLD_HIGH", "0.9", "congestion.threshold_severe", 0.9),
    ("MAX_VEHICLE_COUNT", "80", "congestion.max_count", 80),
    ("PROCESSOR_METRICS_PORT", "9100", "web.metrics_port", 9100),
]
FILE = """
kafka: {bootstrap_servers: "file:9092"}
postgres: {url: "postgresql://file/x"}
redis: {url: "redis://file/0"}
admin: {api_key: file-file-file-file-file-file-file}
here: {api_key: file}
geocoding: {url: "http://file", api_key: file, timeout_seconds: 7}
windows: {size_seconds: 7, allowed_lateness_seconds: 7}
retention: {events_hours: 7, metrics_days: 7}
speed: {pixel_to_meter: 0.7}
congestion: {threshold_moderate: 0.35, threshold_high: 0.6, threshold_severe: 0.85, max_count: 7}
web: {metrics_port: 7777}
cameras: {cam_01: {pixel_to_meter: 0.7, max_count: 7}, cam_02: {pixel_to_meter: 0.6}}
"""


def value_of(settings: Settings, path: str) -> object:
    section, name = path.split(".")
    value = getattr(getattr(settings, section), name)
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


@pytest.mark.parametrize(("name", "value", "path", "meant"), DEPLOYED)
def test_every_name_of_a_deployment_wins_over_the_file_and_our_own_name(
    name: str, value: str, path: str, meant: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "faust.yml").write_text(FILE)
    of_file = value_of(load_settings(), path)
    assert of_file != meant
    ours = "TRAFFICAPP_" + path.upper().replace(".", "__")
    monkeypatch.setenv(ours, str(of_file))
    monkeypatch.setenv(name, value)
    assert value_of(load_settings(), path) == meant
    monkeypatch.setenv(name, "")  # counts as not set
    assert value_of(load_settings(), path) == of_file


@pytest.mark.parametrize(
    ("names", "path", "meant"),
    [
        ({"KAFKA_BROKERS": "b:1", "KAFKA_BOOTSTRAP_SERVERS": "a:1"}, "kafka.bootstrap_servers", "a:1"),
        (
            {"PGHOST": "c", "POSTGRES_URL": "postgresql://b/x", "DATABASE_URL": "postgresql://a/x"},
            "postgres.url",
            "postgresql://a/x",
        ),
        ({"PGHOST": "c", "POSTGRES_URL": "postgresql://b/x"}, "postgres.url", "postgresql://b/x"),
        ({"REDIS_HOST": "b", "REDIS_URL": "redis://a/1"}, "redis.url", "redis://a/1"),
    ],
)
def test_of_two_names_the_contracts_own_and_the_whole_address_win(
    names: dict[str, str], path: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert value_of(load_settings(), path) == meant


def test_calibrations_of_cameras_join_what_the_file_says_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "faust.yml").write_text(FILE)
    monkeypatch.setenv("CAMERA_CALIBRATIONS", '{"cam_01": 0.04, "Cam 3": "0.05"}')
    monkeypatch.setenv("SPEED_TRACKER_PIXEL_TO_METER", "0.08")
    settings = load_settings()
    assert {name: (camera.pixel_to_meter, camera.max_count) for name, camera in settings.cameras.items()} == {
        "cam_01": (0.04, 7), "cam_02": (0.6, None), "Cam 3": (0.05, None),
    }  # fmt: skip
    rules = windower_rules(settings)
    assert [rules(name).estimator.pixel_to_meter for name in ("cam_01", "cam_02", "Cam 3", "cam_4")] == [
        0.04, 0.6, 0.05, 0.08,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BROKERS", "kafka:ninety"),
        ("KAFKA_BROKERS", " , "),
        ("KAFKA_BOOTSTRAP_SERVERS", "http://kafka:9092"),
        ("POSTGRES_URL", "mysql://db/x"),
        ("DATABASE_URL", "db"),
        ("PGPORT", "tcp://10.0.0.1:5432"),
        ("PGPORT", "70000"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("REDIS_URL", "cache:6379"),
        ("WINDOW_SIZE_SECONDS", "0"),
        ("WINDOW_SIZE_SECONDS", "five"),
        ("WINDOW_ALLOWED_LATENESS_SECONDS", "-1"),
        ("RETENTION_EVENTS_HOURS", "0"),
        ("RETENTION_METRICS_DAYS", "a month"),
        ("SPEED_TRACKER_PIXEL_TO_METER", "0"),
        ("CONGESTION_THRESHOLD_LOW", "0.6"),  # not below the next one
        ("CONGESTION_THRESHOLD_MODERATE", "1.5"),
        ("CONGESTION_THRESHOLD_HIGH", "high"),
        ("MAX_VEHICLE_COUNT", "0"),
        ("MAX_VEHICLE_COUNT", "2.5"),
        ("PROCESSOR_METRICS_PORT", "70000"),
        ("GEOCODING_API_URL", "nominatim.example.org"),
        ("GEOCODING_TIMEOUT", "soon"),
        ("PROCESSOR_METRICS_PORT", "tcp://10.0.0.1:9100"),
        ("CAMERA_CALIBRATIONS", "cam_01=0.04"),
        ("CAMERA_CALIBRATIONS", "[0.04]"),
        ("CAMERA_CALIBRATIONS", '{"cam_01": "wide"}'),
        ("CAMERA_CALIBRATIONS", '{"cam_01": 0}'),
        ("CAMERA_CALIBRATIONS", '{"cam_01": NaN}'),
        ("CAMERA_CALIBRATIONS", '{"cam_01": true}'),
        ("CAMERA_CALIBRATIONS", '{"cam_01": {"x": 1}}'),
        ("TRAFFICAPP_CAMERAS", "cam_01"),
    ],
)
def test_a_bad_value_of_a_deployment_is_refused_with_its_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "db")
    monkeypatch.setenv("REDIS_HOST", "cache")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert name.removeprefix("TRAFFICAPP_").lower() in str(refused.value).lower()


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
        (
            "TRAFFICAPP_WORKER__ROLE",
            "boss",
            "'streams', 'alerts', 'roads', 'feeds', 'history', 'live', 'clickhouse', 'lake' or 'site'",
        ),
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
