"""The newest windows in Redis as figures: of cameras that report, and of those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from models.cameras.registry import CameraCongestion
from models.cameras.window_rows import WindowRow
from trafficapp.analytics.overview import CURRENT_WITHIN_SECONDS
from trafficapp.stores.redis.connection import CurrentState
from trafficapp.stores.redis.documents import readable

_Row = TypeVar("_Row")

_decode_window = msgspec.json.Decoder(CameraCongestion).decode
_decode_row = msgspec.json.Decoder(WindowRow).decode


async def reporting_cameras(state: CurrentState) -> list[CameraCongestion]:
    """The newest window of each camera that is not far behind the newest of all.

    Raises:
        Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    return await congestion_of(state, await _reporting(state))


async def reporting_rows(state: CurrentState) -> list[WindowRow]:
    """The same as whole camera-wide rows.

    Raises:
        Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    return await _read(state, await _reporting(state), _decode_row)


async def _reporting(state: CurrentState) -> list[str]:
    seen = await state.last_seen()
    oldest = max((at for _, at in seen), default=0.0) - CURRENT_WITHIN_SECONDS
    return [camera_id for camera_id, at in seen if at >= oldest]


async def congestion_of(state: CurrentState, camera_ids: Sequence[str]) -> list[CameraCongestion]:
    """The newest windows of cameras, in the order asked for; one that cannot be read costs no other.

    Raises:
        Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    return await _read(state, camera_ids, _decode_window)


async def newest_of(state: CurrentState, camera_ids: Sequence[str]) -> list[WindowRow]:
    """The same as whole camera-wide rows."""
    return await _read(state, camera_ids, _decode_row)


async def _read(state: CurrentState, camera_ids: Sequence[str], decode: Callable[[bytes], _Row]) -> list[_Row]:
    found: list[_Row] = []
    async for documents in state.pieces(camera_ids):
        found.extend(readable(documents, decode, "cameras"))
    return found
