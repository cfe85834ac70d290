"""What applying records leads to: to be sent, and acknowledged, before the state that covers them is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.alerts import AlertEvent
from models.cameras.quiet_cameras import QuietCamera
from models.cameras.window_rows import WindowRow
from models.dead_letters import DeadLetter


@dataclass(slots=True)
class Outcome:
    """What some records led to.

    Attributes:
        rows: finished windows, in order.
        after_quiet: by position in `rows`, those that follow when it was told that their camera finishes no more
            windows: `QuietCamera.newest_window_end_us` of what was told.
        dead_letters: refused messages, in order; one for each message at most.
        alerts: cameras that fell silent or came back, in order.
        quiet: cameras that finish no more windows, in order.
        counted, repeated: detections counted, and seen before.
        rejected: detections refused, by reason.
    """

    rows: list[WindowRow] = field(default_factory=list)
    after_quiet: dict[int, int] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    quiet: list[QuietCamera] = field(default_factory=list)
    counted: int = 0
    repeated: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str, events: int) -> None:
        """Count refused detections."""
        self.rejected[reason] = self.rejected.get(reason, 0) + events
