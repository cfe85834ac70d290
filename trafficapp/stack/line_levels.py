"""How important a line is that a process wrote: read from the line itself, whoever wrote it."""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

import msgspec

_LEVELS = {
    **dict.fromkeys(("TRACE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5"), logging.DEBUG),
    **dict.fromkeys(("INFO", "LOG", "NOTICE"), logging.INFO),
    **dict.fromkeys(("WARN", "WARNING"), logging.WARNING),
    **dict.fromkeys(("ERROR", "SEVERE"), logging.ERROR),
    **dict.fromkeys(("FATAL", "PANIC", "CRITICAL"), logging.CRITICAL),
    **{".": logging.DEBUG, "-": logging.INFO, "*": logging.INFO, "#": logging.WARNING},
}

#: How lines of the formats begin that are written under us; what follows such a line without a beginning of its own
#: (a traceback, a statement) belongs to it.
_BEGINNINGS = (
    re.compile(r"\[[-0-9:, ]{10,}\] \[\d+\] \[([A-Z]+)\]"),  # Faust's workers
    re.compile(r"\d\d:\d\d:\d\d\.\d{3} ([A-Z]+) "),  # Kafka
    re.compile(r"\d{4}-\d\d-\d\d [\d:.]+ [A-Z]+ +(?:\[\d+\] )?(DEBUG\d|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC): "),
    re.compile(r"\d+:[XCSM] \d\d \w{3} \d{4} [\d:.]+ ([.*#-]) "),  # Redis and Valkey
)

#: Lines of programs that have no format; only what is indented below them belongs to them.
_WORDS = re.compile(
    r"(ERROR|FATAL|CRITICAL|Error|Exception|Traceback|fatal error|# A fatal error)\b|(WARNING|Warning|waiting for)\b"
)

#: Warnings of a healthy start or end. They stay in the log files.
_EXPECTED = re.compile(
    "|".join(
        (
            # Kafka's controller says that it begins; the runtime says that a library is old; both at every start
            "Performing controller activation",
            r"sun\.misc\.Unsafe",
            "Please consider reporting this to the maintainers of class",
            # its parts begin side by side, and ask each other again where the machine is slow
            "Exceptionally slow controller event",
            r"Unexpected error handling request RequestHeader\(apiKey=CONTROLLER_REGISTRATION",
            "RegistrationResponseHandler: channel manager timed out before sending the request",
            "Failed to load metadata from __consumer_offsets-.* is no longer the leader",
            "Attempting to close NetworkClient that has already been closed",
            # answers of Postgres to those who ask whether it is up
            "the database system is (?:not yet )?(?:starting up|shutting down|accepting connections)",
            'database "trafficapp" does not exist',
            # Valkey keeps nothing on disk here; and it has its good-bye among the warnings
            "overcommit",
            "Transparent Huge Pages",
            "is now ready to exit",
            "User requested shutdown",
            "Received SIG(?:TERM|INT) scheduling shutdown",
            # Faust's timers tell how busy the machine is; a worker that falls behind shows in its lag
            r"Timer \S+ (?:is overlapping|woke up too)",
        )
    )
)


class Level(NamedTuple):
    """Of a line: its level as in `logging`, and whether it is the first line of what is said."""

    number: int
    begins: bool


class LineLevels:
    """Levels of the lines of one process, in order."""

    def __init__(self) -> None:
        self._level = logging.INFO
        # whether lines without a beginning belong to the one before, until another begins
        self._formatted = False
        self._indented_only = False

    def of(self, line: str) -> Level:
        """Level of the next line; INFO when nothing tells."""
        found = _formatted_level(line)
        if found is not None:
            self._level, self._formatted, self._indented_only = _expected(found, line), True, False
            return Level(self._level, begins=True)
        word = _WORDS.match(line)
        if word is not None and not (self._formatted and self._level >= logging.WARNING):
            level = logging.WARNING if word[2] else logging.ERROR
            self._level, self._formatted, self._indented_only = _expected(level, line), False, True
            return Level(self._level, begins=True)
        if self._formatted:
            return Level(self._level, begins=False)
        if self._indented_only:
            # the line that names the exception is the last one of a traceback, and is not indented
            self._indented_only = not line or line[0].isspace()
            return Level(self._level, begins=False)
        return Level(logging.INFO, begins=True)


def _formatted_level(line: str) -> int | None:
    for beginning in _BEGINNINGS:
        match = beginning.match(line)
        if match is not None:
            return _LEVELS.get(match[1], logging.INFO)
    if line.startswith("{"):
        try:
            said = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError):
            return None
        if isinstance(said, dict) and isinstance(said.get("level"), str):
            return _LEVELS.get(said["level"].upper(), logging.INFO)
    return None


def _expected(level: int, line: str) -> int:
    return logging.INFO if level >= logging.WARNING and _EXPECTED.search(line) else level
