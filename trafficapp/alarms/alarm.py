"""An alarm as its management sees it, whatever it is about."""

from __future__ import annotations

from typing import NamedTuple

from models.alarms import Priority, Stream, WithheldAs


class Alarm(NamedTuple):
    """Something that was told to operators, or would have been.

    Attributes:
        stream: where it comes from.
        alarm_id: of the alert or notification.
        rule: its ``alert_type``.
        source: id of its camera or road, or its subject; empty without one.
        priority: its severity; of an alert the highest that it had.
        raised_us: microseconds since the epoch; of an alert when it became an alarm, else when it was triggered.
        cleared_us: likewise; None while it stands, and of a message that is told once and does not stand.
        stands: False of a message that is told once.
        acknowledged_us, acknowledged_by: when and by whom it was taken on; None when nobody has.
        withheld: why operators were not told; None when they were.
    """

    stream: Stream
    alarm_id: str
    rule: str
    source: str
    priority: Priority
    raised_us: int
    cleared_us: int | None = None
    stands: bool = True
    acknowledged_us: int | None = None
    acknowledged_by: str | None = None
    withheld: WithheldAs | None = None
