"""How fast a client of the ingest is read."""

from __future__ import annotations

import pytest

from web.areas import pace
from web.areas.pace import Pace


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_burst_comes_at_once_and_what_follows_as_fast_as_is_allowed() -> None:
    taken = Pace(10, 3, clock := Clock())
    assert [taken.take("a") for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    assert taken.take("b") == 0
    clock.seconds += 0.2
    assert [taken.take("a") for _ in range(2)] == pytest.approx([0.1, 0.2])
    clock.seconds += 1000
    assert [taken.take("a") for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])


def test_no_more_clients_are_remembered_than_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MOST_CLIENTS", 2)
    taken = Pace(10, 1, Clock())
    assert [taken.take(name) for name in "abab"] == pytest.approx([0, 0, 0.1, 0.1])
    taken.take("c")
    assert taken.take("a") == 0
