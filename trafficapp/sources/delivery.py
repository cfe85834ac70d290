"""Sending messages to a topic so that each arrives once, in order, whatever happens to the broker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from trafficapp.engine.kafka import librdkafka_config
from trafficapp.settings import Settings

#: Messages that may wait for the broker; beyond them the source waits too.
QUEUE_MESSAGES = 200_000

_POLL_EVERY = 500


class Stopped(Exception):
    """The source was told to stop while it waited."""


class DeliveryError(Exception):
    """The producer cannot go on; the text is its reason."""


class Delivery:
    """An idempotent producer for a topic, and for others beside it, with counts.

    It waits for the broker for ever and connects again quickly: a camera whose messages stay away for
    long counts as silent. When the queue is full, `send` waits.

    Args:
        settings: where the broker is.
        topic: where the messages go.
        stopping: asked while waiting; True makes the waiting end with `Stopped`.
        linger_ms: how long a message may wait for company.

    Attributes:
        sent: messages handed over.
        rejected: messages the broker refused for good, by its reason.
    """

    def __init__(
        self, settings: Settings, topic: str, *, stopping: Callable[[], bool] = lambda: False, linger_ms: int = 20
    ) -> None:
        self.topic = topic
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.fatal: str | None = None
        self._bootstrap_servers = settings.kafka.bootstrap_servers
        self._stopping = stopping
        self._producer = Producer(
            {
                **librdkafka_config(settings),
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",  # the same partition as Java and aiokafka choose
                "message.timeout.ms": 0,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "linger.ms": linger_ms,
                "batch.size": 262_144,
                "queue.buffering.max.messages": QUEUE_MESSAGES,
                "queue.buffering.max.kbytes": 262_144,
                "delivery.report.only.error": True,
                "log_level": 0,  # a broker that is away is told in our words
                "on_delivery": self._on_failure,
                "error_cb": self._on_error,
            }
        )

    @property
    def in_flight(self) -> int:
        """Messages handed over whose fate is not known yet."""
        return len(self._producer)

    @property
    def acknowledged(self) -> int:
        """Messages that the broker has on disk."""
        return self.sent - self.in_flight - self.rejected.total()

    def wait_for_topic(
        self, tell: Callable[[str], None], poll_seconds: float = 0.5, topics: Collection[str] = ()
    ) -> None:
        """Return when the broker answers and has the topic, and the other `topics`.

        Raises:
            Stopped: `stopping` said so meanwhile.
        """
        told = None
        for topic in (self.topic, *topics):
            while problem := self._topic_problem(topic):
                if problem != told:
                    tell(problem)
                    told = problem
                self.wait(poll_seconds)

    def send(self, key: bytes | None, value: bytes | None, topic: str | None = None) -> None:
        """Hand a message over, to another topic when told; wait while the queue is full.

        Raises:
            Stopped: `stopping` said so while the queue was full.
            DeliveryError: the producer cannot go on.
            KafkaException: the message is too large.
        """
        while True:
            try:
                self._producer.produce(topic or self.topic, value, key)
                break
            except BufferError:
                self._check()
                self._producer.poll(0.05)
        self.sent += 1
        if self.sent % _POLL_EVERY == 0:
            self._producer.poll(0)

    def wait(self, seconds: float) -> None:
        """Serve the broker's answers for a while.

        Raises:
            Stopped: `stopping` said so.
            DeliveryError: the producer cannot go on.
        """
        self._check()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            # poll() returns at the first answer, so it is no sleep by itself
            if self._producer.poll(left) == 0:
                break

    def flush(self, seconds: float | None = None, give_up: Callable[[], bool] = lambda: False) -> int:
        """Wait until every message has its fate, at most some seconds (None: for ever).

        Returns:
            how many are still without.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while self._producer.flush(0.2) and not give_up():
            if self.fatal is not None or (end is not None and time.monotonic() >= end):
                break
        return len(self._producer)

    def _check(self) -> None:
        if self._stopping():
            raise Stopped
        if self.fatal is not None:
            raise DeliveryError(self.fatal)

    def _topic_problem(self, topic: str) -> str | None:
        try:
            known = self._producer.list_topics(topic, timeout=2.0).topics.get(topic)
        except KafkaException:
            return f"waiting for Kafka at {self._bootstrap_servers}"
        if known is None or known.error is not None:
            return f"waiting for topic {topic} at {self._bootstrap_servers} (`trafficapp topics create` makes it)"
        return None

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.rejected[error.str()] += 1

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self.fatal = error.str()
