"""Body of ``GET /health``."""

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


encode_health = msgspec.json.Encoder().encode
