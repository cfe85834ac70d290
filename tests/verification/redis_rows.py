"""What Redis must say in the end: each camera's newest window."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis import Redis

from tests.verification.compare import Comparison, FoundRow, compare_rows, found_row
from tests.verification.truth import OracleRow, RowKey, Rules


def compare_redis(redis_url: str, truth: Mapping[RowKey, OracleRow], rules: Rules) -> Comparison:
    """Compare ``camera:{camera_id}:current`` of every camera with its newest window."""
    newest: dict[str, int] = {}
    for key in truth:
        newest[key.camera_id] = max(newest.get(key.camera_id, 0), key.start_us)
    right = {key: row for key, row in truth.items() if key.start_us == newest[key.camera_id]}
    found: dict[RowKey, FoundRow] = {}
    with Redis.from_url(redis_url) as client:
        for camera_id in newest:
            text = client.get(f"camera:{camera_id}:current")
            if text is not None:
                found.update(_rows(json.loads(text)))
    return compare_rows("newest windows in Redis", right, found, rules)


def _rows(document: dict[str, Any]) -> dict[RowKey, FoundRow]:
    lanes = document.pop("lanes")
    return dict(found_row({**row, "lane_id": row.get("lane_id")}) for row in [document, *lanes])
