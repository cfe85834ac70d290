"""What a source tells while it sends: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from models.timestamps import rfc3339
from trafficapp.sources.delivery import Delivery
from trafficapp.sources.refusals import Refusals

#: Between lines; each pause is twice the one before, up to the longest.
_FIRST_LINE_SECONDS, _LONGEST_LINE_SECONDS = 5.0, 600.0
_BAR_SECONDS = 0.2


class SendingProgress:
    """Shows detections, event time and rate; cheap enough to be told of every thousandth message.

    Args:
        delivery: what sends.
        total: detections expected; None when there is no end.
        console: where to write; standard error unless told.
        refusals: what the application will refuse.
    """

    def __init__(
        self,
        delivery: Delivery,
        total: int | None,
        console: Console | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = refusals
        self._delivery = delivery
        self._total = total
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._shown_at = self._started = time.monotonic()
        self._shown_detections = 0
        self._line_seconds = _FIRST_LINE_SECONDS

    def __enter__(self) -> SendingProgress:
        if self._console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                BarColumn(bar_width=30),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, text: str) -> None:
        """Write a line of its own."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def update(self, detections: int, event_time_us: int) -> None:
        """Show how far it is, when it is time to."""
        now = time.monotonic()
        elapsed = now - self._shown_at
        if elapsed < (_BAR_SECONDS if self._bar else self._line_seconds):
            return
        rate = (detections - self._shown_detections) / elapsed
        self._shown_at, self._shown_detections = now, detections
        text = f"{detections:,} detections, event time {rfc3339(event_time_us)}, {rate:,.0f}/s"
        if waiting := self._delivery.in_flight:
            text += f", {waiting:,} messages unacknowledged"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=detections, description=text)
        else:
            self.tell(text)
            self._line_seconds = min(self._line_seconds * 2, _LONGEST_LINE_SECONDS)

    def finish(self, detections: int) -> None:
        """Write the last line: what became of the messages."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=detections)
            self._bar.stop()
        delivery, seconds = self._delivery, time.monotonic() - self._started
        rate = detections / seconds if seconds else 0.0
        rejected, refusals = delivery.rejected.total(), self._refusals
        line = (
            f"sent {delivery.sent:,} messages ({detections:,} detections) in {seconds:.1f} s ({rate:,.0f}/s): "
            f"{delivery.acknowledged:,} acknowledged"
        )
        if refusals is not None:
            refusals.read()
        if refusals is not None and refusals.detections:
            line += f" by Kafka, {rejected:,} rejected by Kafka" if rejected else " by Kafka"
            line += f", {refusals.detections.total():,} detections refused by the application ({refusals.told()})"
            if refusals.messages >= delivery.sent:
                line += ": it takes nothing of this"
        else:
            line += f", {rejected:,} rejected"
        if delivery.in_flight:
            line += f", {delivery.in_flight:,} unacknowledged"
        if refusals is not None:
            line += "; whether any is late or repeated only shows when the application reads it"
        self.tell(line)
        for reason, count in delivery.rejected.most_common():
            self.tell(f"  {count:,} rejected: {reason}")
