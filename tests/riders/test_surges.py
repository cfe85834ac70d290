"""Windows and surges of zones, by hand: each rule of docs/riders.md as a short log."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.timestamps import rfc3339
from tests.riders.logs import Applied, settings_of
from tests.riders.oracle import SECOND_US, Limits, Read, Tap, Tick
from tests.riders.test_surges_oracle import T0_US, WEEK_S, assert_is_the_oracles
from trafficapp.riders.event_ids import EventIds, id_of
from trafficapp.settings import RiderSettings, SettingsError, load_settings

#: The minute that T0_US lies in begins half a minute before.
BEGIN_US = T0_US - 30 * SECOND_US
ZONE = "srbj1"


def tap(number: int, second: float, *, zone: str = ZONE, at: float | None = None, partition: int = 0) -> Tap:
    """A tap at a second of the first minute; ``at`` is the second of its record and of the partition's clock."""
    record_us = BEGIN_US + round((second if at is None else at) * SECOND_US)
    return Tap(zone, f"e{number}", BEGIN_US + round(second * SECOND_US), record_us, record_us, partition)


def read(second: float, partition: int = 0, partitions: int = 1) -> Read:
    return Read(partition, partitions, BEGIN_US + round(second * SECOND_US))


def tick(second: float) -> Tick:
    return Tick(BEGIN_US + round(second * SECOND_US))


#: What a log has.
Entry: TypeAlias = Tap | Tick | Read


def applied(*log: Entry, limits: Limits | None = None) -> Applied:
    """What comes of a log, which is what the oracle says whether another process takes over everywhere or nowhere."""
    assert_is_the_oracles(list(log), limits or Limits(), set(range(len(log))))
    return assert_is_the_oracles(list(log), limits or Limits(), set())


def counted(made: Applied) -> list[tuple[float, int]]:
    """Starts of final windows in seconds, and their taps."""
    return [((window.start_us - BEGIN_US) / SECOND_US, window.taps) for _, window in made.made()]


def test_a_surge_is_opened_by_the_first_tap_beyond_the_limit_and_told_to_the_end() -> None:
    log: list[Entry] = [read(0), *(tap(number, number) for number in range(12)), tap(3, 13), read(14)]
    made = applied(*log)
    assert [(number, alert.state, alert.tap_count) for number, alert in made.surges] == [(11, "opened", 11)]
    made = applied(*log, tick(0), tick(60), tick(120))
    assert [(alert.state, alert.revision, alert.tap_count) for _, alert in made.surges] == [
        ("opened", 0, 11),
        ("resolved", 1, 12),
    ]
    opened, resolved = (alert for _, alert in made.surges)
    assert opened.alert_id == resolved.alert_id
    assert (opened.timestamp, resolved.timestamp) == (
        rfc3339(BEGIN_US + 10 * SECOND_US),
        rfc3339(T0_US + 30 * SECOND_US),
    )
    assert opened.resolved_at is None
    assert resolved.resolved_at == resolved.timestamp
    assert "what is usual is not known yet" in opened.message


def test_ten_taps_are_none() -> None:
    made = applied(read(0), *(tap(number, number) for number in range(10)), tap(0, 11), tick(0), tick(200))
    assert made.surges == []
    assert counted(made) == [(0, 10)]


def test_a_repeat_counts_once_in_a_window_and_again_in_another_one() -> None:
    made = applied(read(0), tap(1, 10), tap(1, 10), tap(1, 20), tap(1, 61), tick(61), tick(300))
    assert [(row.tap_count, row.repeated) for _, row in made.windows] == [(1, 2), (1, 0)]


def test_a_late_tap_is_told_as_a_dead_letter_and_changes_nothing() -> None:
    log: list[Entry] = [
        read(0),
        tap(1, 58),
        tap(2, 64),
        tap(3, 71),
        read(72),
        tap(4, 59, at=73),
        tick(73),
        tick(200),
        tick(300),
    ]
    made = applied(*log)
    assert counted(made) == [(0, 1), (60, 2)]
    ((number, letter),) = made.letters
    assert (number, letter.reason, letter.topic, letter.partition, letter.offset) == (
        5,
        "late",
        "rider_tapped_on",
        0,
        5,
    )
    assert f"the window of {rfc3339(BEGIN_US + 59 * SECOND_US)} of {ZONE} is final" in letter.detail
    assert json.loads(letter.value or b"") == {
        "event_id": "e4",
        "station_id": "s1",
        "latitude": 44.4993,
        "longitude": 11.3266,
        "timestamp": rfc3339(BEGIN_US + 59 * SECOND_US),
    }


def test_a_late_tap_is_heard_too_so_its_zone_is_not_silent() -> None:
    log: list[Entry] = [read(0), tap(1, 58), tap(2, 64), tap(3, 71), read(72), tap(4, 59, at=120), tick(165)]
    assert counted(applied(*log)) == [(0, 1)]
    assert counted(applied(*log, tick(215))) == [(0, 1), (60, 2)]


def test_no_window_is_final_before_every_partition_was_read_so_far() -> None:
    # after an outage partition 0 is read faster than partition 1
    ahead = [tap(number, 5 * number) for number in range(40)]
    behind = [tap(100 + number, 5 * number, partition=1) for number in range(40)]
    log: list[Entry] = [read(0, 0, 2), *ahead, read(200, 0, 2), *behind, read(200, 1, 2), tick(200), tick(400)]
    made = applied(*log)
    assert made.letters == []
    assert counted(made) == [(0, 24), (60, 24), (120, 24), (180, 8)]
    # the first one is final as soon as the other partition is beyond the tap that moved the zone's time past it
    assert [number for number, _ in made.windows] == [1 + 40 + 1 + 15, 1 + 40 + 1 + 27, 1 + 40 + 1 + 39, len(log) - 1]


def test_what_an_earlier_record_of_another_partition_says_of_the_time_counts_from_then_on() -> None:
    log: list[Entry] = [
        *(read(0, 0, 2), read(0, 1, 2)),
        *(tap(number, 8 * number) for number in range(10)),
        # two windows on, by a record that came later than all of the other partition
        *(tap(50, 131, at=500), tap(51, 133, at=500)),
        *(tap(60 + number, 81 + 6 * number, at=82 + number, partition=1) for number in range(11)),
        *(read(110, 0, 2), read(110, 1, 2)),
    ]
    assert counted(applied(*log)) == [(0, 8), (60, 9)]


def test_a_zone_that_was_heard_before_the_first_tick_is_silent_from_there_on() -> None:
    early = tap(1, 5)._replace(clock_us=0)
    assert counted(applied(read(0), early, tick(1000))) == []
    assert counted(applied(read(0), early, tick(1000), tick(1089))) == []
    assert counted(applied(read(0), early, tick(1000), tick(1091))) == [(0, 1)]


def weeks(count: int, taps: int) -> list[Entry]:
    """The hour that begins with the minute after, in some weeks, with so many taps in each of its quarters."""
    log: list[Entry] = []
    for week in range(count):
        for quarter in range(4):
            second = week * WEEK_S + 60 + 900 * quarter
            log += [tap(1000 * quarter + number, second + 100 * number) for number in range(taps)]
        log += [tick(week * WEEK_S + 3700), tick(week * WEEK_S + 9000)]
    return log


@pytest.mark.parametrize(
    ("known", "usual", "limit"),
    [
        (1, None, 10),
        # 7 in each of both weeks, and twice that is the limit
        (2, 7.0, 14),
        (3, 7.0, 14),
    ],
)
def test_what_is_usual_is_learned_by_the_hour_of_the_week(known: int, usual: float | None, limit: int) -> None:
    assert BEGIN_US % (3600 * SECOND_US) == 59 * 60 * SECOND_US, "a minute before an hour"
    # the zone is known from the hour before on
    log: list[Entry] = [read(0), tap(8000, 10), *weeks(known, 7)]
    log += [tap(9000 + number, known * WEEK_S + 120 + number) for number in range(16)]
    log += [tick(known * WEEK_S + 120), tick(known * WEEK_S + 3000)]
    made = applied(*log, limits=Limits(size=900, idle=1000))
    assert [(row.usual_taps, row.limit, row.tap_count) for _, row in made.windows[-1:]] == [(usual, limit, 16)]
    ((_, opened), _) = made.surges
    assert (opened.tap_count, opened.usual_taps) == (limit + 1, usual)


def test_the_hour_in_which_a_zone_is_met_first_is_no_whole_one() -> None:
    log: list[Entry] = [
        read(0),
        *weeks(2, 7),
        tap(9000, 2 * WEEK_S + 120),
        tick(2 * WEEK_S + 120),
        tick(2 * WEEK_S + 3000),
    ]
    made = applied(*log, limits=Limits(size=900, idle=1000))
    assert made.windows[-1][1].usual_taps is None


def test_a_zone_is_forgotten_with_all_its_rows_after_as_long_as_its_windows_are_kept() -> None:
    made = Applied(settings_of(Limits()))
    made.apply(read(0), tap(1, 5), tick(5), tick(100), tick(7200))
    assert sorted({key[:1] for key in made.write()}) == [b"h", b"r", b"z"]
    made.apply(tick(30 * 86_400 - 3600))
    assert b"z" + ZONE.encode() in made.write()
    made.apply(tick(30 * 86_400 + 3700))
    assert sorted(made.write()) == [b"r"]
    assert made.anew().tick(10**18) is not None


def test_zones_and_taps_beyond_what_is_held_are_told_as_dead_letters() -> None:
    made = Applied(settings_of(Limits()).model_copy(update={"max_zones": 1, "max_window_taps": 2}))
    made.apply(read(0), tap(1, 1), tap(2, 2), tap(3, 3), tap(4, 4, zone="srbj2"), tick(4), tick(100))
    assert [letter.reason for _, letter in made.letters] == ["zone_full", "too_many_zones"]
    assert [row.tap_count for _, row in made.windows] == [2]


def test_a_busy_window_is_remembered_piece_by_piece() -> None:
    made = Applied(settings_of(Limits(surge_taps=10_000)))
    made.apply(read(0))
    for batch in range(10):
        made.apply(*(tap(100 * batch + number, 10 + batch) for number in range(100)))
        changed = dict(made.rules.changed_rows())
        made.rows |= {key: row for key, row in changed.items() if row is not None}
        assert sum(len(row or b"") for row in changed.values()) < 3 * 2048
    assert len([key for key in made.rows if key[:1] == b"i"]) == 4
    made.anew()
    made.apply(*(tap(number, 30) for number in range(0, 1000, 7)), tap(5000, 31), tick(31), tick(130))
    assert [(row.tap_count, row.repeated) for _, row in made.windows] == [(1001, 143)]
    assert not [key for key in made.write() if key[:1] == b"i"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 600), max_size=300), max_size=6))
def test_ids_are_remembered_whatever_was_written_when(batches: list[list[int]]) -> None:
    ids, rows, right = EventIds(), dict[int, bytes](), set[int]()
    for batch in batches:
        for number in batch:
            one = id_of(f"e{number}")
            assert (one in ids) == (number in right)
            if number not in right:
                ids.add(one)
                right.add(number)
        rows |= dict(ids.changed_pieces())
        assert set(ids.written_pieces()) == set(rows)
        assert len(ids) == len(right)
        if len(batch) % 2:
            ids = EventIds(rows[number] for number in sorted(rows))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"window_seconds": 7}, "must divide an hour"),
        ({"idle_timeout_seconds": 60}, "at least window_seconds"),
        ({"usual_least_weeks": 9}, "not be more than usual_weeks"),
        ({"time_zone": "Mars/Olympus"}, "no IANA time zone"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        load_settings(riders=changed)
    assert RiderSettings().surge_taps == 10
