"""Who drives the wrong way is told, unless so many do that the road graph must be wrong."""

from __future__ import annotations

import pytest

from models.fleet.travels import WrongWay
from models.roads.notifications import RoadNotification, decode_notification
from models.timestamps import rfc3339
from trafficapp.fleet.wrong_ways import WrongWays
from trafficapp.topics import NOTIFICATIONS

DAY = 86_400_000_000
NOON_US = 1_768_392_000_000_000


class Log:
    """Rules whose process ends after each message."""

    def __init__(self, most: int = 2) -> None:
        self.most, self.rows = most, dict[bytes, bytes]()

    def take(self, edge: str, vehicle: str, days: float) -> bool:
        """Whether it is told."""
        rules, at_us = WrongWays(self.most, self.rows), NOON_US + round(days * DAY)
        notification = RoadNotification(
            event_id=f"{edge}-{vehicle}-{days}",
            timestamp=rfc3339(at_us),
            alert_type="wrong_way",
            road_id=edge,
            road_name=edge,
            severity="CRITICAL",
            message="a vehicle drives against the direction of the road",
        )
        told = list(rules.take(WrongWay(edge, vehicle, at_us, notification)))
        assert [(one.topic, one.key, decode_notification(one.value or b"")) for one in told] in (
            [],
            [(NOTIFICATIONS, edge.encode(), notification)],
        )
        self._keep(rules)
        return bool(told)

    def tick(self, days: float) -> None:
        rules = WrongWays(self.most, self.rows)
        rules.tick(NOON_US + round(days * DAY))
        self._keep(rules)

    def _keep(self, rules: WrongWays) -> None:
        for key, row in rules.changed_rows():
            if row is None:
                del self.rows[key]
            else:
                self.rows[key] = row


def test_two_vehicles_are_told_and_the_third_shows_that_the_graph_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    assert [log.take("one", vehicle, days) for days, vehicle in enumerate("aabac")] == [True, True, True, True, False]
    assert "more than 2 vehicles drove against one within a week" in caplog.text
    assert log.take("two", "d", 4)
    # nor are those who were told before
    assert not log.take("one", "a", 5)
    assert len(caplog.records) == 1


def test_it_stays_so_while_somebody_drives_there_and_is_over_a_week_later() -> None:
    log = Log()
    assert [log.take("one", str(day), day) for day in range(30)] == [True, True, *[False] * 28]
    assert log.take("one", "somebody", 37.5)


def test_edges_are_forgotten() -> None:
    log = Log()
    log.take("one", "a", 0)
    log.tick(6.9)
    assert len(log.rows) == 1
    log.tick(7)
    assert log.rows == {}
