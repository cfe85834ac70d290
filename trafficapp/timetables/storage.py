"""A timetable in a folder: written in one step, so that whoever reads finds the one before or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from models.timetables.timetable import Timetable

FILE_NAME = "timetable.msgpack"


class NoTimetable(Exception):
    """There is no timetable in a folder, or none that can be read; the text says why, for people."""


def save(timetable: Timetable, folder: Path) -> Path:
    """Write it in the place of the one before; returns the file.

    Raises:
        OSError: it cannot be written; the one before is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    beside = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        with beside.open("wb") as file:
            file.write(msgspec.msgpack.encode(timetable))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def load(folder: Path) -> Timetable:
    """Read the timetable of a folder.

    Raises:
        NoTimetable: there is none.
    """
    path = folder / FILE_NAME
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Timetable)
    except OSError as error:
        raise NoTimetable(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise NoTimetable(
            f"{path} is of another version of trafficapp, or damaged; import it again ({error})"
        ) from None
