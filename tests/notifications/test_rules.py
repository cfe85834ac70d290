"""What raises a notification about a road, and what it says."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.notifications.roads import drive, raised, road


@pytest.mark.parametrize(
    ("predicted", "free_flow", "expected"),
    [
        ((40, 20, 14.9), 50, ["WARNING"]),
        ((14.9, 20, 30), 50, ["WARNING"]),
        ((7.4, 5, 5), 50, ["CRITICAL"]),
        ((15, 15, 15), 50, []),
        # an alley is driven slowly when it is empty
        ((9, 9, 9), 10, []),
        ((10, 10, 10), 20, []),
        ((9.9, 10, 10), 20, ["WARNING"]),
        ((14.9, 20, 20), 30, ["WARNING"]),
    ],
)
def test_a_predicted_speed_below_the_threshold_is_heavy_congestion(
    predicted: tuple[float, ...], free_flow: float, expected: list[str]
) -> None:
    notices = raised([road(free_flow_kmh=free_flow, predicted_kmh=predicted, predicted_by="model")])
    assert [(notice.alert_type, notice.severity) for notice in notices] == [("heavy_congestion", s) for s in expected]


def test_what_is_usual_at_this_time_of_day_raises_nothing() -> None:
    assert not raised([road(predicted_kmh=(5, 5, 5), predicted_by="time_of_day")])
    assert raised([road(predicted_kmh=(5, 5, 5), predicted_by="last_value")])


@pytest.mark.parametrize(
    ("speeds", "minutes", "severities"),
    [
        ([50, 19], 5, ["WARNING"]),
        ([50, 20], 5, []),
        ([50, 40, 19], 5, ["WARNING"]),
        ([50, 19], 11, []),
        ([50, 14], 5, ["CRITICAL"]),
        ([120, 50], 5, []),  # what flows freely is no jam
        ([19, 50], 5, []),
        # what stands already jams no more: it flowed before neither ten minutes ago nor later
        ([24, 5], 5, []),
        ([3.6, 1.8], 5, []),
        ([50, 24, 23, 10], 5, []),
        ([25, 12.4], 5, ["CRITICAL"]),
        # it fell through the threshold, and lost less than half
        ([38, 19.5], 5, []),
    ],
)
def test_a_road_that_flowed_and_fell_through_the_threshold_within_ten_minutes_is_a_sudden_jam(
    speeds: list[float], minutes: float, severities: list[str]
) -> None:
    found = [(notice.alert_type, notice.severity) for notice in raised(drive(speeds, minutes))]
    assert found == [("sudden_jam", severity) for severity in severities]


def test_a_jam_has_to_stay_to_be_told() -> None:
    def told(*speeds: float) -> list[str]:
        return [notice.timestamp for notice in raised(drive(speeds), raise_observations=2)]

    assert told(50, 10, 50, 50) == []
    assert told(50, 10, 11, 12) == ["2026-03-02T07:10:00Z"]
    assert len(raised([road(5 * n, jam_factor=9) for n in range(2)], raise_observations=2)) == 1
    # nobody waits for a second word that a road is closed
    assert len(raised([road(closed=True, jam_factor=10)], raise_observations=2)) == 1


@pytest.mark.parametrize(("jam_factor", "severities"), [(8, []), (8.1, ["WARNING"]), (9, ["CRITICAL"])])
def test_a_jam_factor_above_the_threshold_is_severe_traffic(jam_factor: float, severities: list[str]) -> None:
    notices = raised([road(jam_factor=jam_factor)])
    assert [(notice.alert_type, notice.severity) for notice in notices] == [("severe_traffic", s) for s in severities]


def test_messages_say_where_how_much_and_against_what() -> None:
    condition = road(
        10,
        current_speed_kmh=19.4,
        jam_factor=8.4,
        speeds_before=[(road(5).observed_at_us, 48.0)],
        predicted_kmh=(14.25, 12, 11),
        predicted_by="model",
    )
    assert {notice.alert_type: notice.message for notice in raised([condition])} == {
        "heavy_congestion": "Via Emilia: 14.2, 12 and 11 km/h expected in 10, 20 and 30 minutes, "
        "heavy congestion is below 15 km/h; now 19.4 km/h, 50 km/h when it is free",
        "sudden_jam": "Via Emilia: speed fell by 60% within 5 minutes, from 48 km/h; "
        "now 19.4 km/h, 50 km/h when it is free",
        "severe_traffic": "Via Emilia: jam factor 8.4 of 10, severe is above 8; now 19.4 km/h, 50 km/h when it is free",
    }
    assert {notice.timestamp for notice in raised([condition])} == {"2026-03-02T07:10:00Z"}


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0.0167, "1 second"), (1 / 3, "20 seconds"), (1, "1 minute"), (1.34, "80 seconds"), (5.02, "5 minutes")],
)
def test_times_and_speeds_are_said_as_people_say_them(minutes: float, said: str) -> None:
    one = road(10, current_speed_kmh=1.776, predicted_kmh=(1.78, 2.0, 12.345), predicted_by="model")
    before_us = one.observed_at_us - round(minutes * 60e6)
    one = structs.replace(one, speeds_before=[(before_us, 48)])
    messages = {notice.alert_type: notice.message for notice in raised([one])}
    assert messages["sudden_jam"] == (
        f"Via Emilia: speed fell by 96% within {said}, from 48 km/h; now 1.8 km/h, 50 km/h when it is free"
    )
    assert "1.8, 2 and 12.3 km/h expected" in messages["heavy_congestion"]


def test_near_the_threshold_nothing_is_calm() -> None:
    def factors(*jam_factors: float) -> int:
        return len(raised([road(5 * number, jam_factor=jam) for number, jam in enumerate(jam_factors)]))

    assert factors(8.1, 7.9, 7, 6.5, 7.9, 8.1) == 1
    assert factors(8.1, 6, 6, 8.1, 6, 6, 7, 6, 8.1) == 1
    assert factors(8.1, 6, 6, 6, 7, 8.1) == 2

    def predicted(*speeds: float) -> int:
        ahead = [(speed, 40.0, 40.0) for speed in speeds]
        roads = [road(5 * n, predicted_kmh=one, predicted_by="model") for n, one in enumerate(ahead)]
        return len(raised(roads))

    assert predicted(14, 16, 17, 17.9, 16, 14) == 1
    assert predicted(14, 18, 18, 18, 14) == 2

    # 23 km/h is above the threshold of 20, but not enough to be over
    assert len(raised(drive([50, 19, 50, 23, 50, 23, 50, 19]))) == 1
    assert len(raised(drive([50, 19, 50, 50, 50, 19]))) == 2
