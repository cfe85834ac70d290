"""Rules that need to know what came before: a pure class for each partition of a topic by key.

A `Rules` says what follows from messages of one or several feeds: alerts, states, windows. Feeds send what they accept
on to its topic, by a key of the rules' own (`trafficapp.feeds.declaration.Sends`), so that all that belongs together
lies in one partition in one order. `agents.rules` reads it, hands each message to the class of its partition, and sends
what it says and what it has to remember in one Kafka transaction with the offset behind it: each message takes effect
exactly once, and what is told is told once.

So a class of rules need not know offsets or repeats of records. It has to be a pure function of what it is given: no
clock but the one in `When`, no randomness, no waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from trafficapp.settings import Settings

Inner = TypeVar("Inner")
_Inner = TypeVar("_Inner", contravariant=True)

#: Header of a record in every partition of every inner topic that tells rules which vehicles to forget, a JSON array.
ERASED_HEADER = "trafficapp-erased"

#: How often the clock of a partition is told on when nothing else happens.
TICK_SECONDS = 5.0


class Told(Struct, frozen=True, gc=False):
    """A record to send: a topic's name, its key and its value; None in a compacted topic forgets the key."""

    topic: str
    key: bytes
    value: bytes | None


class When(Struct, frozen=True, gc=False):
    """When a message came, microseconds since the epoch.

    Attributes:
        record_us: the broker's time of the record that the producer sent.
        clock_us: the partition's clock, which measures silence. It only goes on while everything that was sent before
            was read, so neither an outage nor a backlog makes anybody look silent; it may be behind real time. Before
            anything was told of it, it is the time of the record.
    """

    record_us: int
    clock_us: int


class PartitionRules(Protocol[_Inner]):
    """What is remembered of all keys of one partition."""

    def apply(self, message: _Inner, when: When) -> Iterable[Told]:
        """Take a message in; what follows from it, in order."""
        ...

    def tick(self, clock_us: int) -> Iterable[Told]:
        """The partition's clock has moved on; what follows from silence, in order."""
        ...

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What is to be remembered of each key that changed since the last call: key and row; None forgets it."""
        ...


@runtime_checkable
class ReadRules(PartitionRules[_Inner], Protocol[_Inner]):
    """Rules that also follow how far each partition of their feeds was read."""

    def read(self, feed: str, partition: int, partitions: int, time_us: int) -> Iterable[Told]:
        """Of a partition of a feed that has so many, all was read that had come by a time; what follows, in order."""
        ...


@runtime_checkable
class RunRules(PartitionRules[_Inner], Protocol[_Inner]):
    """Rules that have something to say when all messages that came together were taken in."""

    def finish(self) -> Iterable[Told]:
        """A run of messages and ticks is over; what follows, in order. Where a run ends is chance."""
        ...


@runtime_checkable
class CountingRules(PartitionRules[_Inner], Protocol[_Inner]):
    """Rules that cannot use every message, and count those by why."""

    def take_counts(self) -> Mapping[str, int]:
        """How many messages were of no use since the last call, by reason: a word each."""
        ...


@runtime_checkable
class LackingRules(PartitionRules[_Inner], Protocol[_Inner]):
    """Rules that can go on without something, and do less meanwhile."""

    @property
    def lacking(self) -> str | None:
        """What they lack; None for nothing."""
        ...


@runtime_checkable
class ErasingRules(PartitionRules[_Inner], Protocol[_Inner]):
    """Rules that remember vehicles, and forget them when somebody asks for it."""

    def erase(self, vehicle_ids: Collection[str]) -> Iterable[Told]:
        """Forget vehicles without a word of what they did; records that take back what others keep by key."""
        ...


def _always(_: Settings) -> bool:
    return True


#: Makes the rules of a partition, of its number, from the rows that were to be remembered.
MakeRules: TypeAlias = Callable[[int, Mapping[bytes, bytes]], PartitionRules[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules(Generic[Inner]):
    """Rules over the messages of feeds.

    Attributes:
        name: a word, such as ``transit``; it names topics, the agent and counters.
        summary: a sentence for people.
        key: what the key is, for people.
        shape: of the inner messages: a struct, or a union of tagged structs.
        make: given the settings, what makes the rules of a partition. What is costly may be made once in it.
        partitions: of the inner topic; None is what the settings have for feeds of a city. 1 where all belong together.
        tick_seconds: how often the clock is told on; None for rules without silence.
        is_wanted: given the settings, whether there is anything to judge by; else no topic of them is made, nothing
            is sent to them and nobody applies them.
        then: given the settings, rules that read what these tell into their topics. Their clock follows that of these:
            what was told before it moves is there before they know.
    """

    name: str
    summary: str
    key: str
    shape: Any
    make: Callable[[Settings], MakeRules]
    partitions: int | None = None
    tick_seconds: float | None = TICK_SECONDS
    is_wanted: Callable[[Settings], bool] = _always
    then: Callable[[Settings], Sequence[Rules[Any]]] = lambda _: ()

    def topic_in(self, settings: Settings) -> str:
        """The topic of inner messages."""
        return f"{settings.app_id}-{self.name}-inner"

    def changelog_in(self, settings: Settings) -> str:
        """The topic of what is remembered, partitioned like the inner one."""
        return f"{settings.app_id}-{self.name}-changelog"

    def partitions_in(self, settings: Settings) -> int:
        """How many partitions both have."""
        return self.partitions or settings.city.partitions
