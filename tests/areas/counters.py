"""Messages as area counters send them."""

from __future__ import annotations

import json
from typing import Any

from trafficapp.settings import load_settings
from trafficapp.settings.areas import AREA_COLUMNS, AreaSettings

STREAM = "5b0f5a34-8a2c-4c55-9d4e-2f4f1a7f6a10"

#: 2025-12-02T08:21:42Z.
NOON_US = 1_764_663_702_000_000


def reading(**changes: Any) -> dict[str, Any]:
    """As a counter in Hanoi says it; what is changed to `...` is left out."""
    message = {
        "stream_id": STREAM,
        "timestamp": "2025-12-02T15:21:42+0700",
        "location": "Ngã Tư Sở",
        "longitude": 105.8201,
        "latitude": 21.0031,
        "total_in_area": 12,
        "estimated_max_people": 40,
        "label": "Đông hơn bình thường",
        "type": "vehicle",
    } | changes
    return {name: value for name, value in message.items() if value is not ...}


def encoded(**changes: Any) -> bytes:
    return json.dumps(reading(**changes)).encode()


def area_settings(more: dict[str, str] | None = None, **changes: Any) -> AreaSettings:
    """Settings of areas with further columns."""
    if more:
        changes["columns"] = {**AREA_COLUMNS, **more}
    return load_settings(areas=changes).areas
