"""The timetable of a folder as it is now: a new one is taken up when it lies there, without a restart."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from trafficapp.timetables.schedule import Schedule
from trafficapp.timetables.storage import FILE_NAME, NoTimetable, load

logger = logging.getLogger(__name__)

#: How often the file is looked at.
_LOOK_SECONDS = 5.0


class TimetableSource:
    """Reads a timetable when it has changed; safe to be asked from several threads.

    Args:
        folder: that ``trafficapp gtfs import`` writes to.
        look_seconds: how often to look.
    """

    def __init__(self, folder: Path, look_seconds: float = _LOOK_SECONDS) -> None:
        self.folder, self._look_seconds = folder, look_seconds
        self._looked = -look_seconds
        self._read: tuple[int, int, int] | None = None
        self._schedule: Schedule | None = None
        self._why = f"{folder / FILE_NAME} was not looked for yet"
        self._looking = threading.Lock()

    def schedule(self) -> Schedule:
        """The newest one that could be read; may read a file.

        Raises:
            NoTimetable: there never was one.
        """
        with self._looking:
            if time.monotonic() - self._looked >= self._look_seconds:
                self._looked = time.monotonic()
                self._look()
            if self._schedule is None:
                raise NoTimetable(self._why)
            return self._schedule

    def _look(self) -> None:
        try:
            found = (self.folder / FILE_NAME).stat()
            name = found.st_mtime_ns, found.st_size, found.st_ino
            if name == self._read:
                return
            timetable = load(self.folder)
        except (OSError, NoTimetable) as error:
            why = str(error)
            if why != self._why:
                logger.warning("no timetable is taken up: %s", why)
            self._why = why
            return
        self._read, self._why = name, ""
        if self._schedule is None or self._schedule.timetable.version != timetable.version:
            logger.info("timetable %s of %s is taken up", timetable.version, self.folder)
            self._schedule = Schedule(timetable)
