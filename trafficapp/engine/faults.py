"""Faults of ours while one record is applied: the record is refused, and those behind it are not held up."""

from __future__ import annotations

import logging
import traceback

from models.cameras.detections import Rejected

logger = logging.getLogger(__name__)

#: Where faults of this process were told with their traceback; after so many places there is no need for more.
_told: set[tuple[str, str, int]] = set()
_MOST_TOLD = 1000


def refused_by_fault(error: Exception, what: str) -> Rejected:
    """What becomes of a record that could not be applied: a dead letter with reason ``failed``.

    Args, Raises: of `tell_fault`.
    """
    tell_fault(error, what)
    # no more of the error: another process that applies the same record must say the same, byte for byte
    return Rejected("failed", f"applying the message raised {type(error).__name__}; the log says where")


def tell_fault(error: Exception, what: str) -> None:
    """Log a fault; its traceback once for each place that it comes from.

    Args:
        error: what was raised.
        what: what it was raised at, for the log.

    Raises:
        MemoryError: it was this, which the same record need not raise again.
    """
    if isinstance(error, MemoryError):
        raise error
    kind = type(error).__name__
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = kind, frame.filename, frame.lineno or 0
    if place in _told or len(_told) >= _MOST_TOLD:
        logger.error("%s failed, %s as before", what, kind)
    else:
        _told.add(place)
        logger.error("%s failed; what is behind it goes on", what, exc_info=error)
