"""Sending a stream of messages at its pace until it ends or somebody says stop."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from trafficapp.settings import Settings
from trafficapp.sources.delivery import Delivery, Stopped
from trafficapp.sources.outgoing import Outgoing
from trafficapp.sources.pacing import Pace
from trafficapp.sources.progress import SendingProgress
from trafficapp.sources.refusals import Refusals

#: After a stop the broker gets this long to acknowledge what it has been sent.
FLUSH_AFTER_STOP_SECONDS = 10.0

_WAIT_SECONDS = 0.1
_UPDATE_EVERY = 1000


class StopSignals:
    """Counts Ctrl-C and SIGTERM: the first stops cleanly, the second at once."""

    def __init__(self) -> None:
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def at_once(self) -> bool:
        """Whether even the flush is to be cut short."""
        return self.count > 1

    @contextmanager
    def caught(self) -> Iterator[StopSignals]:
        """Catch the signals inside the block and give them back their old meaning after it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._count) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _count(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def send_all(
    settings: Settings,
    topic: str,
    messages: Iterable[Outgoing],
    pace: Pace,
    *,
    more_topics: Collection[str] = (),
    total: int | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    console: Console | None = None,
    refusals: Refusals | None = None,
) -> Delivery:
    """Send messages until they end, the limit of detections is reached, or a signal says stop; then flush.

    Call it on the main thread, where signals arrive.

    Args:
        settings: where the broker is.
        topic: where messages go that name none.
        messages: in the order of event time.
        pace: when each is due.
        more_topics: where the others go.
        total: detections expected, for the progress.
        limit: most detections.
        seconds: how long it takes at most, also while Kafka is away: after it the broker has
            `FLUSH_AFTER_STOP_SECONDS` for what is not acknowledged yet. None waits for ever.
        console: where to write.
        refusals: told of every message.

    Returns:
        the counts.

    Raises:
        DeliveryError: the producer cannot go on.
        KafkaException: a message is too large.
    """
    with StopSignals().caught() as stop:
        end = math.inf if seconds is None else time.monotonic() + seconds
        delivery = Delivery(settings, topic, stopping=lambda: bool(stop) or time.monotonic() >= end)
        detections = 0
        with SendingProgress(delivery, total, console, refusals) as progress:
            try:
                delivery.wait_for_topic(progress.tell, topics=more_topics)
                # messages end by themselves then, unless the broker takes no more
                end += FLUSH_AFTER_STOP_SECONDS
                for message in messages:
                    while (wait_seconds := pace.due_in(message.event_time_us)) > 0:
                        delivery.wait(min(wait_seconds, _WAIT_SECONDS))
                        progress.update(detections, message.event_time_us)
                    delivery.send(message.key, message.value, message.topic)
                    if refusals is not None:
                        refusals.look_at(message)
                    detections += message.detections
                    if delivery.sent % _UPDATE_EVERY == 0:
                        progress.update(detections, message.event_time_us)
                    if stop or (limit is not None and detections >= limit):
                        break
            except Stopped:
                if not stop:
                    progress.tell("the time is over, and not everything was sent")
            if delivery.in_flight > _UPDATE_EVERY:
                progress.tell(f"waiting for {delivery.in_flight:,} acknowledgements")
            while delivery.flush(FLUSH_AFTER_STOP_SECONDS, lambda: stop.at_once) and not stop and seconds is None:
                progress.tell(f"waiting for {delivery.in_flight:,} acknowledgements")
            progress.finish(detections)
    return delivery
