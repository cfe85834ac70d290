"""Notifications that a round raised and is about to send, as state rows of their own.

They are written before the rows of the roads that say so, so that no prefix of the changelog says of a road that it has
raised something which nobody knows. There may be more of them than fit into one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trafficapp.engine.state_rows import OFFSET_BYTES, offset_of, state_row

#: A key and a value of ``traffic-notifications``.
Told = tuple[bytes, bytes]

_PREFIX = b"\x00notifications-"
_ROW_BYTES = 512 << 10

_decode = msgspec.msgpack.Decoder(list[Told]).decode


def is_untold(key: bytes) -> bool:
    """Whether a state row is one of these."""
    return key.startswith(_PREFIX)


def decode_untold(key: bytes, row: bytes) -> tuple[int, list[Told]]:
    """The number of such a row and what it holds; raises one of `models.records.MALFORMED` on one that is none."""
    told = _decode(row[OFFSET_BYTES:])
    for _, value in told:
        event_id_of_told(value)
    return int(key.removeprefix(_PREFIX)), told


def untold_rows(offset: int, notifications: Sequence[Told]) -> list[tuple[bytes, bytes]]:
    """The rows of what a round raised that covers everything up to an offset."""
    pieces: list[list[Told]] = []
    room = 0
    for told in notifications:
        size = len(told[0]) + len(told[1])
        if size > room:
            pieces.append([])
            room = _ROW_BYTES
        pieces[-1].append(told)
        room -= size
    return [(_PREFIX + b"%d" % number, state_row(offset, piece)) for number, piece in enumerate(pieces)]


def untold_in(rows: Mapping[bytes, bytes], applied: int) -> tuple[int, list[Told]]:
    """What rows tell of the newest round that raised something.

    Args:
        rows: all state rows.
        applied: as of the partition's row.

    Returns:
        the offset that this round covers, -1 without one; and what may not have been sent. Nothing, when a later round
        was written: it came after it was sent.
    """
    own = {key: row for key, row in rows.items() if is_untold(key)}
    offset = max(map(offset_of, own.values()), default=-1)
    if offset < applied:
        return offset, []
    newest = sorted((int(key.removeprefix(_PREFIX)), row) for key, row in own.items() if offset_of(row) == offset)
    return offset, [told for _, row in newest for told in _decode(row[OFFSET_BYTES:])]


def as_told_before(notifications: Iterable[Told], before: Iterable[Told]) -> list[Told]:
    """Notifications, with the bytes of those before that have the same id: a repeat is the same in every byte."""
    known = {event_id_of_told(value): (key, value) for key, value in before}
    return (
        [known.get(event_id_of_told(value), (key, value)) for key, value in notifications]
        if known
        else list(notifications)
    )


class _Head(msgspec.Struct):
    event_id: str


_decode_head = msgspec.json.Decoder(_Head).decode


def event_id_of_told(value: bytes) -> str:
    """The id of a notification as it is sent."""
    return _decode_head(value).event_id
