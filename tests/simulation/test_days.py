"""A simulated day: the same for the same seed, plausible, with queues that grow against the traffic."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from trafficapp.simulation.chance import DayChance, Incident, day_begin
from trafficapp.simulation.city import City
from trafficapp.simulation.days import CityNow, DayTraffic, simulate_days
from trafficapp.simulation.flow import CityFlow, MinuteInputs

MONDAY = date(2026, 11, 16)


def at(hour: int, minute: int = 0, day: date = MONDAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo("Europe/Rome")).astimezone(UTC)


@pytest.fixture(scope="module")
def monday(city: City, rome: ZoneInfo) -> DayTraffic:
    (day,) = simulate_days(city, 1, at(3), at(3) + timedelta(hours=24), rome)
    return day


def test_a_seed_gives_the_same_day_however_it_is_asked_for(city: City, rome: ZoneInfo, monday: DayTraffic) -> None:
    start = at(8, 30)
    longer = list(simulate_days(city, 1, start - timedelta(days=1), start + timedelta(minutes=20), rome))
    minute = int((start - monday.begin).total_seconds()) // 60
    assert np.array_equal(longer[-1].measured_kmh[-20:], monday.measured_kmh[minute : minute + 20])
    traffic, measured = CityNow(city, 1, rome).at(start)
    np.testing.assert_allclose(traffic.speed_kmh[0], monday.speed_kmh[minute], rtol=1e-5)
    np.testing.assert_allclose(measured, monday.measured_kmh[minute], rtol=1e-5)
    (other,) = simulate_days(city, 2, start, start + timedelta(minutes=20), rome)
    assert abs(other.speed_kmh - monday.speed_kmh[minute : minute + 20]).mean() > 0.2


def test_days_of_23_and_25_hours_have_their_length(city: City, rome: ZoneInfo) -> None:
    # clocks change in the night before: the traffic day that begins the day before is the one that differs
    for day, hours in ((date(2026, 10, 24), 25), (date(2026, 10, 25), 24), (date(2027, 3, 27), 23)):
        chance = DayChance(city, 1, day, rome)
        assert chance.end - chance.begin == timedelta(hours=hours)
        assert chance.begin == day_begin(day, rome)


def test_a_working_day_is_plausible(city: City, monday: DayTraffic) -> None:
    def share(first: int, last: int) -> float:
        hours = slice((first - 3) * 60, (last - 3) * 60)
        return float((monday.speed_kmh[hours] / city.free_flow_kmh).mean())

    assert np.isfinite(monday.speed_kmh).all()
    assert monday.speed_kmh.min() >= 1
    assert (monday.speed_kmh <= city.graph.free_flow_kmh * 1.01).all()
    assert share(4, 6) > 0.95
    assert share(8, 10) < share(4, 6) - 0.03
    assert share(17, 19) < share(4, 6) - 0.03
    capacity = city.capacity_vph * city.green * 1.16
    assert (monday.flow_vph <= capacity).all()


def test_the_morning_is_like_the_recorded_one(city: City, rome: ZoneInfo) -> None:
    """Speeds that the cameras of the recorded hour saw, km/h, beside those of five simulated working days."""
    recorded = {
        "a204a[0]": 6.2, "b56[0]": 9.7, "b56[1][1]": 15.0, "b1[0]": 13.5, "a43[1]": 6.0, "a203[0]": 10.2,
        "b4[1][1][0]": 4.8, "a201": 3.5, "a72[0]": 13.5, "b3[1]": 44.5, "b4[1][1][1]": 42.9, "a209": 45.0,
        "a204[1][1]": 46.7, "a161": 45.3, "b2[0]": 46.4, "a79": 44.6, "b53a": 42.8,
    }  # fmt: skip
    speeds = []
    for days in range(5):
        start = at(8, day=MONDAY + timedelta(days=days))
        (day,) = simulate_days(city, 1, start, start + timedelta(hours=1), rome)
        speeds.append(day.speed_kmh.mean(0))
    mean = np.mean(speeds, axis=0)
    simulated = np.array([mean[city.graph.position_of_edge[edge]] for edge in recorded])
    told = np.array(list(recorded.values()))
    assert np.corrcoef(simulated, told)[0, 1] > 0.85
    assert abs(simulated - told).mean() < 8


def test_a_queue_reaches_the_roads_before_an_incident_later_and_goes_away_after_it(city: City, rome: ZoneInfo) -> None:
    edge = city.graph.position_of_edge["b63[1]"]
    before = city.graph.position_of_edge["b63[0]"]
    assert any(city.graph.turn_to[turn] == edge for turn in city.graph.turns_out_of[before])
    # Sunday morning on empty roads, nothing else in the way
    sunday = MONDAY - timedelta(days=1)
    chance = DayChance(city, 3, sunday, rome)
    chance.incidents = []
    start = at(12, day=sunday)
    blocked = DayChance(city, 3, sunday, rome)
    blocked.incidents = [Incident(edge, start, 30, 0.95)]
    flow = CityFlow(city, 2)
    ratio = []
    until = int((start - chance.first).total_seconds()) // 60 + 120
    # the roads fill within two hours
    for minute in range(until - 240, until):
        with_it, without = blocked.inputs(minute), chance.inputs(minute)
        moved = flow.advance(
            MinuteInputs(
                *(np.concatenate(pair) for pair in zip(vars(with_it).values(), vars(without).values(), strict=True))
            )
        )
        ratio.append(moved.speed_kmh[0] / moved.speed_kmh[1])
    after = np.array(ratio[-120:])
    assert (after[:1, edge] > 0.05).all()
    jammed = {place: int(np.argmax(after[:, place] < 0.5)) for place in (edge, before)}
    assert after[jammed[edge], edge] < 0.5
    assert after[jammed[before], before] < 0.5
    assert jammed[edge] < jammed[before] < 30
    assert after[30:34, before].max() < 0.9
    assert after[-10:, [edge, before]].min() > 0.95
