"""How good what comes in is, by topic."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class FeedMinute(Struct, frozen=True, kw_only=True):
    """What a process saw of a minute of a partition, by the broker's clock; of accepted messages only.

    Attributes:
        feed_minute: feed, partition and minute, which name it.
        feed: its name.
        topic: that producers write.
        partition: of the topic.
        minute: begin, RFC 3339.
        messages: that were accepted.
        timely: of those, told within a minute after they happened.
        late_us: how much later than they happened they came, all together, microseconds.
        repeated: of those, of a key and time that came before in this minute or the one before.
    """

    feed_minute: str
    feed: str
    topic: str
    partition: int
    minute: str
    messages: int
    timely: int
    late_us: int
    repeated: int


class FeedQuality(Struct, frozen=True, kw_only=True):
    """A topic that comes in, over the last so many whole minutes of the broker's clock.

    Attributes:
        feed: its name; ``cameras`` for detections.
        topic: that producers write.
        minutes: that the figures are of.
        messages: that came.
        accepted: of those; a picture of which a part was refused is none.
        refused: messages with a dead letter, by its reason, the first of several.
        refused_parts: what was refused of them, by reason: detections, or messages that have no parts.
        late: parts that came after their window was final, of topics with windows; they are refused as well.
        repeated: messages of a key and time that came a moment before; null where that is not looked at.
        last_seen: begin of the newest minute with a message, in the last week; null without one.
        usual_per_minute: median over the seven days before of messages a minute in this hour; null before there is one.
        completeness: messages by what is usual, 1 at most; null without that.
        validity: accepted by all; null without a message.
        timeliness: share of accepted messages that came within a minute after they happened; of detections the share
            that was not late; null without any, and where that is not looked at.
        late_mean_seconds: how much later than they happened accepted messages came, on average; likewise.
    """

    feed: str
    topic: str
    minutes: int
    messages: int
    accepted: int
    refused: dict[str, int]
    refused_parts: dict[str, int]
    late: int
    repeated: int | None
    last_seen: str | None
    usual_per_minute: float | None
    completeness: Annotated[float, Meta(ge=0, le=1)] | None
    validity: Annotated[float, Meta(ge=0, le=1)] | None
    timeliness: Annotated[float, Meta(ge=0, le=1)] | None
    late_mean_seconds: float | None
