"""Every setting, declared once: default, unit, environment name and a sentence.

Order of precedence: environment variable, then ``faust.yml`` (or the file named by
``TRAFFICAPP_CONFIG``), then the default here. The environment name of a setting is
``TRAFFICAPP_<SECTION>__<NAME>``; the names that deployments already use (``DATABASE_URL``,
``KAFKA_BOOTSTRAP_SERVERS`` and the rest of the contract, see `trafficapp.settings.deployed_names`) win over it
and over the file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableSource

from trafficapp.settings.areas import AreaSettings as AreaSettings
from trafficapp.settings.city import CitySettings as CitySettings
from trafficapp.settings.clickhouse import ClickHouseSettings as ClickHouseSettings
from trafficapp.settings.dashboard import DashboardSettings as DashboardSettings
from trafficapp.settings.deployed_names import NAMES, WrongName, settings_of
from trafficapp.settings.due_times import NIGHTLY_PATTERN
from trafficapp.settings.fleet import FleetSettings as FleetSettings
from trafficapp.settings.geocoding import GeocodingSettings as GeocodingSettings
from trafficapp.settings.incidents import IncidentSettings as IncidentSettings
from trafficapp.settings.lake import LakeSettings as LakeSettings
from trafficapp.settings.privacy import PrivacySettings as PrivacySettings
from trafficapp.settings.quality import AlarmSettings as AlarmSettings
from trafficapp.settings.quality import MovementSettings as MovementSettings
from trafficapp.settings.quality import QualitySettings as QualitySettings
from trafficapp.settings.quality import ReadingSettings as ReadingSettings
from trafficapp.settings.reports import ReportSettings as ReportSettings
from trafficapp.settings.riders import RiderSettings as RiderSettings
from trafficapp.settings.roads import ForecastSettings as ForecastSettings
from trafficapp.settings.roads import HereSettings as HereSettings
from trafficapp.settings.roads import JamSettings as JamSettings
from trafficapp.settings.roads import NotificationSettings as NotificationSettings
from trafficapp.settings.roads import RoadSettings as RoadSettings
from trafficapp.settings.roads import SuspicionSettings as SuspicionSettings
from trafficapp.settings.sections import Seconds, Section
from trafficapp.settings.still_cameras import StillCameraSettings as StillCameraSettings
from trafficapp.settings.transit import TransitSettings as TransitSettings
from trafficapp.settings.weather import WeatherFactorSettings as WeatherFactorSettings
from trafficapp.settings.weather import WeatherSettings as WeatherSettings
from trafficapp.settings.web import LEAST_KEY_CHARACTERS as LEAST_KEY_CHARACTERS
from trafficapp.settings.web import AdminSettings as AdminSettings
from trafficapp.settings.web import AuthSettings as AuthSettings
from trafficapp.settings.web import LimitSettings as LimitSettings
from trafficapp.settings.web import WebSettings as WebSettings

Role = Literal["streams", "alerts", "roads", "feeds", "history", "live", "clickhouse", "lake", "site"]

#: What a process of the role ``site`` does, in the order in which its agents are put on it.
SITE_ROLES: tuple[Role, ...] = ("streams", "alerts", "feeds", "history", "live")


#: Roles that are several of the others in one process.
COMPOSED: frozenset[Role] = frozenset({"site"})


def roles_together(role: Role) -> tuple[Role, ...]:
    """The roles that a process has: one, or those of a site."""
    return SITE_ROLES if role == "site" else (role,)


class SettingsError(Exception):
    """A setting is wrong. The message names each one, its value's fault and what is allowed."""


class KafkaSettings(Section):
    """The broker that carries every topic."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Comma-separated host:port list.")
    api_key: str | None = Field(None, description="SASL PLAIN user; together with api_secret turns SASL on.")
    api_secret: SecretStr | None = Field(None, description="SASL PLAIN password.")
    security_protocol: Literal["SASL_SSL", "SASL_PLAINTEXT"] = Field(
        "SASL_SSL", description="How api_secret is sent; SASL_PLAINTEXT is for servers on this machine."
    )
    open_servers: str | None = Field(
        None,
        description="Set by `trafficapp env`: a listener for producers alone. Where KAFKA_BOOTSTRAP_SERVERS names it, "
        "that is for others, and TRAFFICAPP_KAFKA__BOOTSTRAP_SERVERS holds.",
    )
    control_keys: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated secrets that sign the workers' own records in topics where others write, too; the "
        "first one signs, any is accepted. Empty: nothing is signed or checked.",
    )
    partitions: int = Field(8, ge=1, le=1024, description="Partitions of topics that do not exist yet.")
    replication_factor: int = Field(1, ge=1, le=5, description="Copies of each partition on new topics.")
    session_timeout_seconds: float = Field(
        6.0, ge=1, description="A worker silent for this long loses its partitions to the others."
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_addresses(cls, servers: str) -> str:
        addresses = [server.strip() for server in servers.split(",") if server.strip()]
        for address in addresses:
            if not re.fullmatch(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:/@]+)(?::[0-9]{1,5})?", address):
                raise ValueError(f"{address[:64]!r} is no host:port")
        if not addresses:
            raise ValueError("it names no broker")
        return ",".join(addresses)

    @model_validator(mode="after")
    def _key_and_secret_together(self) -> KafkaSettings:
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("api_key and api_secret must be set together")
        return self


def _place_of_database(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path, parts.query


class PostgresSettings(Section):
    """The history database."""

    url: SecretStr = Field(
        SecretStr("postgresql://127.0.0.1:5432/trafficapp"), description="postgresql://user:password@host/db"
    )
    owner_url: SecretStr | None = Field(
        None,
        description="The same database for who owns the tables: `trafficapp migrate` and changes of tables use it. "
        "The user of url is then given what work needs by migrate. Without it, and for another database, url.",
    )
    pool_size: int = Field(4, ge=1, le=64, description="Connections one process keeps at most.")
    reserved_pool_size: int = Field(
        2, ge=1, le=16, description="Connections of a process that only administration, health and sockets use, beside."
    )

    @property
    def owner(self) -> str:
        """The address for who alters tables. Who names another database in `url` means that one."""
        url = self.url.get_secret_value()
        owner = url if self.owner_url is None else self.owner_url.get_secret_value()
        return owner if _place_of_database(owner) == _place_of_database(url) else url

    @property
    def user(self) -> str | None:
        """Who works, where the address says it."""
        user = urlsplit(self.url.get_secret_value()).username
        return None if user is None else unquote(user)

    @field_validator("url", "owner_url")
    @classmethod
    def _is_of_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        # some write the driver of SQLAlchemy into it
        text = re.sub(r"^(postgres(?:ql)?)\+[a-z0-9_]+://", r"\1://", url.get_secret_value())
        if not re.match(r"postgres(?:ql)?://", text):
            raise ValueError("it does not begin with postgresql://")
        return SecretStr(text)


class RedisSettings(Section):
    """The store of the current state and the pub/sub between processes."""

    url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="redis://host:port/db")

    @field_validator("url")
    @classmethod
    def _is_of_redis(cls, url: SecretStr) -> SecretStr:
        if not re.match(r"(?:rediss?|unix)://", url.get_secret_value()):
            raise ValueError("it does not begin with redis://, rediss:// or unix://")
        return url


class WorkerSettings(Section):
    """What this process does and how it hands records to agents."""

    role: Role = Field(
        "streams",
        description="streams: windows; alerts: alerts; roads: roads and forecasts; feeds: the city's other feeds; "
        "history: Postgres; live: Redis; clickhouse: ClickHouse; lake: Parquet files; site: streams, alerts, feeds, "
        "history and live in one process, for small sites. All serve the web.",
    )
    run_records: int = Field(4000, ge=1, le=100_000, description="Records handed to an agent at once, at most.")
    exit_on_stall_seconds: float = Field(
        60.0, ge=10, description="A partition without progress for this long ends the process, to be started anew."
    )


class CameraWindowOverrides(Section):
    """Constants of one camera that differ from the general ones; an absent one is inherited."""

    max_count: int | None = Field(None, ge=1, description="Vehicles in a window that count as full.")
    max_speed_kmh: float | None = Field(None, gt=0, description="Speed that counts as free, km/h.")
    pixel_to_meter: float | None = Field(None, gt=0, description="Metres a pixel stands for.")
    untracked_ids: tuple[str, ...] | None = Field(
        None, description="Vehicle ids that mean 'not tracked', such as 18446744073709551615."
    )


class WindowSettings(Section):
    """Event-time windows per camera and lane."""

    size_seconds: float = Field(5.0, gt=0, le=3600, description="Length of a tumbling window.")
    allowed_lateness_seconds: float = Field(2.0, ge=0, description="How far the watermark trails the newest event.")
    idle_timeout_seconds: Seconds = Field(10.0, description="Silence after which a camera's open windows are closed.")
    future_guard_seconds: Seconds = Field(60.0, description="How far ahead of its record an event may be.")
    jump_seconds: Seconds = Field(
        10.0,
        description="A picture further ahead of all that its camera said before moves the camera's time only once "
        "another picture confirms it.",
    )
    untracked_ids: tuple[str, ...] = Field(
        (),
        description="Vehicle ids that mean 'not tracked': such detections count, but not as a vehicle. A camera may "
        "have its own.",
    )
    max_cameras: int = Field(
        5000, ge=1, le=1_000_000, description="Cameras known at once in a partition; further ones are refused."
    )
    forget_made_up_minutes: float = Field(
        60.0, ge=1, description="A camera with few windows is forgotten after so long without a record."
    )
    forget_days: float = Field(
        30.0, gt=0, description="Any other is forgotten after so long; at least as long as its rows are kept."
    )
    tick_seconds: Seconds = Field(1.0, le=2, description="Interval of the ticks that measure silence.")
    finished_retention_seconds: Seconds = Field(
        3600.0, description="How long finished windows stay in the local tables; so far back a new Redis is filled."
    )
    current_hours: float = Field(
        24.0, gt=0, description="A camera of which no window came for this long is no longer among the current ones."
    )


class CongestionSettings(Section):
    """Constants of the congestion score and its levels."""

    max_count: int = Field(50, ge=1, description="Vehicles in a window that count as full.")
    max_speed_kmh: float = Field(60.0, gt=0, description="Speed that counts as free, km/h.")
    threshold_moderate: float = Field(0.30, gt=0, lt=1, description="Score from which the level is MODERATE.")
    threshold_high: float = Field(0.55, gt=0, lt=1, description="Score from which the level is HIGH.")
    threshold_severe: float = Field(0.80, gt=0, lt=1, description="Score from which the level is SEVERE.")

    @model_validator(mode="after")
    def _ascending(self) -> CongestionSettings:
        if not self.threshold_moderate <= self.threshold_high <= self.threshold_severe:
            raise ValueError("thresholds must ascend: threshold_moderate <= threshold_high <= threshold_severe")
        return self


class SpeedSettings(Section):
    """Estimation of a missing speed from the movement of the centroid."""

    pixel_to_meter: float = Field(0.05, gt=0, description="Metres a pixel stands for.")
    forget_after_seconds: Seconds = Field(30.0, description="A vehicle unseen for this long is forgotten.")
    stopped_below_kmh: float = Field(5.0, gt=0, description="Below this speed a vehicle counts as stopped.")
    max_kmh: float = Field(400.0, gt=0, description="A reported speed above this is rejected as impossible.")


class AlertSettings(Section):
    """When alerts are raised and when they end. A window is one finished camera-wide window."""

    severe_windows: int = Field(1, ge=1, le=1000, description="SEVERE windows in a row that raise a CRITICAL alert.")
    high_windows: int = Field(
        2, ge=1, le=1000, description="Windows in a row at HIGH or above that raise a WARNING alert."
    )
    resolve_windows: int = Field(6, ge=1, le=1000, description="Calm windows in a row that end an alert.")
    calm_below: Literal["MODERATE", "HIGH"] = Field(
        "MODERATE", description="A window below this level is calm; below HIGH, so that alerts do not flap."
    )
    update_seconds: Seconds = Field(
        30.0, description="An open alert tells a changed level this often at most; a higher severity is told at once."
    )
    max_gap_seconds: Seconds = Field(
        30.0, description="Windows further apart than this are not in a row when an alert is raised."
    )
    forget_seconds: Seconds = Field(
        240.0, description="An open alert ends when no vehicle with a known speed was seen for this long."
    )
    forget_cameras_hours: float = Field(
        24.0, ge=1, le=24 * 366, description="Alerts of a camera that finished no window for this long are forgotten."
    )
    stopped_ratio: float = Field(0.8, gt=0, le=1, description="Share of stopped speeds from which traffic stands.")
    stopped_queue_length: int = Field(5, ge=1, description="Stopped vehicles from which traffic stands.")
    stopped_windows: int = Field(12, ge=1, le=1000, description="Windows in a row that raise stopped_traffic.")
    flowing_ratio: float = Field(0.5, ge=0, lt=1, description="Share of stopped speeds below which traffic flows.")
    silent_seconds: Seconds = Field(
        300.0, description="A camera without events for this long raises camera_silent; outages do not count."
    )

    @model_validator(mode="after")
    def _flowing_below_stopped(self) -> AlertSettings:
        if self.flowing_ratio >= self.stopped_ratio:
            raise ValueError("flowing_ratio must be below stopped_ratio")
        return self


class EventSettings(Section):
    """Live events on ``/ws/events``."""

    metrics_seconds: Seconds = Field(5.0, description="Interval of traffic_metrics_update.")
    heatmap_seconds: Seconds = Field(10.0, description="Interval of heatmap_update.")
    heartbeat_seconds: Seconds = Field(15.0, description="A client that does not answer for this long is cut.")
    replay_events: int = Field(1000, ge=1, description="Events kept for clients that come back with resume_after.")


class RetentionSettings(Section):
    """How long history is kept."""

    events_hours: float = Field(24.0, gt=0, description="Hours of raw events.")
    metrics_days: float = Field(30.0, gt=0, description="Days of finished windows and of their sums by the minute.")
    rollup_days: float = Field(730.0, gt=0, description="Days of the sums by the hour.")
    roads_days: float = Field(90.0, gt=0, description="Days of road observations.")
    predictions_days: float = Field(30.0, gt=0, description="Days of predictions.")
    notifications_days: float = Field(
        365.0, gt=0, description="Days of notifications about roads, and of alerts of the city's feeds."
    )
    audit_days: float = Field(
        365.0, gt=0, description="Days of the audit log, which says who changed what, and from which address."
    )
    sweep_seconds: Seconds = Field(3600.0, description="Interval between sweeps.")
    topic_hours: float = Field(24.0, gt=0, description="Hours that records stay in the Kafka topics.")
    alert_topic_days: float = Field(
        30.0, gt=0, description="Days that steps of alerts stay in their topic, which an emptied Redis is filled from."
    )


class BackupSettings(Section):
    """Backups of the history database with ``pg_dump``."""

    nightly: str = Field(
        "",
        pattern=NIGHTLY_PATTERN,
        description="When a history worker makes one, in the city's time, as 02:30; empty is never.",
    )
    folder: Path = Field(Path("build/backups"), description="Where backups are kept.")
    raw_events: bool = Field(
        False,
        description="Whether backups have every single sighting: detections, places and trips of vehicles. They are "
        "most of the size, and tell where people were for as long as the backups are kept.",
    )
    keep: int = Field(7, ge=1, le=1000, description="How many are kept; the oldest go first.")


class LoggingSettings(Section):
    """What the process says."""

    level: Literal["debug", "info", "warn", "error"] = Field("info", description="Least level that is printed.")
    format: Literal["text", "json"] = Field("text", description="text for people; json: one object a line.")


class _LegacyEnvironment(PydanticBaseSettingsSource):
    """Reads the names that deployments already set (contract, section 8)."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(settings_of(os.environ))


class Settings(BaseSettings):
    """All settings of a process.

    Raises:
        SettingsError: through `load_settings`, when a value is not allowed.
    """

    model_config = SettingsConfigDict(env_prefix="TRAFFICAPP_", env_nested_delimiter="__", extra="forbid", frozen=True)

    app_id: str = Field(
        "trafficapp",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Name of the Faust application: consumer groups and changelog topics begin with it.",
    )
    data_dir: Path = Field(Path("build/data"), description="Folder of the local tables; one process, one folder.")
    vehicle_classes: tuple[str, ...] = Field(
        ("car", "bus", "truck", "motorcycle", "bicycle", "pedestrian", "van"),
        min_length=1,
        description="Classes a detection may have; another one is rejected.",
    )
    cameras: dict[str, CameraWindowOverrides] = Field(
        default_factory=dict,
        description="Constants that differ for one camera, by camera_id; CAMERA_CALIBRATIONS, an object such as "
        '{"cam_01": 0.04}, says pixel_to_meter.',
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    postgres: PostgresSettings = Field(default_factory=PostgresSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    dashboard: DashboardSettings = Field(default_factory=DashboardSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    windows: WindowSettings = Field(default_factory=WindowSettings)
    congestion: CongestionSettings = Field(default_factory=CongestionSettings)
    speed: SpeedSettings = Field(default_factory=SpeedSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    alarms: AlarmSettings = Field(default_factory=AlarmSettings)
    events: EventSettings = Field(default_factory=EventSettings)
    city: CitySettings = Field(default_factory=CitySettings)
    roads: RoadSettings = Field(default_factory=RoadSettings)
    riders: RiderSettings = Field(default_factory=RiderSettings)
    still_cameras: StillCameraSettings = Field(default_factory=StillCameraSettings)
    here: HereSettings = Field(default_factory=HereSettings)
    forecast: ForecastSettings = Field(default_factory=ForecastSettings)
    notifications: NotificationSettings = Field(default_factory=NotificationSettings)
    jams: JamSettings = Field(default_factory=JamSettings)
    suspicions: SuspicionSettings = Field(default_factory=SuspicionSettings)
    movement: MovementSettings = Field(default_factory=MovementSettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    readings: ReadingSettings = Field(default_factory=ReadingSettings)
    fleet: FleetSettings = Field(default_factory=FleetSettings)
    areas: AreaSettings = Field(default_factory=AreaSettings)
    incidents: IncidentSettings = Field(default_factory=IncidentSettings)
    transit: TransitSettings = Field(default_factory=TransitSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    backup: BackupSettings = Field(default_factory=BackupSettings)
    reports: ReportSettings = Field(default_factory=ReportSettings)
    geocoding: GeocodingSettings = Field(default_factory=GeocodingSettings)
    clickhouse: ClickHouseSettings = Field(default_factory=ClickHouseSettings)
    lake: LakeSettings = Field(default_factory=LakeSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    admin: AdminSettings = Field(default_factory=AdminSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    weather: WeatherSettings = Field(default_factory=WeatherSettings)
    weather_factors: WeatherFactorSettings = Field(default_factory=WeatherFactorSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the legacy names, then TRAFFICAPP_…, then the YAML file."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, _LegacyEnvironment(settings_cls), env_settings]
        path = config_path()
        if path is not None:
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=path))
        return tuple(sources)


def config_path() -> Path | None:
    """The settings file: ``TRAFFICAPP_CONFIG``, else ``faust.yml`` here or beside the package, else None.

    Raises:
        SettingsError: ``TRAFFICAPP_CONFIG`` names a file that does not exist.
    """
    named = os.environ.get("TRAFFICAPP_CONFIG")
    if named:
        if not Path(named).is_file():
            raise SettingsError(f"TRAFFICAPP_CONFIG: there is no file {named!r}")
        return Path(named)
    for candidate in (Path("faust.yml"), Path(__file__).resolve().parents[2] / "faust.yml"):
        if candidate.is_file():
            return candidate
    return None


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of this process.

    Args:
        overrides: values that win over environment and file, for tests and harnesses.

    Raises:
        SettingsError: a value is wrong; the message names each setting, the fault and the allowed values.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [f"  {_name_of(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    except WrongName as error:
        lines = [f"  environment {error}"]
    except UnreadableSource as error:  # a list or an object in the environment that is no JSON
        lines = [f"  {error}: {error.__cause__}"]
    except yaml.YAMLError as error:
        raise SettingsError(f"{config_path()} is not YAML: {error}") from None
    raise SettingsError("wrong settings:\n" + "\n".join(lines))


def _name_of(location: tuple[int | str, ...]) -> str:
    """What a setting is called, and how in the environment; of a section the names of others that are set there."""
    dotted = ".".join(str(part) for part in location)
    environment = "TRAFFICAPP_" + "__".join(str(part).upper() for part in location)
    legacy = [name for name, path in NAMES.items() if path == location]
    if len(location) == 1:
        legacy = [name for name, path in NAMES.items() if path[0] == dotted and os.environ.get(name)]
    return f"{dotted} (environment {', '.join([environment, *legacy])})"
