"""Documents as they stand in Redis, read one by one: what cannot be read is left out, counted and told.

So it takes no other with it. Somebody else may have written there, or another version of ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec
from prometheus_client import Counter

from models.records import MALFORMED

logger = logging.getLogger(__name__)

_Read = TypeVar("_Read")

#: Of this process, whatever it does; each of its registries may take it in.
UNREADABLE = Counter("b2_unreadable_documents", "Documents in Redis that were left out", ["what"], registry=None)

#: A document is asked for again and again: it is told of so often, by what it should be.
_TOLD_AGAIN_SECONDS = 60.0
_told_at: dict[str, float] = {}

_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode


def readable(documents: Iterable[bytes], read: Callable[[bytes], _Read], what: str) -> list[_Read]:
    """What is read of each document that can be, in their order.

    Args:
        documents: as they stand there.
        read: raises one of `models.records.MALFORMED` for what it cannot read.
        what: they should be, in few words that do not vary: ``incidents``.
    """
    found = []
    for document in documents:
        try:
            found.append(read(document))
        except MALFORMED as error:
            left_out(what, error)
    return found


def those_in_json(documents: Sequence[bytes], what: str) -> list[bytes]:
    """The documents that are JSON at all, whatever they say; all at once costs next to nothing."""
    try:
        if len(_decode_array(b"[" + b",".join(documents) + b"]")) == len(documents):
            return list(documents)
    except MALFORMED:
        pass
    return readable(documents, lambda document: bytes(_decode_any(document)), what)


def left_out(what: str, error: BaseException) -> None:
    """Count a document that cannot be read, and tell of it."""
    UNREADABLE.labels(what).inc()
    now = time.monotonic()
    if now - _told_at.get(what, -_TOLD_AGAIN_SECONDS) >= _TOLD_AGAIN_SECONDS:
        _told_at[what] = now
        logger.warning("what stands in Redis among %s cannot be read and is left out: %s", what, error)
