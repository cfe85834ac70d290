"""Environment names that deployments already set: those of the contract, and those of the camera system before it.

They win over ``TRAFFICAPP_…`` and over ``faust.yml``. Of two that say the same, the one that stands first in `NAMES`
wins, so the contract's own names win over the camera system's, and a whole address over one put together from its
parts. An empty one counts as not set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

NAMES: dict[str, tuple[str, str]] = {
    "KAFKA_BOOTSTRAP_SERVERS": ("kafka", "bootstrap_servers"),
    "KAFKA_BROKERS": ("kafka", "bootstrap_servers"),
    "KAFKA_API_KEY": ("kafka", "api_key"),
    "KAFKA_API_SECRET": ("kafka", "api_secret"),
    "DATABASE_URL": ("postgres", "url"),
    "POSTGRES_URL": ("postgres", "url"),
    "REDIS_URL": ("redis", "url"),
    "WINDOW_SIZE_SECONDS": ("windows", "size_seconds"),
    "WINDOW_ALLOWED_LATENESS_SECONDS": ("windows", "allowed_lateness_seconds"),
    # the camera system names a threshold after the level that ends there, we after the one that begins
    "CONGESTION_THRESHOLD_LOW": ("congestion", "threshold_moderate"),
    "CONGESTION_THRESHOLD_MODERATE": ("congestion", "threshold_high"),
    "CONGESTION_THRESHOLD_HIGH": ("congestion", "threshold_severe"),
    "MAX_VEHICLE_COUNT": ("congestion", "max_count"),
    "RETENTION_EVENTS_HOURS": ("retention", "events_hours"),
    "RETENTION_METRICS_DAYS": ("retention", "metrics_days"),
    "SPEED_TRACKER_PIXEL_TO_METER": ("speed", "pixel_to_meter"),
    "PROCESSOR_METRICS_PORT": ("web", "metrics_port"),
    "ADMIN_API_KEY": ("admin", "api_key"),
    "HERE_API_KEY": ("here", "api_key"),
    "GEOCODING_API_URL": ("geocoding", "url"),
    "GEOCODING_API_KEY": ("geocoding", "api_key"),
    "GEOCODING_TIMEOUT": ("geocoding", "timeout_seconds"),
}

#: What `trafficapp env` exports beside KAFKA_BOOTSTRAP_SERVERS, which names the listener that is for producers: that
#: listener again, and the one that is for ourselves.
OPEN_SERVERS = "TRAFFICAPP_KAFKA__OPEN_SERVERS"
SECURED_SERVERS = "TRAFFICAPP_KAFKA__BOOTSTRAP_SERVERS"

#: JSON: metres a pixel stands for, by camera_id.
CALIBRATIONS = "CAMERA_CALIBRATIONS"


class WrongName(ValueError):
    """A variable of the environment cannot mean anything; the message begins with its name."""


def settings_of(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What the names say, as sections of the settings.

    Raises:
        WrongName: a value that the settings would not name rightly is wrong.
    """
    found: dict[str, dict[str, Any]] = {}
    without = _names_of_others(env, found)
    for name, (section, key) in NAMES.items():
        if env.get(name) and name not in without:
            found.setdefault(section, {}).setdefault(key, env[name])
    for section, url in (("postgres", _postgres_url(env)), ("redis", _redis_url(env))):
        if url:
            found.setdefault(section, {}).setdefault("url", url)
    if env.get(CALIBRATIONS):
        found["cameras"] = _calibrations(env[CALIBRATIONS])
    return found


def _names_of_others(env: Mapping[str, str], found: dict[str, dict[str, Any]]) -> Collection[str]:
    """Names that are for others than ourselves, where Kafka has a listener for each.

    Who names another Kafka means that one; it is not told the password of ours.
    """
    open_servers = env.get(OPEN_SERVERS)
    named = env.get("KAFKA_BOOTSTRAP_SERVERS") or env.get("KAFKA_BROKERS")
    if not open_servers:
        return ()
    if named in (None, "", open_servers):
        return [name for name, (section, _) in NAMES.items() if section == "kafka"]
    found["kafka"] = dict.fromkeys(("open_servers", "api_key", "api_secret")) | {"security_protocol": "SASL_SSL"}
    for name in ("KAFKA_API_KEY", "KAFKA_API_SECRET"):
        if env.get(name):
            found["kafka"][NAMES[name][1]] = env[name]
    return ()


def _postgres_url(env: Mapping[str, str]) -> str | None:
    """A URL from PGHOST and its companions, or None when PGHOST is not set."""
    host = env.get("PGHOST")
    if not host:
        return None
    user, password = env.get("PGUSER"), env.get("PGPASSWORD")
    credentials, port = "", _port(env, "PGPORT", "5432")
    database = quote(env.get("PGDATABASE") or "trafficapp", safe="")
    if user:
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "") + "@"
    if host.startswith("/"):  # the folder of a local socket
        return f"postgresql://{credentials}/{database}?host={quote(host)}&port={port}"
    if ":" in host:
        host = f"[{host}]"
    return f"postgresql://{credentials}{host}:{port}/{database}"


def _redis_url(env: Mapping[str, str]) -> str | None:
    """A URL from REDIS_HOST and REDIS_PORT, or None when REDIS_HOST is not set."""
    host = env.get("REDIS_HOST")
    return f"redis://{f'[{host}]' if ':' in host else host}:{_port(env, 'REDIS_PORT', '6379')}/0" if host else None


def _port(env: Mapping[str, str], name: str, usual: str) -> str:
    port = env.get(name) or usual
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65_535):
        raise WrongName(f"{name}: {port[:64]!r} is no port")
    return port


def _calibrations(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongName(f"{CALIBRATIONS}: it is no JSON ({error})") from None
    if not isinstance(told, dict):
        raise WrongName(f'{CALIBRATIONS}: it is no object such as {{"cam_01": 0.04}}')
    return {camera: {"pixel_to_meter": _metres(camera, value)} for camera, value in told.items()}


def _metres(camera: str, value: Any) -> float:
    try:
        metres = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        metres = math.nan
    if not (math.isfinite(metres) and metres > 0):
        raise WrongName(f"{CALIBRATIONS}: {value!r:.64} of camera {camera[:64]!r} is no number of metres above 0")
    return metres
