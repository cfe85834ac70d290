"""Bodies of ``GET /health``, ``/health/live`` and ``/health/ready``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct


class Health(Struct, frozen=True):
    """Whether the servers behind a worker answer; ``ok`` when all do."""

    status: Literal["ok", "degraded"]
    kafka: bool
    postgres: bool
    redis: bool


class Liveness(Struct, frozen=True):
    """The process turns."""

    status: Literal["live"] = "live"


class Readiness(Struct, frozen=True):
    """The process has taken over its partitions."""

    status: Literal["ready"] = "ready"


encode_health = msgspec.json.Encoder().encode
