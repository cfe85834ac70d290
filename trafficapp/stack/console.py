"""What a person sees while servers and workers run: prefixed lines, what is waited for, a download bar, log files."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.status import Status
from rich.text import Text

from models.plain_text import escaped
from trafficapp import logs
from trafficapp.stack.line_levels import LineLevels
from trafficapp.stack.repeats import Repeats
from trafficapp.stack.servers import jars

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
LOG_KEEP_BYTES = 5_000_000
FIRST_WAITING_SECONDS = 15.0

#: How often the same is told of a process, such as that it ended, before it is told more rarely.
_TOLD_AT_ONCE = 6

_logger = logging.getLogger("trafficapp.stack")


class LogOutput:
    """Writes each process's lines to its file under `logs/`, and prefixed to the standard error output.

    Use it as a context manager; standard output stays free for the lines a shell may evaluate.
    """

    def __init__(
        self,
        log_dir: Path,
        quiet: frozenset[str] = frozenset(),
        *,
        brief: bool = False,
        shown: tuple[str, ...] = (),
        json_lines: IO[str] | None = None,
    ) -> None:
        """Keep files in `log_dir`.

        Args:
            log_dir: where the files are.
            quiet: processes whose lines go to their files alone.
            brief: show warnings and errors only, and what is said again and again rarely.
            shown: beginnings of lines that are shown all the same.
            json_lines: write every line there as a JSON object instead of showing it; `logs.install` must have been
                called, for what is said here.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        self.log_dir = log_dir
        self.notes = 0
        self._quiet = quiet
        self.brief = brief
        self._beginnings = shown
        self._json_lines = json_lines
        self._files: dict[str, IO[str]] = {}
        self._styles: dict[str, str] = {}
        self._levels: dict[str, LineLevels] = {}
        self._repeats, self._told_repeats = Repeats(), Repeats(at_once=_TOLD_AT_ONCE)
        self._shown: dict[str, bool] = {}
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def __enter__(self) -> LogOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    @property
    def for_people(self) -> bool:
        """Whether what is said is shown as text, not as JSON."""
        return self._json_lines is None

    def line(self, name: str, line: str) -> None:
        """Take one line of a process.

        A full disk or a terminal that went away costs the line: the process must not be held up by it.
        """
        with contextlib.suppress(OSError):
            self._keep(name, line)
        with contextlib.suppress(OSError):
            self._show_of_process(name, line)

    def told(self, name: str, text: str) -> None:
        """Take what the supervisor says about a process; it is shown, whether its own lines are or not."""
        with contextlib.suppress(OSError):
            self._keep(name, text)
        # what the process says next is another one's
        self._shown.pop(name, None)
        self._levels.pop(name, None)
        untold = self._told_repeats.untold(name, text) if self.brief else 0
        if untold is not None:
            with contextlib.suppress(OSError):
                self._show(name, _with_count(text, untold), logging.WARNING)

    def note(self, text: str) -> None:
        """Tell the person something of our own."""
        self.notes += 1
        with contextlib.suppress(OSError):
            if self._json_lines is not None:
                _logger.info("%s", text)
            else:
                self.console.print(Text(text, style="bold"))

    def _keep(self, name: str, line: str) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = self._open(name)
        file.write(escaped(line, lines=True) + "\n")

    def _show_of_process(self, name: str, line: str) -> None:
        level = self._levels.setdefault(name, LineLevels()).of(line)
        if self.brief and level.begins:
            self._shown[name] = line.startswith(self._beginnings)
            if level.number >= logging.WARNING:
                untold = self._repeats.untold(name, line)
                self._shown[name] = untold is not None
                line = _with_count(line, untold or 0)
        if name not in self._quiet and (not self.brief or self._shown.get(name, False)):
            self._show(name, line, level.number)

    def _show(self, name: str, line: str, level: int) -> None:
        if self._json_lines is not None:
            self._json_lines.write(logs.line_of(name, line, level) + "\n")
            return
        style = self._styles.setdefault(name, COLOURS[len(self._styles) % len(COLOURS)])
        self.console.print(Text.assemble((f"{name:>8} | ", style), escaped(line, lines=True)))

    def _open(self, name: str) -> IO[str]:
        path = self.log_dir / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_KEEP_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)


def _with_count(line: str, untold: int) -> str:
    return f"{line} (and {untold} more like it since it was told)" if untold else line


class Waiting:
    """Says what is waited for: in one line that changes on a terminal, elsewhere in lines that grow rare.

    Call `look` every second or so; use it as a context manager.
    """

    def __init__(self, output: LogOutput, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._began = clock()
        self._next_at = self._began + FIRST_WAITING_SECONDS
        self._notes = output.notes
        self._status: Status | None = None
        if output.console.is_terminal:
            self._status = output.console.status("")

    def __enter__(self) -> Waiting:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def look(self, what: str) -> None:
        """Tell, when it is time to.

        Args:
            what: is being waited for.
        """
        now = self._clock()
        text = f"{now - self._began:5.1f} s: waiting for {what}"
        if self._status is not None:
            self._status.update(Text(text))
        elif self._output.notes != self._notes:
            # who was told something just now does not wonder
            self._notes = self._output.notes
            self._next_at = max(self._next_at, now + FIRST_WAITING_SECONDS)
        elif now >= self._next_at:
            self._output.note(text)
            self._notes = self._output.notes
            self._next_at = now + (now - self._began)


class DownloadBar:
    """A progress bar for the jars, shown only when there is something to fetch."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("fetching Apache Kafka"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
        )
        self._started = False

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        # one that was never shown would leave an empty line
        if self._started:
            self._progress.stop()

    def announce(self, total_bytes: int) -> jars.Progress:
        """Start the bar and return what advances it."""
        task = self._progress.add_task("", total=total_bytes)
        self._progress.start()
        self._started = True
        return lambda size_bytes: self._progress.advance(task, size_bytes)
