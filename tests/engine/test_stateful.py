"""When the state of a partition is written: soon behind its runs, all of it after a take-over and now and then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pytest

from trafficapp.engine import stateful as stateful_module
from trafficapp.engine.state_rows import SourceLog
from trafficapp.engine.stateful import StatefulSink

SESSION_SECONDS = 10.0


class States:
    """States of one row that never changes."""

    applied = 41

    def changed_rows(self) -> Iterable[tuple[bytes, bytes]]:
        return [(b"changed", b"")]

    def all_rows(self) -> Iterable[tuple[bytes, bytes]]:
        return [(b"all", b"")]


class Changelog:
    """Notes the rows that it is given."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def load(self, partitions: Collection[int]) -> Mapping[int, Mapping[bytes, bytes]]:
        return {partition: {} for partition in partitions}

    async def write(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self.written += [key for key, _ in rows]


class Sink(StatefulSink[States]):
    """Does nothing with its runs."""

    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> States:
        return States()

    async def take_effect(self, partition: int, states: States, records: Sequence[Any]) -> None:
        pass


async def test_all_rows_are_written_after_two_sessions_and_then_every_ten_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(stateful_module.time, "monotonic", lambda: now)
    changelog = Changelog()
    sink = Sink(changelog, SESSION_SECONDS)  # type: ignore[arg-type]
    assert await sink.load([3]) == {3: 42}
    written: dict[float, list[bytes]] = {}
    for seconds in (0.1, 0.5, 19.4, 20.0, 20.6, 619.4, 620.0, 621.0, 1219.4, 1220.0):
        now = 1000.0 + seconds
        changelog.written.clear()
        await sink.apply(3, [], lambda: True)
        written[seconds] = list(changelog.written)
    everything = [seconds for seconds, rows in written.items() if rows == [b"all"]]
    assert everything == [20.0, 620.0, 1220.0]
    assert written.pop(0.1) == []
    assert all(rows == [b"changed"] for seconds, rows in written.items() if seconds not in everything)
