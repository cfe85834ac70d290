"""Whether the partitions that the group has shared out are ours: three phases, and what leads from one to the next.

::

    GIVEN_UP ── begin ──▶ TAKING_OVER ── complete ──▶ OURS
        ▲                      │                        │
        └───────────────────── give_up ─────────────────┘

A take-over waits for stores and brokers as long as they are away. Meanwhile the group may share out anew, and then
nothing of it may happen any more. It is cancelled; and since a client library may swallow a cancellation on its way,
it also asks `Ownership.is_current` behind everything that it has waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import Enum
from typing import Any, NoReturn

from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.state_rows import OtherLog, PartitionsChanged
from trafficapp.topics import how_to_begin_anew


class Phase(Enum):
    """How far this process is with the partitions that the group gives it."""

    #: The group shares partitions out, or has not begun to: nothing is read, applied or committed.
    GIVEN_UP = "given up"
    #: They are shared out. The sinks are asked where to read on, and the consumer is sought to there.
    TAKING_OVER = "taking over"
    #: They are read and applied, and what was applied is committed.
    OURS = "ours"


class Ownership:
    """The phase of all partitions of a consumer, which come and go together.

    Attributes:
        phase: where it is.
        taking_over: the work of the newest take-over, done or not; None before the first and when it was given up.
    """

    def __init__(self) -> None:
        self.phase = Phase.GIVEN_UP
        self.taking_over: asyncio.Task[None] | None = None
        self._turn = 0

    def begin(self, take_over: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Begin to take over, in the background.

        Args:
            take_over: does it; is given its number, for `is_current` and `complete`.

        Raises:
            RuntimeError: what was there before was not given up.
        """
        if self.phase is not Phase.GIVEN_UP:
            raise RuntimeError(f"a take-over begins while partitions are {self.phase.value}")
        self.phase = Phase.TAKING_OVER
        self._turn += 1
        self.taking_over = asyncio.create_task(take_over(self._turn), name="take over partitions")

    def is_current(self, turn: int) -> bool:
        """Whether a take-over may go on: it was not given up."""
        return self.phase is Phase.TAKING_OVER and turn == self._turn

    def complete(self, turn: int) -> None:
        """The partitions are ours from here on.

        Raises:
            RuntimeError: that take-over was given up, or is complete already.
        """
        if not self.is_current(turn):
            raise RuntimeError(f"a take-over ends that is not under way; partitions are {self.phase.value}")
        self.phase = Phase.OURS

    def give_up(self) -> None:
        """Nothing is ours any more; a take-over that is under way does nothing more."""
        self.phase = Phase.GIVEN_UP
        if self.taking_over is not None:
            self.taking_over.cancel()
            self.taking_over = None


def refuse_other_log(topic: str, error: OtherLog) -> NoReturn:
    """End the process, since what is kept of a topic does not fit the topic that is there."""
    status = Exit.PARTITIONS_CHANGED if isinstance(error, PartitionsChanged) else Exit.LOG_WENT_BACK
    end_process(status, f"{topic}: {error}. {how_to_begin_anew(topic)}")


def refuse_shorter_log(topic: str, wanted: Mapping[int, int], ends: Mapping[int, int], sinks: Sequence[object]) -> None:
    """End the process if a partition ends before what sinks have applied of it.

    New records would stand at offsets that count as applied, and be skipped without a word.
    """
    for partition, end in ends.items():
        if wanted[partition] > end:
            end_process(
                Exit.LOG_WENT_BACK,
                f"{topic}-{partition} ends at {end}, before {wanted[partition]} where {sinks!r} is: the topic was made "
                f"anew or lost records. {how_to_begin_anew(topic)}",
            )
