"""What a person sees while servers and workers run: prefixed log lines, a download bar, log files."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from trafficapp.stack import jars

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
LOG_KEEP_BYTES = 5_000_000


class LogOutput:
    """Writes each process's lines to its file under `logs/`, and prefixed to the standard error output.

    Use it as a context manager; standard output stays free for the lines a shell may evaluate.
    """

    def __init__(self, log_dir: Path, quiet: frozenset[str] = frozenset()) -> None:
        """Keep files in `log_dir`; the processes named in `quiet` go to their files alone."""
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._quiet = quiet
        self._files: dict[str, IO[str]] = {}
        self._styles: dict[str, str] = {}
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def __enter__(self) -> LogOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def line(self, name: str, line: str) -> None:
        """Take one line of a process.

        A full disk or a terminal that went away costs the line: the process must not be held up by it.
        """
        with contextlib.suppress(OSError):
            self._write(name, line)

    def note(self, text: str) -> None:
        """Tell the person something of our own."""
        with contextlib.suppress(OSError):
            self.console.print(Text(text, style="bold"))

    def _write(self, name: str, line: str) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = self._open(name)
        file.write(line + "\n")
        if name not in self._quiet:
            style = self._styles.setdefault(name, COLOURS[len(self._styles) % len(COLOURS)])
            self.console.print(Text.assemble((f"{name:>8} | ", style), line))

    def _open(self, name: str) -> IO[str]:
        path = self._log_dir / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_KEEP_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("a", encoding="utf-8", buffering=1)


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

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def announce(self, total_bytes: int) -> jars.Progress:
        """Start the bar and return what advances it."""
        task = self._progress.add_task("", total=total_bytes)
        self._progress.start()
        return lambda size_bytes: self._progress.advance(task, size_bytes)
