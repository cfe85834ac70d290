"""Files of messages, each as the bytes that a producer would send: JSON lines, a JSON array, or one message.

Also compressed with gzip, and from stdin. Nothing is judged here: a line that is no JSON is a message like others.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, NamedTuple, cast

import msgspec

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_array = msgspec.json.Decoder(list[msgspec.Raw])
_whole = msgspec.json.Decoder(msgspec.Raw)


class UnreadableFile(Exception):
    """A file holds no messages, or cannot be read; the text says why."""


class FileMessage(NamedTuple):
    """A message and the line of the file on which it begins, from 1 on."""

    line: int
    value: bytes


def messages_of(path: Path) -> Iterator[FileMessage]:
    """The messages of a file, in order; JSON lines are read one by one, so a file may be larger than memory.

    Args:
        path: of the file; ``-`` is stdin.

    Raises:
        UnreadableFile: there is no such file, it is damaged, or it is neither of the three.
    """
    try:
        with _opened(path) as stream:
            yield from _messages(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableFile(f"{path} cannot be read: {reason}") from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as file:
        stream = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file))
        if stream.peek(2)[:2] == _GZIP:
            with gzip.open(stream) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield stream


def _messages(path: Path, stream: IO[bytes]) -> Iterator[FileMessage]:
    number, first = 0, b""
    for number, line in enumerate(stream, 1):
        first = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if first.strip():
            break
    if not first.strip():
        return
    begins_as = first.strip()[:1]
    if begins_as not in (b"[", b"{") or (begins_as == b"{" and _is_json(first)):
        yield from _lines(number, first, stream)
        return
    # an array, one message over several lines, or lines the first of which is broken
    text = first + stream.read()
    if begins_as == b"{":
        if _is_json(text):
            yield FileMessage(number, text.strip())
        else:
            yield from _lines(number, b"", io.BytesIO(text))
        return
    try:
        parts = _array.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        if not _is_json(first):
            raise UnreadableFile(f"{path} begins as a JSON array, and is none: {error}") from None
        yield from _lines(number, b"", io.BytesIO(text))
        return
    yield from _elements(number, text, map(bytes, parts))


def _lines(number: int, first: bytes, rest: Iterable[bytes]) -> Iterator[FileMessage]:
    """Messages of lines; blank ones are none."""
    if first:
        yield FileMessage(number, first.strip())
        number += 1
    for place, line in enumerate(rest, number):
        if value := line.strip():
            yield FileMessage(place, value)


def _elements(number: int, text: bytes, parts: Iterable[bytes]) -> Iterator[FileMessage]:
    """Elements of an array, which stand in the text as they are."""
    at = text.index(b"[") + 1
    for part in parts:
        found = text.index(part, at)
        number += text.count(b"\n", at, found)
        yield FileMessage(number, part)
        number += part.count(b"\n")
        at = found + len(part)


def _is_json(text: bytes) -> bool:
    try:
        _whole.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
