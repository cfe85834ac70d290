"""The windows of a partition with all that a run leads to in one piece; the application takes it step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trafficapp.windows.acceptance import Record
from trafficapp.windows.outcome import Outcome
from trafficapp.windows.partition import PartitionWindows


class WholeWindows(PartitionWindows):
    """The windows of all cameras of one partition."""

    def apply(self, records: Sequence[Record]) -> Outcome:
        """Apply consecutive records; those that are applied already change nothing."""
        return joined(self.steps(records))


def joined(outcomes: Iterable[Outcome]) -> Outcome:
    """What outcomes hold, one after the other."""
    whole = Outcome()
    for one in outcomes:
        begin = len(whole.rows)
        whole.after_quiet |= {begin + position: end_us for position, end_us in one.after_quiet.items()}
        whole.rows += one.rows
        whole.dead_letters += one.dead_letters
        whole.alerts += one.alerts
        whole.quiet += one.quiet
        whole.counted += one.counted
        whole.repeated += one.repeated
        for reason, events in one.rejected.items():
            whole.reject(reason, events)
    return whole
