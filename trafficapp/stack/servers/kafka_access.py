"""What producers of this machine may do on the open listener: write to topics of input, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from trafficapp.engine.kafka import librdkafka_config
from trafficapp.incoming import incoming_feeds
from trafficapp.settings import Settings

ANYBODY = "User:ANONYMOUS"
_CLUSTER = "kafka-cluster"
_TIMEOUT_SECONDS = 30.0


def permit_producers(settings: Settings) -> None:
    """Let anybody write to the topics that these settings read from outside, whether they are there yet or not.

    What was permitted before stays.

    Args:
        settings: whose credentials may permit something.

    Raises:
        KafkaException: the broker does not answer, or has no such rules.
    """
    client = AdminClient({**librdkafka_config(settings), "log_level": 0})
    wanted = list(rules_for({feed.topic for feed in incoming_feeds(settings)}, settings.app_id))
    for done in client.create_acls(wanted, request_timeout=_TIMEOUT_SECONDS).values():
        done.result(_TIMEOUT_SECONDS)


def rules_for(topics: Iterable[str], app_id: str) -> Iterable[AclBinding]:
    """The rules of the broker: topics to write to, transactions but for those of our own workers.

    A producer that takes a transactional id shuts out whoever has it, so those that begin with ours are denied.
    """
    for topic in sorted(topics):
        for operation in (AclOperation.WRITE, AclOperation.DESCRIBE):
            yield _rule(ResourceType.TOPIC, topic, operation)
    yield _rule(ResourceType.BROKER, _CLUSTER, AclOperation.IDEMPOTENT_WRITE)
    for operation in (AclOperation.WRITE, AclOperation.DESCRIBE):
        yield _rule(ResourceType.TRANSACTIONAL_ID, "*", operation)
    yield _rule(
        ResourceType.TRANSACTIONAL_ID,
        app_id,
        AclOperation.ALL,
        pattern=ResourcePatternType.PREFIXED,
        permission=AclPermissionType.DENY,
    )


def _rule(
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    *,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
    permission: AclPermissionType = AclPermissionType.ALLOW,
) -> AclBinding:
    return AclBinding(kind, name, pattern, ANYBODY, "*", operation, permission)
