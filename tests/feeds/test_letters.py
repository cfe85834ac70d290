"""Letters of a feed, on a real broker."""

from __future__ import annotations

import secrets
from typing import Any

from aiokafka import AIOKafkaProducer

from agents.feeds import FeedIntake
from models.records import PlainRecord
from tests.feeds.committed import existing_partitions
from tests.feeds.test_odd_messages import ODD
from trafficapp.engine.kafka import aiokafka_config, create_topics
from trafficapp.engine.telemetry import Telemetry
from trafficapp.settings import load_settings
from trafficapp.topics import DEAD_LETTERS, declared_topics


async def test_letters_go_where_the_topic_has_a_partition_whatever_the_settings_say(kafka_bootstrap: str) -> None:
    """The topic was made with fewer partitions than the settings have by now."""
    run = secrets.token_hex(3)
    made = load_settings(app_id=f"letters-{run}", kafka={"bootstrap_servers": kafka_bootstrap})
    await create_topics(made, declared_topics(made, [ODD]))
    there = len(await existing_partitions(made, DEAD_LETTERS))
    settings = load_settings(
        app_id=f"letters-{run}", kafka={"bootstrap_servers": kafka_bootstrap, "partitions": there + 5}
    )
    intake, source = FeedIntake(ODD, settings, Telemetry()), there + 2
    starts = await intake.load([0])
    records: list[Any] = [PlainRecord(starts[0], 1_000, 1, b"k", b"{")]
    (letter,) = intake.outcome(source, records)
    assert letter.partition == source % there
    async with AIOKafkaProducer(**aiokafka_config(settings)) as producer:
        await producer.send_and_wait(letter.topic, letter.value, letter.key, letter.partition)
    await intake.close()
