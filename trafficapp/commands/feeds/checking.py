"""What of files of messages would be accepted: judged one by one, without a broker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from models.timestamps import epoch_us
from trafficapp.commands.feeds.message_files import messages_of
from trafficapp.feeds.incoming import Judge

#: What a time of sending is: a time in microseconds since the epoch, or None for the time that each message tells.
SentAt: TypeAlias = int | None


class RefusedMessage(Struct, frozen=True):
    """A part of a message that is refused, and where the message begins.

    Attributes:
        line: of the file, from 1 on.
        accepted: whether the rest of the message is accepted.
    """

    file: str
    line: int
    reason: str
    detail: str
    accepted: bool


@dataclass(slots=True)
class Counts:
    """Of messages.

    Attributes:
        accepted: those that are counted, also in part.
        partly: those of them of which a part is refused.
        repeated: those of them that say what another one said before, which changes nothing.
        refused: those of which nothing is accepted.
        reasons: how often parts or whole messages were refused for each.
    """

    accepted: int = 0
    partly: int = 0
    repeated: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def messages(self) -> int:
        """All that were read."""
        return self.accepted + self.refused

    @property
    def are_fine(self) -> bool:
        """Whether nothing at all was refused."""
        return not self.reasons


def judged(
    files: Iterable[Path], judge: Judge, sent_at: Callable[[], SentAt], counts: Counts
) -> Iterator[RefusedMessage]:
    """Judge the messages of files, in order.

    Args:
        files: as `messages_of` reads them.
        judge: of the feed.
        sent_at: when a message is sent, asked before each.
        counts: what is found is counted there.

    Yields:
        what is refused.

    Raises:
        UnreadableFile: a file cannot be read.
    """
    for path in files:
        for message in messages_of(path):
            sent_us = sent_at()
            if sent_us is None:
                sent_us = judge.time_us(message.value) or now_us()
            verdict = judge.judge(message.value, sent_us)
            counts.accepted += verdict.accepted
            counts.repeated += verdict.repeated
            counts.refused += not verdict.accepted
            counts.partly += bool(verdict.accepted and verdict.refused)
            for part in verdict.refused:
                counts.reasons[part.reason] += 1
                yield RefusedMessage(str(path), message.line, part.reason, part.detail, verdict.accepted)


def sending_time(told: str) -> Callable[[], SentAt]:
    """What ``--sent`` says: ``now``, ``own``, or a time.

    Raises:
        ValueError: none of these.
    """
    if told == "now":
        return now_us
    if told == "own":
        return lambda: None
    moment_us = epoch_us(told)
    return lambda: moment_us


def now_us() -> int:
    """The present time in microseconds since the epoch."""
    return time.time_ns() // 1000
