"""What reading a record, or a document in Redis, may raise when it is not what it should be."""

from __future__ import annotations

from models.detections import UNDECODABLE

#: Not JSON, of other types, nested too deeply, text that is not UTF-8, times that are none, numbers out of range.
UNREADABLE = (*UNDECODABLE, ValueError, OverflowError)
