"""What is read from Postgres is what the feed said, and what was simulated is named."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import psycopg
import pytest

from tests.training.stored_roads import START, STEP, speeds_of, store
from trafficapp.forecast.learning.history import HistoryError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.roads.history import StoredHistory, read_road_history

GRAPH = city_graph(RoadSettings())
ROADS = [str(GRAPH.edge_ids[GRAPH.turn_from[0]]), str(GRAPH.edge_ids[GRAPH.turn_to[0]]), "elsewhere", "seldom"]
DAYS = 4
SPEEDS = speeds_of(len(ROADS), DAYS)
SPEEDS[1:, 3] = np.nan
SPEEDS[100:130, 0] = np.nan


@pytest.fixture(scope="module")
def filled(database_url: str) -> str:
    migrate(database_url)
    store(database_url, ROADS, SPEEDS)
    with psycopg.connect(database_url) as connection:
        # a second observation within a step, and one that cannot be
        connection.execute(
            "INSERT INTO road_observations SELECT road_id, observed_at + interval '1 minute', 'second', "
            "CASE road_id WHEN 'elsewhere' THEN 400 ELSE current_speed + 8 END, 60, 1, 'low', 1, false "
            "FROM road_observations WHERE observed_at < %s",
            (START + STEP,),
        )
        # and some that nobody measured
        for seconds, closed, confidence in ((61, True, None), (62, False, 0.7), (63, False, 0.1)):
            connection.execute(
                "INSERT INTO road_observations SELECT road_id, observed_at + %s * interval '1 second', 'told', 3, 60, "
                "1, 'low', 1, false, %s, %s FROM road_observations WHERE event_id = 'event' AND observed_at < %s",
                (seconds, closed, confidence, START + 7 * STEP),
            )
    return database_url


def read(url: str, since: datetime = START, until: datetime = START + timedelta(days=DAYS)) -> StoredHistory:
    return read_road_history(url, GRAPH, "Europe/Rome", 300, since, until)


def test_means_of_steps_with_links_of_the_graph(filled: str) -> None:
    told: list[tuple[int, int]] = []
    until = START + timedelta(days=DAYS)
    found = read_road_history(filled, GRAPH, "Europe/Rome", 300, START, until, lambda *said: told.append(said))
    assert told[-1] == (5, 5)
    history = found.history
    kept = sorted(ROADS[:3])
    assert (history.road_ids, history.start, found.left_out) == (tuple(kept), START, 1)
    expected = SPEEDS[:, [ROADS.index(road) for road in kept]].copy()
    expected[0] += np.where([road == "elsewhere" for road in kept], 0, 4)
    np.testing.assert_allclose(history.speeds_kmh, expected, atol=1e-4)
    links = {(history.road_ids[a], history.road_ids[b]) for a, b in
             zip(history.links.from_road, history.links.to_road, strict=True)}  # fmt: skip
    assert (ROADS[0], ROADS[1]) in links
    assert all("elsewhere" not in pair for pair in links)
    assert found.source == "Postgres, road_observations"


def test_a_span_within(filled: str) -> None:
    since, until = START + timedelta(hours=5), START + timedelta(days=3, hours=7, minutes=30)
    found = read(filled, since, until).history
    assert (found.start, found.end) == (since, until)
    assert set(found.road_ids) == set(ROADS[:3])


def test_what_was_simulated_is_named(filled: str) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        insert = "INSERT INTO simulated_spans (from_time, to_time, seed, contents) VALUES (%s, %s, 1, 'roads')"
        connection.execute(insert, (START - timedelta(days=1), START + timedelta(days=1)))
        connection.execute(insert, (START + timedelta(hours=12), START + timedelta(days=2)))
        assert read(filled).source == "Postgres, road_observations, 50% of its time simulated"
        connection.execute(insert, (START, START + timedelta(days=9)))
        assert read(filled).source == "Postgres, road_observations, all of it simulated"
        connection.execute("TRUNCATE simulated_spans")


def test_roads_that_were_not_to_be_believed_teach_nothing(filled: str) -> None:
    begin, end = START + timedelta(days=1), START + timedelta(days=1, hours=6)
    step = (
        "INSERT INTO city_alerts (alert_id, revision, alert_type, state, severity, subject, title, message, told_at, "
        "opened_at, resolved_at) "
        "VALUES (%s, %s, 'unhealthy_source', %s, 'WARNING', 'road:elsewhere', '', '', %s, %s, %s)"
    )
    with psycopg.connect(filled, autocommit=True) as connection:
        alert_id = "2d1c4f7e-58a1-4c6f-9d1f-1f0f6d1f2a3b"
        connection.execute(step, (alert_id, 0, "opened", begin, begin, None))
        connection.execute(step, (alert_id, 1, "resolved", end, begin, end))
        history = read(filled).history
        connection.execute("TRUNCATE city_alerts")
    first, last = int((begin - START) / STEP), int((end - START) / STEP)
    speeds = history.speeds_kmh[:, history.road_ids.index("elsewhere")]
    assert np.isnan(speeds[first:last]).all()
    assert not np.isnan(speeds[first - 5 : first]).any()
    assert not np.isnan(speeds[last : last + 5]).any()
    other = history.speeds_kmh[first:last, history.road_ids.index(ROADS[1])]
    assert not np.isnan(other).any()


def test_what_is_not_enough_is_told(filled: str) -> None:
    with pytest.raises(HistoryError, match=r"no road observations between 2026-02-01.*simulate --history"):
        read(filled, START - timedelta(days=28), START - timedelta(days=1))
    with pytest.raises(HistoryError, match=r"road observations of 2\.0 days .* at least 3 are needed"):
        read(filled, START, START + timedelta(days=2))


def test_a_zero_is_no_speed_unless_the_setting_says_so(filled: str) -> None:
    """As in files: whoever sends 0 for nothing does so to every table."""
    before, place = read(filled).history, sorted(ROADS[:3]).index(ROADS[0])
    zero = START + 7 * STEP + timedelta(minutes=2)
    gap = START + 110 * STEP
    with psycopg.connect(filled, autocommit=True) as connection:
        for at in (zero, gap):
            connection.execute(
                "INSERT INTO road_observations SELECT road_id, %s, 'zero', 0, 60, 1, 'low', 0, false "
                "FROM road_observations WHERE road_id = %s LIMIT 1",
                (at, ROADS[0]),
            )
    try:
        np.testing.assert_array_equal(read(filled).history.speeds_kmh, before.speeds_kmh)
        until = START + timedelta(days=DAYS)
        measured = read_road_history(filled, GRAPH, "Europe/Rome", 300, START, until, zeros_are_missing=False).history
        assert measured.speeds_kmh[7, place] == pytest.approx(before.speeds_kmh[7, place] / 2)
        assert (measured.speeds_kmh[110, place], np.isnan(before.speeds_kmh[110, place])) == (0, True)
    finally:
        with psycopg.connect(filled, autocommit=True) as connection:
            connection.execute("DELETE FROM road_observations WHERE event_id = 'zero'")
