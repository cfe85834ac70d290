"""Bodies of ``GET /health``, ``/health/live`` and ``/health/ready``."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

Reach = Literal["ok", "unreachable"]


class Health(Struct, frozen=True):
    """Whether the servers behind a worker answer; the status is ``ok`` when all do."""

    status: Literal["ok", "degraded"]
    kafka: Reach
    postgres: Reach
    redis: Reach


class Liveness(Struct, frozen=True):
    """The process turns."""

    status: Literal["live"] = "live"


class Readiness(Struct, frozen=True):
    """The process has taken over its partitions."""

    status: Literal["ready"] = "ready"


encode_health = msgspec.json.Encoder().encode
