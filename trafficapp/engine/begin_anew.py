"""Beginning a topic anew: what was kept of it is thrown away, and the next start computes it again from the topic.

That is the way on when a topic was made anew, or got more partitions, so that what was kept does not fit it any more.
The same rows come out for what is still in the topic, and readers know repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from confluent_kafka import ConsumerGroupState

from trafficapp.engine.kafka import end_offsets, kept_offsets
from trafficapp.engine.kafka_topics import TopicAdmin, followers_of, state_of
from trafficapp.engine.state_rows import SourceLog
from trafficapp.feeds.declaration import Feed, rules_of
from trafficapp.settings import Role, Settings
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.topics import declared_topics

#: Offsets that are not of the topic that is there, as its id says, or else its partitions and their ends.
_FOREIGN = """
    topic = $1 AND (
        ($2 <> '' AND log_id NOT IN ('', $2))
        OR NOT EXISTS (
            SELECT FROM unnest($3::int[], $4::bigint[]) AS there (partition, end_offset)
            WHERE there.partition = sink_offsets.partition AND next_offset <= end_offset
        )
    )
"""
_COUNT_OFFSETS = f"SELECT count(*) FROM sink_offsets WHERE {_FOREIGN}"  # noqa: S608 - put together from the constant above
_DELETE_OFFSETS = f"DELETE FROM sink_offsets WHERE {_FOREIGN}"  # noqa: S608

_IDLE = frozenset((ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD, ConsumerGroupState.UNKNOWN))

_ROLES: tuple[Role, ...] = get_args(Role)


class CannotBegin(Exception):
    """It cannot be begun anew now; the message says why, for a person."""


@dataclass(frozen=True)
class Step:
    """One thing that is done, in words, and how."""

    words: str
    do: Callable[[], None]


def group_of(settings: Settings, role: Role) -> str:
    """The consumer group of the workers of a role."""
    return settings.app_id if role == "streams" else f"{settings.app_id}-{role}"


def plan(
    settings: Settings, admin: TopicAdmin, topic: str, *, with_history: bool = True, feeds: Iterable[Feed[Any]] = ()
) -> list[Step]:
    """What is to be done so that a topic is computed again from its beginning.

    Offsets of sinks that are still right stay: what they have written is not written twice.

    Args:
        settings: where everything is.
        admin: asks and changes.
        topic: its name.
        with_history: whether there is a Postgres.
        feeds: those that are switched on.

    Raises:
        CannotBegin: nothing of ours is kept of the topic, there is no such topic, or workers are running.
        KafkaException: the broker does not answer.
        OSError: Postgres does not answer.
    """
    feeds = list(feeds)
    declared = {one.name: one for one in declared_topics(settings, feeds)}
    if topic not in declared:
        raise CannotBegin(f"{topic} is no topic of ours; these are: {', '.join(sorted(declared))}")
    _refuse_while_running(settings, admin)
    state = state_of(settings, topic) or _state_of_rules(settings, topic, feeds)
    logs = admin.logs([topic, *followers_of(settings, topic), *([state] if state else [])])
    if topic not in logs:
        raise CannotBegin(f"there is no topic {topic}; `trafficapp topics create` makes it")
    partitions = logs[topic].partitions
    steps = list(_more_partitions(settings, admin, topic, partitions))
    if state is not None:
        there = logs.get(state)
        told = f" (it has {there.partitions})" if there else " (there is none)"
        steps.append(
            Step(
                f"delete {state}{told}, the state made from {topic}, and create it with {partitions} partitions",
                lambda: admin.make_anew(declared[state], partitions),
            )
        )
    count = asyncio.run(_foreign_offsets(settings, topic, logs[topic], forget=False)) if with_history else 0
    if count:
        steps.append(
            Step(
                f"remove {count} offsets from the table sink_offsets in Postgres, which are not of the topic {topic} "
                "that is there; the rows stay",
                lambda: _forget_offsets(settings, topic, logs[topic]),
            )
        )
    if settings.clickhouse.url is not None:
        steps += asyncio.run(_clickhouse_steps(settings, topic, logs[topic], feeds))
    for group in [feed.intake_in(settings) for feed in feeds if feed.is_checked and feed.topic_in(settings) == topic]:
        foreign = asyncio.run(_foreign_to_group(settings, group, topic, logs[topic]))
        if foreign:
            steps.append(
                Step(
                    f"let the consumer group {group} begin at the beginning of the partitions "
                    f"{', '.join(map(str, foreign))}: its offsets are not of the topic {topic} that is there",
                    lambda group=group, foreign=foreign: admin.set_offsets(  # type: ignore[misc]
                        group, topic, dict.fromkeys(foreign, 0)
                    ),
                )
            )
    if not steps:
        raise CannotBegin(f"nothing is kept of {topic} that would have to begin anew")
    return steps


def _state_of_rules(settings: Settings, topic: str, feeds: Iterable[Feed[Any]]) -> str | None:
    """The changelog of the rules that feeds send to by way of a topic; it also says how far they came."""
    changelogs = {rules.topic_in(settings): rules.changelog_in(settings) for rules in rules_of(feeds, settings)}
    return changelogs.get(topic)


async def _clickhouse_steps(settings: Settings, topic: str, log: SourceLog, feeds: Iterable[Feed[Any]]) -> list[Step]:
    """What is to be done where ClickHouse keeps offsets of another topic of that name."""
    # with a client, which those who have no ClickHouse do without
    from trafficapp.stores.clickhouse.begin_anew import begin, foreign_partitions
    from trafficapp.stores.clickhouse.client import NETWORK, ClickHouseError
    from trafficapp.stores.clickhouse.tables import kept_feeds

    steps = []
    for feed in kept_feeds(feeds, settings):
        if feed.kept_topic_in(settings) != topic:
            continue
        try:
            numbers = await foreign_partitions(feed, settings, log)
        except (ClickHouseError, *NETWORK) as error:
            raise CannotBegin(f"ClickHouse at {settings.clickhouse.url} cannot be asked: {error}") from None
        if numbers:
            steps.append(
                Step(
                    f"let rows of {feed.name} in ClickHouse begin at the beginning of the partitions "
                    f"{', '.join(map(str, numbers))}: their offsets are not of the topic {topic} that is there",
                    lambda feed=feed, numbers=numbers: asyncio.run(  # type: ignore[misc]
                        begin(feed, settings, log, numbers)
                    ),
                )
            )
    return steps


def _more_partitions(settings: Settings, admin: TopicAdmin, topic: str, partitions: int) -> Iterator[Step]:
    """What comes of a partition goes to the partition of the same number."""
    for follower in followers_of(settings, topic):
        log = admin.logs([follower]).get(follower)
        if log is not None and log.partitions < partitions:
            yield Step(
                f"give {follower} {partitions} partitions instead of {log.partitions}",
                lambda follower=follower: admin.add_partitions(follower, partitions),  # type: ignore[misc]
            )


def _refuse_while_running(settings: Settings, admin: TopicAdmin) -> None:
    ours = {group_of(settings, role): role for role in _ROLES}
    running = [
        f"{ours[group]} (consumer group {group})"
        for group, state in admin.groups().items()
        if group in ours and state not in _IDLE
    ]
    if running:
        raise CannotBegin(
            f"workers are running: {', '.join(sorted(running))}. Stop all workers first; one that was killed counts "
            f"for {settings.kafka.session_timeout_seconds:g} s more"
        )


def _forget_offsets(settings: Settings, topic: str, log: SourceLog) -> None:
    asyncio.run(_foreign_offsets(settings, topic, log, forget=True))


async def _foreign_to_group(settings: Settings, group: str, topic: str, log: SourceLog) -> list[int]:
    """The partitions whose offset in a group of a `TransactionalSink` is of another topic of that name."""
    ends = await end_offsets(settings, topic, range(log.partitions))
    kept = {tp.partition: one for tp, one in (await kept_offsets(settings, group)).items() if tp.topic == topic}
    return [
        number
        for number, end in ends.items()
        if number in kept
        and (kept[number].offset > end or (log.id and kept[number].metadata not in ("", None, log.id)))
    ]


async def _foreign_offsets(settings: Settings, topic: str, log: SourceLog, *, forget: bool) -> int:
    """How many offsets Postgres keeps of another topic of that name; forgets them when asked to."""
    ends = await end_offsets(settings, topic, range(log.partitions))
    async with create_pool(settings.postgres) as pool, pool.acquire() as connection:
        arguments = (topic, log.id, list(ends), list(ends.values()))
        count = int(await connection.fetchval(_COUNT_OFFSETS, *arguments))
        if forget:
            await connection.execute(_DELETE_OFFSETS, *arguments)
        return count
