"""Static GTFS feeds become timetables: what is in them, when runs are on, what is wrong with them."""

from __future__ import annotations

import csv
import threading
from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.timetables.timetable import Timetable
from tests.timetables import synthetic
from tests.timetables.rig import timetable_of
from trafficapp.cli import main
from trafficapp.timetables.feed_files import Problems, opened
from trafficapp.timetables.reading import read_timetable
from trafficapp.timetables.service_days import ServiceDays, day_begin_s, span_of_days

_Tables = dict[str, list[Mapping[str, object]]]


@pytest.fixture(scope="module")
def timetable(tmp_path_factory: pytest.TempPathFactory) -> Timetable:
    return timetable_of(synthetic.write(tmp_path_factory.mktemp("feed") / "feed.zip", synthetic.tables()))


def at_s(text: str) -> float:
    """Seconds since the epoch of a time with its offset."""
    return datetime.fromisoformat(text).timestamp()


def on_at(days: ServiceDays, text: str) -> list[tuple[str, str, int]]:
    return [(run.key.trip_id, run.key.start_date, run.key.start_s) for run in days.on_now(at_s(text))]


def test_what_is_in_the_feed(timetable: Timetable) -> None:
    assert (timetable.zone, len(timetable.stops), len(timetable.routes)) == ("Europe/Rome", 17, 2)
    assert len(timetable.trips) == 15
    assert (len(timetable.patterns), len(timetable.profiles)) == (2, 2)
    assert span_of_days(timetable) == (date(2026, 1, 1), date(2026, 12, 31))
    line, eight = timetable.patterns
    assert line.at_m == pytest.approx([synthetic.EVERY_M * index for index in range(10)], abs=2)
    # its first and last stop are one place, and it crosses itself: in order all the same
    assert eight.at_m == sorted(eight.at_m)
    assert eight.at_m[0] == 0
    assert eight.at_m[-1] == pytest.approx(2 * 800 + 4 * 800 * 2**0.5, rel=0.01)


def test_a_folder_is_the_same_feed_as_a_zip(timetable: Timetable, tmp_path: Path) -> None:
    for name, rows in synthetic.tables().items():
        with (tmp_path / f"{name}.txt").open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    assert timetable_of(tmp_path) == timetable


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_feed_of_a_server(timetable: Timetable, tmp_path: Path) -> None:
    synthetic.write(tmp_path / "feed.zip", synthetic.tables())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            with opened(f"{address}/feed.zip?key=1") as files:
                assert read_timetable(files, Problems()) == timetable
            done = CliRunner().invoke(main, ["gtfs", "info", f"{address}/none.zip?key=secret"])
        finally:
            server.shutdown()
            thread.join()
    assert done.exit_code == 1
    assert "127.0.0.1 does not give the feed" in done.output
    assert "secret" not in done.output


def test_runs_that_are_on(timetable: Timetable) -> None:
    """Also yesterday's after midnight, those by frequency, and none on a day that was taken out."""
    days = ServiceDays(timetable)
    assert on_at(days, "2026-01-15T08:05:00+01:00") == [("line-0", "20260115", 0)]
    # 25:10 of Friday is on at ten past one on Saturday, and 25:10 of Saturday, an added day, on Sunday
    assert on_at(days, "2026-01-17T01:15:00+01:00") == [("night", "20260116", 0)]
    assert on_at(days, "2026-01-18T01:15:00+01:00") == [("night", "20260117", 0)]
    assert on_at(days, "2026-01-19T01:15:00+01:00") == []
    assert on_at(days, "2026-01-06T08:05:00+01:00") == []
    assert on_at(days, "2026-01-15T12:20:00+01:00") == [("often", "20260115", 44_100)]
    assert [run.key.start_s for run in days.of(date(2026, 1, 15)) if run.key.trip_id == "often"] == [
        *range(43_200, 46_800, 900)
    ]


@pytest.mark.parametrize(
    ("day", "leaves"),
    [
        # noon minus twelve hours: clocks go forward on 29 March, so 8:00 is eight hours after 23:00 UTC + 1 h
        (date(2026, 3, 29), "2026-03-29T08:00:00+02:00"),
        (date(2026, 10, 25), "2026-10-25T08:00:00+01:00"),
        (date(2026, 3, 30), "2026-03-30T08:00:00+02:00"),
    ],
)
def test_days_on_which_clocks_are_changed(tmp_path: Path, day: date, leaves: str) -> None:
    tables = synthetic.tables()
    tables["calendar_dates"] += [{"service_id": "week", "date": f"{day:%Y%m%d}", "exception_type": 1}]
    timetable = timetable_of(synthetic.write(tmp_path / "feed.zip", tables))
    days = ServiceDays(timetable)
    first = days.of(day)[0]
    assert first.leaves_s == at_s(leaves)
    # ten past one at night is asked for by the clock of the day after
    night = next(run for run in days.of(day) if run.key.trip_id == "night")
    assert night in days.on_now(day_begin_s("Europe/Rome", day) + 25 * 3600 + 700)
    assert night.leaves_s - first.leaves_s == 17 * 3600 + 600


def test_before_midnight_where_a_day_begins_early(tmp_path: Path) -> None:
    """Where clocks go forward, 0:10 of the service day is 23:10 of the evening before."""
    tables = synthetic.tables()
    tables["calendar_dates"] += [{"service_id": "week", "date": "20260329", "exception_type": 1}]
    calls = tables["stop_times"]
    tables["stop_times"] = [
        {**call, "arrival_time": f"00:{10 + index // 2:02}:00", "departure_time": f"00:{10 + index // 2:02}:00"}
        if call["trip_id"] == "night"
        else call
        for index, call in enumerate(
            [one for one in calls if one["trip_id"] == "night"] + [one for one in calls if one["trip_id"] != "night"]
        )
    ]
    days = ServiceDays(timetable_of(synthetic.write(tmp_path / "feed.zip", tables)))
    assert ("night", "20260329", 0) in on_at(days, "2026-03-28T23:12:00+01:00")


def test_what_is_wrong_is_left_out_and_told(tmp_path: Path) -> None:
    tables = synthetic.tables()

    def changed(table: str, **cells: object) -> None:
        tables[table] = [{**tables[table][0], **cells}, *tables[table][1:]]

    changed("stop_times", arrival_time="8 o'clock")
    changed("stops", stop_lat="north")
    tables["trips"] += [{**tables["trips"][0], "trip_id": "lost", "route_id": "R9"}]
    tables["calendar_dates"] += [{"service_id": "week", "date": "soon", "exception_type": 1}]
    tables["frequencies"] += [{**tables["frequencies"][0], "headway_secs": 0}]
    problems = Problems()
    with opened(str(synthetic.write(tmp_path / "feed.zip", tables))) as files:
        timetable = read_timetable(files, problems)
    # every trip of the line begins at the stop that has no place, and goes on without it
    assert {len(pattern.stops) for pattern in timetable.patterns} == {9, 7}
    found = "\n".join(problems.lines())
    for words in ("stops without a place", "a route or service that is not there", "a day that is none", "say nothing"):
        assert words in found


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda tables: tables.pop("stop_times"), "has no stop_times.txt"),
        (lambda tables: [tables.pop("calendar"), tables.pop("calendar_dates")], "neither calendar.txt nor"),
        (lambda tables: tables.update(agency=[{**tables["agency"][0], "agency_timezone": "Mars/Port"}]), "'Mars/Port'"),
        (lambda tables: tables.update(trips=[{"trip_id": "line-0"}]), "no column route_id, service_id"),
    ],
)
def test_no_timetable_can_be_made(tmp_path: Path, spoil: object, why: str) -> None:
    tables = synthetic.tables()
    assert callable(spoil)
    spoil(tables)
    done = CliRunner().invoke(main, ["gtfs", "info", str(synthetic.write(tmp_path / "feed.zip", tables))])
    assert done.exit_code == 1
    assert why in done.output


def test_times_that_are_not_told_lie_between_their_neighbours(tmp_path: Path) -> None:
    tables = synthetic.tables()
    tables["stop_times"] = [
        {**call, "arrival_time": "", "departure_time": ""} if call["stop_sequence"] in (20, 30) else call
        for call in tables["stop_times"]
    ]
    timetable = timetable_of(synthetic.write(tmp_path / "feed.zip", tables))
    assert timetable.profiles[0].arrivals[:4] == [0, 90, 180, 270]


def test_a_ring_of_which_only_the_ends_have_times(timetable: Timetable, tmp_path: Path) -> None:
    tables = synthetic.tables()
    tables["stop_times"] = [
        {**call, "arrival_time": "", "departure_time": ""}
        if call["trip_id"] == "eight" and call["stop_sequence"] not in (10, 70)
        else call
        for call in tables["stop_times"]
    ]
    untimed = timetable_of(synthetic.write(tmp_path / "feed.zip", tables))
    trip = next(trip for trip in untimed.trips if trip.trip_id == "eight")
    assert untimed.patterns[trip.pattern].at_m == pytest.approx(timetable.patterns[1].at_m)
    times = untimed.profiles[trip.profile].arrivals
    assert times == sorted(set(times))


def test_import_replaces_what_is_there(tmp_path: Path) -> None:
    feed, out = synthetic.write(tmp_path / "feed.zip", synthetic.tables()), str(tmp_path / "out")
    first = CliRunner().invoke(main, ["gtfs", "import", str(feed), "--out", out])
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(main, ["gtfs", "import", str(feed), "--out", out])
    assert "as before" in again.output
    synthetic.write(feed, synthetic.tables(every_s=300))
    assert "as before" not in CliRunner().invoke(main, ["gtfs", "import", str(feed), "--out", out]).output
    info = CliRunner().invoke(main, ["gtfs", "info", out])
    assert "27 on 2 patterns" in info.output
    # what cannot be read leaves it as it is
    feed.write_bytes(b"no zip")
    assert CliRunner().invoke(main, ["gtfs", "import", str(feed), "--out", out]).exit_code == 1
    assert CliRunner().invoke(main, ["gtfs", "info", out]).output == info.output
    assert [path.name for path in Path(out).iterdir()] == ["timetable.msgpack"]
