"""Body of ``/api/system``: the processes that are running, how far they are, and what the stores hold."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class TopicLag(Struct, frozen=True, kw_only=True):
    """What a worker reads of a topic.

    Attributes:
        partitions: that are the worker's.
        lag: records in them that it has not read yet.
    """

    topic: str
    partitions: list[int]
    lag: int


class WorkerNow(Struct, frozen=True, kw_only=True):
    """A worker as it told of itself last, every few seconds.

    Attributes:
        worker: host and web port.
        ready: whether it has taken over its partitions.
        started_at, told_at: RFC 3339 UTC, by its clock.
        reads: by topic.
        lag: of all topics together, records.
        records_per_second: that took effect since it told before: detections, observations of roads, messages of
            feeds, rows of sinks, each counted where it is done.
        requests_per_second: answered over HTTP, likewise.
        socket_clients: WebSocket clients.
        cpu_cores: processor time that it took, in cores, likewise.
        memory_bytes: resident.
        loop_delay_seconds: the longest that its event loop was late since it told before.
        waits_for: sinks that wait for their store.
    """

    worker: str
    role: str
    version: str
    pid: int
    ready: bool
    started_at: str
    told_at: str
    reads: list[TopicLag]
    lag: int
    records_per_second: float
    requests_per_second: float
    socket_clients: int
    cpu_cores: float
    memory_bytes: int
    loop_delay_seconds: float
    waits_for: list[str]


class StoreNow(Struct, frozen=True, kw_only=True):
    """A store.

    Attributes:
        bytes: of the database on disk, or of the server's memory; None while it does not answer.
        largest: what takes most of it, by name with bytes, the largest first.
    """

    bytes: int | None
    largest: dict[str, int] = msgspec.field(default_factory=dict)


class SystemNow(Struct, frozen=True, kw_only=True):
    """Everything that runs.

    Attributes:
        workers: that told of themselves within the last seconds, by role and name; none while Redis is away.
        lag: of all of them, records.
        newest_window_end: of all cameras, RFC 3339 UTC: how old it is says how far the numbers are behind.
        postgres, redis: what they hold.
    """

    workers: list[WorkerNow]
    lag: int
    newest_window_end: str | None
    postgres: StoreNow
    redis: StoreNow


encode_system = msgspec.json.Encoder().encode
encode_worker = msgspec.json.Encoder().encode
decode_worker = msgspec.json.Decoder(WorkerNow).decode
