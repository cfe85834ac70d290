"""What comes in from outside, as whoever sends it has to know it: topic, key, shapes, examples, and what is accepted.

The list of all is `trafficapp.incoming`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from models.cameras.detections import Rejected
from models.timestamps import rfc3339
from trafficapp.feeds.declaration import Feed, Origin
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings


@dataclass(frozen=True, slots=True)
class Refusal:
    """What of a message is refused; ``reason`` is the word of its dead letter, ``detail`` for a person."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message.

    Attributes:
        refused: why, for each part of it that is refused; empty when all of it is accepted.
        accepted: whether anything of it is.
        repeated: whether it came before, and changes nothing.
    """

    refused: Sequence[Refusal]
    accepted: bool
    repeated: bool = False


class Judge(Protocol):
    """Reads messages as workers read them, with the settings of this process."""

    def time_us(self, value: bytes) -> int | None:
        """The time that a message tells, microseconds since the epoch; None when it tells none that can be read."""
        ...

    def judge(self, value: bytes, sent_us: int) -> Verdict:
        """What becomes of a message that is sent under its right key.

        Args:
            value: of the record.
            sent_us: the broker's time of the record, microseconds since the epoch.
        """
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """A message that is accepted once it tells the present time.

    Attributes:
        form: its name, where messages have several forms.
        message: the documented values.
        time: the field that says when; None when it does not say.
    """

    form: str
    message: Mapping[str, Any]
    time: str | None = "timestamp"

    def as_of(self, time_us: int) -> dict[str, Any]:
        """The message of a time, in microseconds since the epoch."""
        return dict(self.message) if self.time is None else {**self.message, self.time: rfc3339(time_us)}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A topic that the application reads from outside.

    Attributes:
        name: a word for commands.
        key: the field that is the record's key.
        summary: what it is, for documents.
        shapes: of the value, any of them.
        examples: one of each form that is accepted, the usual one first.
        judge: makes what reads its messages.
        partitions: of the topic when it is made; None is that of the settings.
        any_key: whether producers may choose keys and partitions as they like.
    """

    name: str
    topic: str
    key: str
    summary: str
    shapes: tuple[type, ...]
    examples: Callable[[Settings], tuple[Example, ...]]
    judge: Callable[[Settings], Judge]
    partitions: int | None = None
    any_key: bool = False


class _FeedJudge:
    """Reads the messages of a declared feed."""

    def __init__(self, feed: Feed[Any], settings: Settings) -> None:
        self._decoder = FeedDecoder(feed, settings)
        self._convert = None if feed.sends is None else feed.sends.messages(settings)
        self._with_origin = feed.sends is not None and feed.sends.with_origin

    def time_us(self, value: bytes) -> int | None:
        if self._decoder.feed.time is None:
            return None
        try:
            return self._decoder.read(value).time_us
        except Rejected:
            return None

    def judge(self, value: bytes, sent_us: int) -> Verdict:
        try:
            accepted = self._decoder.check(told_key(value, self._decoder.feed.key_name), value, sent_us)
            if self._convert is not None:
                # what cannot be sent on is refused as well
                origin = (Origin(0, 0, sent_us),) if self._with_origin else ()
                list(self._convert(accepted.message, accepted.time_us, *origin))
        except Rejected as error:
            return Verdict(refusals(error), accepted=False)
        return Verdict((), accepted=True)


def incoming_of(feed: Feed[Any], settings: Settings) -> Incoming:
    """What a declared feed says to those who send it."""
    example = Example(feed.shape.__name__, msgspec.to_builtins(feed.sample), feed.time_name)
    return Incoming(
        name=feed.name,
        topic=feed.topic_in(settings),
        key=feed.key_name,
        summary=feed.summary,
        shapes=(feed.shape,),
        examples=lambda _: (example,),
        judge=lambda chosen: _FeedJudge(feed, chosen),
        partitions=feed.partitions_in(settings),
        any_key=feed.takes_any_key,
    )


def refusals(*errors: Rejected) -> list[Refusal]:
    """What was refused, each part for its own reason."""
    return [Refusal(part.reason, part.detail) for error in errors for part in error.parts]


def told_key(value: bytes, field: str) -> bytes | None:
    """The key under which a message belongs; None when it does not say."""
    try:
        message = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    told = message.get(field) if isinstance(message, dict) else None
    return str(told).encode() if isinstance(told, str | int) and not isinstance(told, bool) else None
