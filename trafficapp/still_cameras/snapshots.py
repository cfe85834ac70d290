"""What stands in the ``snapshot`` of a message: a picture, the address of one, a text, or nothing.

A picture is what begins as one: what a camera calls it is not asked. Addresses are never opened.
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Any, NamedTuple

from models.cameras.detections import Rejected
from models.still_cameras.messages import SnapshotKind

_DATA_ADDRESS = re.compile(r"data:[^,;]{0,100}(?:;[^,;]{1,100}){0,4};base64,", re.IGNORECASE).match
_ADDRESS = re.compile(r"https?://[^\s]+", re.IGNORECASE).fullmatch
_LONGEST_ADDRESS = 2048
_BLANKS = str.maketrans("", "", " \t\r\n")

#: A picture has at least so many bytes: the smallest GIF-like ones are no JPEG, PNG or WebP.
_LEAST_BYTES = 16


class Snapshot(NamedTuple):
    """What it is.

    Attributes:
        kind: of it.
        size: bytes of the picture, else of the text in UTF-8.
        content_type: of a picture.
        sha256: of a picture, in hexadecimal digits.
        url: an address.
        picture: a picture.
    """

    kind: SnapshotKind
    size: int = 0
    content_type: str | None = None
    sha256: str | None = None
    url: str | None = None
    picture: bytes = b""


def read_snapshot(told: Any, max_bytes: int) -> Snapshot:
    """What a snapshot is.

    Args:
        told: as it was sent.
        max_bytes: the largest picture or text that is taken.

    Raises:
        Rejected: ``snapshot_too_large``; or ``invalid_field``, it is no text.
    """
    if told is None:
        return Snapshot("none")
    if not isinstance(told, str):
        raise Rejected("invalid_field", f"snapshot: a text is taken, not {type(told).__name__}")
    text = told.strip()
    if not text:
        return Snapshot("none")
    picture = _from_base64(text)
    content_type = type_of(picture)
    size = len(text.encode(errors="surrogatepass")) if content_type is None else len(picture)
    if size > max_bytes:
        what = "text" if content_type is None else content_type
        raise Rejected("snapshot_too_large", f"snapshot ({what}) has {size:,} bytes, and {max_bytes:,} are taken")
    if content_type is not None:
        return Snapshot("image", size, content_type, sha256(picture).hexdigest(), None, picture)
    if len(text) <= _LONGEST_ADDRESS and _ADDRESS(text):
        return Snapshot("url", size, url=text)
    return Snapshot("text", size)


def type_of(picture: bytes) -> str | None:
    """The type of a picture, by the bytes that it begins with; None for anything but JPEG, PNG and WebP."""
    if len(picture) < _LEAST_BYTES:
        return None
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    return None


def _from_base64(text: str) -> bytes:
    """The bytes that a text says in base64, standard or for addresses; none if it says none."""
    data = _DATA_ADDRESS(text)
    encoded = (text[data.end() :] if data else text).translate(_BLANKS)
    if not encoded.isascii():
        return b""
    # what other libraries leave out is what the length lacks
    encoded = encoded.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return b""
