"""Logs for machines: each line on stdout is one JSON object, whoever wrote it.

Fields: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, ``role`` and, for an exception, ``exc_info``.
Where one process prints for several, as `trafficapp up` does, ``process`` says whose line it is.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any

import msgspec

from models.plain_text import escaped, escaped_in_json

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

#: Loggers whose messages have lines on purpose.
_DRAW = frozenset({"faust", "mode"})

_encode = msgspec.json.Encoder().encode


class Escaping(logging.Formatter):
    """Text for people, in which nothing from outside passes for a line of ours: what it hides is shown.

    A message is one line, but for those of Faust, which draw tables; what belongs to a line is indented below it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; one whose arguments do not fit its message is told all the same."""
        try:
            message = record.getMessage()
        except Exception:
            message = f"{record.msg} {record.args!r}"
        draws = record.name.partition(".")[0] in _DRAW
        shown = logging.makeLogRecord(record.__dict__)
        shown.msg, shown.args = (_below(message) if draws else escaped(message)), ()
        shown.exc_text = None
        return super().format(shown)

    def formatException(self, ei: Any) -> str:
        """A traceback, indented."""
        return "  " + _below(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """Likewise."""
        return "  " + _below(super().formatStack(stack_info))


def _below(text: str) -> str:
    return escaped(text, lines=True).replace("\n", "\n  ")


def install_text(level: int) -> None:
    """Log as text on standard error, for a command."""
    handler = logging.StreamHandler()
    handler.setFormatter(Escaping("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class JsonFormatter(logging.Formatter):
    """One record, one object, one line.

    Args:
        role: what the process does.
        process: its name among several whose lines are printed together.
    """

    def __init__(self, role: str, process: str | None = None) -> None:
        super().__init__()
        self._role = role
        self._process = {} if process is None else {"process": process}

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; one whose arguments do not fit its message is told all the same."""
        try:
            message = record.getMessage()
        except Exception:
            message = f"{record.msg} {record.args!r}"
        line = {
            "time": _time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "role": self._role,
            **self._process,
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exc_info"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack_info"] = record.stack_info
        return _in_one_line({name: _plain(text) for name, text in line.items()})


def line_of(process: str, line: str, level: int) -> str:
    """One JSON object for a line that another process wrote, with its name in ``process``.

    Args:
        process: its name.
        line: what it wrote; an object of its own stays what it is.
        level: as in `logging`, for a line that is no object.
    """
    if line.startswith("{"):
        try:
            said = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError):
            said = None
        if isinstance(said, dict) and said.keys() >= {"time", "level", "message"}:
            return _in_one_line(said | {"process": process})
    told = {
        "time": _time(time.time()),
        "level": logging.getLevelName(level),
        "logger": process,
        "message": line,
        "role": process,
        "process": process,
    }
    return _in_one_line({name: _plain(text) for name, text in told.items()})


def _in_one_line(line: dict[str, object]) -> str:
    """An object as JSON, in one line also for those who end lines wherever Unicode has an end of a line."""
    return escaped_in_json(_encode(line).decode())


def _time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(text: str) -> str:
    """A path or a header may hold what is no Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


class LineLogger(io.TextIOBase):
    """Stands in for stdout or stderr: each line that is printed becomes a record.

    Args:
        logger: of the records.
        level: of the records.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        self._rest = threading.local()

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def write(self, text: str) -> int:
        """Log every whole line; the rest of an unfinished one is kept."""
        *lines, self._rest.text = (getattr(self._rest, "text", "") + text).split("\n")
        for line in lines:
            self._tell(line)
        return len(text)

    def finish(self) -> None:
        """Log what has no line end yet."""
        self._tell(getattr(self._rest, "text", ""))
        self._rest.text = ""

    def _tell(self, line: str) -> None:
        if line.strip():
            self._logger.log(self._level, "%s", line.rstrip())


def install(role: str, level: str, stream: IO[str] | None = None, process: str | None = None) -> None:
    """Log as JSON from here on, with everything that is printed, warned or raised to the top.

    Args:
        role: what the process does.
        level: least level, one of the settings' words.
        stream: where the lines go; stdout.
        process: see `JsonFormatter`.
    """
    handler = logging.StreamHandler(stream or own_stream(1))
    handler.setFormatter(JsonFormatter(role, process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    # a handler that fails must not print a traceback into the lines
    logging.raiseExceptions = False
    sys.stdout = LineLogger(logging.getLogger("stdout"), logging.INFO)
    sys.stderr = LineLogger(logging.getLogger("stderr"), logging.WARNING)
    sys.excepthook = _tell_uncaught
    threading.excepthook = lambda told: _tell_uncaught(
        told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback
    )


def own_stream(descriptor: int) -> IO[str]:
    """A way to stdout (1) or stderr (2) that is ours alone; a line goes out at once."""
    return io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), encoding="utf-8", write_through=True)


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    level = logging.INFO if issubclass(kind, KeyboardInterrupt) else logging.CRITICAL
    logging.getLogger("uncaught").log(level, "%s", kind.__name__, exc_info=(kind, error, trace))
