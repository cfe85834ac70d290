"""What is known of the roads is a function of the records, however they come and whoever goes on."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.records import unreadable
from models.roads.current import MOST_OBSERVATION_BYTES, RoadObservation, encode_road_observation
from models.roads.notifications import encode_notification
from models.timestamps import rfc3339
from tests.forecast.city.observations import observation, records
from trafficapp.engine.state_rows import (
    UNTOLD,
    PartitionsChanged,
    SourceLog,
    TopicMadeAnew,
    forgotten_row,
    is_forgotten,
    offset_of,
)
from trafficapp.forecast.city.notices import judge_fresh
from trafficapp.forecast.city.roads import CityRoads
from trafficapp.forecast.city.untold import as_told_before, untold_in, untold_rows
from trafficapp.notifications.notices import RoadNotices
from trafficapp.settings import NotificationSettings

T0 = 1_771_300_000 // 300 * 300
MINUTE = 60
HOUR = 3600


def city(rows: dict[bytes, bytes] | None = None) -> CityRoads:
    return CityRoads(0, 300, 12, 10 * MINUTE * 1_000_000, 60 * 1_000_000, rows or {})


def known(one: CityRoads) -> tuple[Any, ...]:
    """All that predictions and notifications are made from."""
    now = one.record_ms / 1000
    window, last = one.recent.window(now)
    at = np.argsort(one.recent.road_ids)
    ordered = [one.recent.road_ids[place] for place in at]
    return one.applied, sorted(one.roads.items()), ordered, last, np.nan_to_num(window[:, at], nan=-1).tolist()


def feed(seed: int, count: int) -> list[Any]:
    """Observations of some roads, late ones, repeats and what is none among them, each sent a while after the other."""
    rng, found = random.Random(seed), []
    sent: list[RoadObservation] = []
    for offset in range(count):
        sent_at = T0 + offset * 40
        if sent and rng.random() < 0.15:
            one: RoadObservation | bytes = rng.choice(sent)
        elif rng.random() < 0.05:
            one = b"none"
        else:
            road = rng.choice("abcde")
            told = {"closed": rng.random() < 0.1, "confidence": rng.choice((None, None, 0.3, 0.9))}
            one = observation(road, sent_at - rng.choice((0, 10, 700)), rng.randint(1, 90), len(sent), **told)
            sent.append(one)
        found += records([one], offset, sent_at)
    return found


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), cuts=st.sets(st.integers(0, 60), max_size=8), takes=st.sets(st.integers(0, 7)))
def test_any_cutting_into_runs_and_any_take_over_gives_the_same(seed: int, cuts: set[int], takes: set[int]) -> None:
    log = feed(seed, 60)
    whole = city()
    whole.apply(log)
    parts, rows = city(), dict[bytes, bytes]()
    borders = [0, *sorted(cuts), 60]
    for number, (begin, end) in enumerate(itertools.pairwise(borders)):
        parts.apply(log[max(0, begin - 3) : end])
        parts.round_made([])
        rows |= dict(parts.changed_rows())
        if number in takes:
            parts = city(rows)
    assert known(parts) == known(whole)
    assert known(city(dict(whole.all_rows()))) == known(whole)


def test_any_prefix_of_rows_is_a_state_to_go_on_from() -> None:
    log = feed(7, 60)
    one = city()
    one.apply(log[:30])
    before = dict(one.changed_rows())
    one.apply(log[30:])
    written = one.changed_rows()
    assert written[-1][0].startswith(b"\0partition")
    assert all(offset_of(row) <= 59 for _, row in written)
    for count in range(len(written)):
        other = city(before | dict(written[:count]))
        assert other.applied == 29
        other.apply(log[30:])
        assert known(other) == known(one)


def test_what_the_feed_agent_sends_again_changes_nothing() -> None:
    first = [observation("a", T0, 50, 0), observation("b", T0, 30, 1), observation("a", T0 + 60, 20, 2)]
    one = city()
    assert one.apply(records(first, 0, T0 + 60)) == 3
    one.round_made([])
    before = known(one)[1:]
    one.changed_rows()
    assert one.apply(records(first, 3, T0 + 60)) == 0
    assert known(one)[1:] == before
    assert one.fresh == {}
    # nothing but how far it is applied is written
    assert len(one.changed_rows()) == 1
    # a feed that was made anew begins at 0 again, with what is newer
    assert one.apply(records([observation("a", T0 + 120, 40, 0)], 6, T0 + 120)) == 1


def test_fresh_observations_come_with_the_minutes_before_them() -> None:
    one = city()
    one.apply(records([observation("a", T0 + 100 * number, 60 - number, number) for number in range(9)], 0, T0 + 800))
    assert [fresh.observed.current_speed_kmh for fresh in one.fresh["a"]] == [60 - number for number in range(9)]
    assert [kmh for _, kmh in one.fresh["a"][-1].speeds_before] == [58, 57, 56, 55, 54, 53]
    one.round_made([])
    # an older one is taken into its step, but is no news
    assert one.apply(records([observation("a", T0 + 50, 10, 9)], 9, T0 + 801)) == 1
    assert one.fresh == {}
    assert one.recent.steps_of("a")[0][1:] == (60 + 59 + 58 + 10, 4)


def test_a_clock_that_was_ahead_does_not_stop_what_follows() -> None:
    one = city()
    one.apply(records([observation("a", T0, 50, 0)], 0, T0))
    ahead = T0 + 86_400
    one.apply(records([observation("a", ahead, 5, 1), observation("b", ahead, 5, 2)], 1, ahead))
    assert one.apply(records([observation("a", T0 + 300, 40, 3)], 3, T0 + 301)) == 1
    observed = one.roads["a"].observed
    assert observed is not None
    assert observed.current_speed_kmh == 40
    for state in (one, city(dict(one.all_rows()))):
        window, _ = state.recent.window(T0 + 310)
        assert window[-1, state.recent.road_ids.index("a")] == 40
        assert np.isnan(window[:, state.recent.road_ids.index("b")]).all()


def test_what_a_clock_ahead_said_stays_forgotten_when_its_time_comes() -> None:
    """No row of a road that was not heard again brings it back, though it is no longer ahead by then."""
    ahead = T0 + HOUR
    log = [observation(road, at, speed, number) for number, (road, at, speed) in enumerate(
        [("a", T0, 50), ("b", T0, 50), ("b", ahead, 5), ("c", ahead, 5), ("a", T0 + 60, 40), ("a", ahead + 60, 30)]
    )]  # fmt: skip
    found = [one for offset, told in enumerate(log) for one in records([told], offset, T0)]
    whole = city()
    whole.apply(found)
    window, _ = whole.recent.window(ahead + 100)
    heard = dict(zip(whole.recent.road_ids, np.nan_to_num(window[-1], nan=-1).tolist(), strict=True))
    assert heard == {"a": 30, "b": -1, "c": -1}
    rows = dict[bytes, bytes]()
    one = city()
    for number in range(len(found)):
        one.apply(found[: number + 1])
        one.round_made([])
        written = dict(one.changed_rows())
        stale = {key: row for key, row in written.items() if key in rows and offset_of(row) <= offset_of(rows[key])}
        assert stale == {}
        rows |= written
        other = city(rows)
        other.apply(found)
        assert known(other) == known(whole)
        for road_id in "abc":
            if road_id in other.roads:
                assert other.recent.steps_of(road_id) == whole.recent.steps_of(road_id)
    # those that lost something are written again, under the offset of the record that showed it
    assert [offset_of(rows[key]) for key in (b"b", b"c")] == [4, 4]


def test_a_clock_ahead_costs_no_other_road_its_speeds() -> None:
    one = city()
    log = [observation("a", T0, 50, 0), observation("b", T0 + 86_400, 5, 1), observation("a", T0 + 60, 40, 2)]
    for offset, told in enumerate(log):
        one.apply(records([told], offset, T0))
    assert one.recent.steps_of("a") == [(T0 // 300, 90.0, 2)]
    assert one.recent.steps_of("b") == []
    # of roads whose rows are ahead of the record nothing is forgotten that came later
    rows = dict(one.all_rows())
    late = city()
    late.apply(records([log[0]], 0, T0))
    mixed = {b"a": rows[b"a"]} | {key: row for key, row in late.all_rows() if key != b"a"}
    other = city(mixed)
    assert other.applied == 0
    other.apply(records(log[1:], 1, T0))
    assert other.recent.steps_of("a") == one.recent.steps_of("a")


def test_a_road_whose_clock_was_ahead_is_judged_anew() -> None:
    """Whether a round was made in between or not, and a day long nothing would be told otherwise."""
    rules = RoadNotices(NotificationSettings(raise_observations=1))
    log = [observation("a", T0 + 86_400, 50, 0, jam_factor=9.5), observation("a", T0, 50, 1, jam_factor=9.5),
           observation("a", T0 + 60, 9, 2, jam_factor=9.5)]  # fmt: skip
    found = [one for offset, told in enumerate(log) for one in records([told], offset, T0)]
    for rounds in ([3], [1, 3], [1, 2, 3], [2, 3]):
        one, raised = city(), []
        for end in rounds:
            one.apply(found[:end])
            raised += [(notice.alert_type, notice.timestamp) for notice in judge_fresh(rules, one, [])]
            one.round_made([])
        assert raised == [
            ("severe_traffic", rfc3339((T0 + 86_400) * 1_000_000)),
            ("severe_traffic", rfc3339(T0 * 1_000_000)),
            ("sudden_jam", rfc3339((T0 + 60) * 1_000_000)),
        ]
        assert one.roads["a"].speeds_before == ((T0 * 1_000_000, 50), ((T0 + 60) * 1_000_000, 9))


def test_what_came_of_a_road_is_judged_though_it_was_forgotten_before_the_round() -> None:
    rules = RoadNotices(NotificationSettings(raise_observations=1))
    log = [observation("a", T0, 50, 0), observation("a", T0 + 60, 9, 1, jam_factor=9.5),
           observation("b", T0 + 26 * HOUR, 50, 2), observation("a", T0 + 26 * HOUR, 9, 3, jam_factor=9.5)]  # fmt: skip
    found = [one for offset, told in enumerate(log) for one in records([told], offset, T0)]
    for rounds in ([4], [2, 4], [3, 4], [1, 2, 3, 4]):
        one, raised = city(), []
        for end in rounds:
            one.apply(found[:end])
            raised += [(notice.alert_type, notice.timestamp) for notice in judge_fresh(rules, one, [])]
            one.round_made([])
        assert sorted(raised) == [
            ("severe_traffic", rfc3339((T0 + 60) * 1_000_000)),
            ("severe_traffic", rfc3339((T0 + 26 * HOUR) * 1_000_000)),
            ("sudden_jam", rfc3339((T0 + 60) * 1_000_000)),
        ]


def test_no_row_of_a_forgotten_road_brings_it_back_whatever_its_clock_said() -> None:
    """Its clock was ahead, and right again when it fell silent; a frozen process writes what it knew meanwhile."""
    hours = [("a", 0), ("a", 300), ("a", 1), ("b", 1), ("b", 14), ("b", 27)]
    log = [observation(road, T0 + hour * HOUR, 50, number) for number, (road, hour) in enumerate(hours)]
    found = [one for offset, told in enumerate(log) for one in records([told], offset, T0)]
    whole = city()
    stale = []
    for one in found:
        whole.apply([one])
        whole.round_made([])
        stale.append(dict(whole.changed_rows()).get(b"a"))
    assert sorted(whole.roads) == ["b"]
    rows = {key: row for key, row in whole.all_rows() if not is_forgotten(row)}
    for row in stale:
        if row is not None and not is_forgotten(row):
            again = city(rows | {b"a": row})
            assert known(again) == known(whole)
            assert again.changed_rows()[-1] == (b"a", forgotten_row(5))


def test_what_is_kept_of_a_road_is_bounded() -> None:
    one = city()
    count = 3000
    log = [observation("a", T0 + number / 10, 250 - number / 100, number) for number in range(count)]
    one.apply(records(log, 0, T0 + count))
    # of each second the fastest, which nothing falls from that is as fast
    kept = one.roads["a"].speeds_before
    assert [time // 1_000_000 - T0 for time, _ in kept] == list(range(300))
    assert [speed for _, speed in kept] == [250 - number / 10 for number in range(300)]
    assert one.fresh["a"][-1].speeds_before is one.fresh["a"][-2].speeds_before
    hours = [observation("a", T0 + number, 50, number) for number in range(count, 3 * count)]
    one.apply(records(hours, count, T0 + 3 * count))
    assert len(one.roads["a"].speeds_before) == 601
    assert max(len(row) for _, row in one.all_rows()) < 20_000


def test_an_observation_that_is_too_large_is_refused() -> None:
    one = city()
    fits = observation("a", T0, 50, 0, coordinates=[])
    room = MOST_OBSERVATION_BYTES - len(encode_road_observation(fits))
    largest = msgspec.structs.replace(fits, road_name=fits.road_name + "x" * room)
    larger = msgspec.structs.replace(largest, road_name=largest.road_name + "x", source_offset=1)
    edges = [(f"e{number}", 1.0) for number in range(1001)]
    log = [largest, larger, observation("b", T0, 50, 2, edges=edges), observation("b" * 257, T0, 50, 3),
           observation("c", T0, 50, 4, edges=edges[:1000])]  # fmt: skip
    assert one.apply(records(log, 0, T0)) == 2
    assert sorted(one.roads) == ["a", "c"]
    assert [error.reason for _, error in one.refused] == ["too_large", "invalid_field", "invalid_field"]


def test_all_roads_together_are_on_so_many_edges_at_most() -> None:
    one = CityRoads(0, 300, 12, 600_000_000, 60_000_000, {}, most_roads=3)
    edges = [(f"e{number}", 1.0) for number in range(400)]
    log = [observation(road, T0 + number, 50, number, edges=edges[:count]) for number, (road, count) in enumerate(
        [("a", 400), ("b", 400), ("c", 400), ("c", 200), ("b", 1), ("c", 400)]
    )]  # fmt: skip
    assert one.apply(records(log, 0, T0)) == 5
    assert [(record.offset, error.reason) for record, error in one.refused] == [(2, "too_many_roads")]
    assert {road: len(known) for road, known in one.edges().items()} == {"a": 400, "b": 1, "c": 400}


def test_the_partition_row_keeps_what_others_put_there() -> None:
    one = city()
    one.apply(records([observation("a", T0, 50, 0)], 0, T0))
    rows = dict(one.all_rows())
    (key,) = [key for key in rows if key.startswith(b"\0partition")]
    fields = msgspec.msgpack.decode(rows[key][8:])
    fields[5] = "a-topic"
    again = city(rows | {key: rows[key][:8] + msgspec.msgpack.encode(fields)})
    again.apply(records([observation("a", T0 + 1, 50, 1)], 1, T0))
    assert msgspec.msgpack.decode(dict(again.changed_rows())[key][8:])[5] == "a-topic"
    # rows of before are shorter
    assert city(rows | {key: rows[key][:8] + msgspec.msgpack.encode(fields[:5])}).applied == 0


def test_an_observation_ahead_of_its_record_says_nothing_of_now() -> None:
    one = city()
    wrong = observation("a", T0 + 3600, 5, 0, record_timestamp=rfc3339(T0 * 1_000_000))
    assert one.apply(records([wrong, observation("a", T0, 50, 1)], 0, T0)) == 1
    assert one.recent.steps_of("a") == [(T0 // 300, 50.0, 1)]
    assert [(record.offset, error.reason) for record, error in one.refused] == [(0, "future")]


def test_the_clock_of_the_worker_that_checked_the_feed_says_nothing() -> None:
    """Two minutes behind, right, and a day ahead, with a partition among them that is half an hour behind."""
    right, wrong = city(), city()
    log = [observation(road, T0 + at, 50, n) for n, (road, at) in enumerate(
        [("a", 0), ("b", 290), ("c", -1500), ("a", 310), ("a", 600), ("c", -1400), ("b", 330), ("b", 610)]
    )]  # fmt: skip
    for offset, one in enumerate(log):
        right.apply(records([one], offset, T0 + 620))
        wrong.apply(records([one], offset, T0 + (620, 86_400, 500)[offset % 3]))
    assert right.refused == wrong.refused == []
    assert wrong.source_ms == right.source_ms == (T0 + 610) * 1000
    for road in "abc":
        assert wrong.recent.steps_of(road) == right.recent.steps_of(road)
    assert len(right.recent.steps_of("a")) == 3


def test_silent_roads_are_forgotten_and_there_are_no_more_than_so_many() -> None:
    def small(rows: dict[bytes, bytes] | None = None) -> CityRoads:
        return CityRoads(0, 300, 12, 600_000_000, 60_000_000, rows or {}, forget_us=24 * HOUR * 1_000_000, most_roads=3)

    log = [observation(road, T0 + hour * HOUR, 50, n) for n, (road, hour) in enumerate(
        [("a", 0), ("b", 1), ("c", 2), ("d", 3), ("b", 23), ("c", 26), ("d", 26), ("c", 27), ("a", 28)]
    )]  # fmt: skip
    found = [one for offset, told in enumerate(log) for one in records([told], offset, T0 + 30 * HOUR)]
    whole = small()
    whole.apply(found)
    assert [(record.offset, error.reason) for record, error in whole.refused] == [
        (3, "too_many_roads"), (8, "too_many_roads"),
    ]  # fmt: skip
    assert sorted(whole.roads) == sorted(whole.recent.road_ids) == ["b", "c", "d"]
    assert "a" not in whole.fresh
    for cut in range(len(found) + 1):
        one = small()
        one.apply(found[:cut])
        rows = {key: row for key, row in one.all_rows() if not is_forgotten(row)}
        one.apply(found[cut:])
        changed = one.changed_rows()
        if 0 < cut <= 5:
            assert changed[-1] == (b"a", forgotten_row(8))
        for written in range(len(changed) + 1):
            # a frozen process may put the row of a forgotten road back at any time
            merged = rows | {key: row for key, row in changed[:written] if not is_forgotten(row)}
            other = small(merged)
            other.apply(found[other.applied + 1 :])
            assert known(other) == known(whole)


def test_no_prefix_of_rows_forgets_what_a_round_raised() -> None:
    rules = RoadNotices(NotificationSettings(raise_observations=1))
    free = [observation(f"r{n}", T0, 50, n) for n in range(4)]
    jammed = [observation(f"r{n}", T0 + 60, 9, n + 4, jam_factor=9.5) for n in range(4)]
    log = records(free + jammed, 0, T0 + 60)

    def judged(one: CityRoads) -> list[tuple[bytes, bytes]]:
        return [(b"k", encode_notification(notice.told([]))) for notice in judge_fresh(rules, one, [])]

    one = city()
    one.apply(log[:4])
    one.round_made(judged(one))
    before = dict(one.changed_rows())
    one.apply(log[4:])
    raised = judged(one)
    assert len(raised) == 8
    assert not one.is_catching_up
    one.round_made(raised)
    written = one.changed_rows()
    for count in range(len(written) + 1):
        other = city(before | dict(written[:count]))
        told = other.notifications
        other.apply(log[other.applied + 1 :])
        # whoever may have raised something already sends before writing, and the same bytes
        assert other.is_catching_up == (count > 0)
        assert {*told, *as_told_before(judged(other), told)} == {*raised}
    one.apply(records([observation("r0", T0 + 90, 50, 9)], 8, T0 + 90))
    one.round_made([])
    assert city(before | dict(written) | dict(one.changed_rows())).notifications == []


def test_more_notifications_than_fit_into_a_row() -> None:
    many = [(b"r%d" % number, b'{"event_id":"%d"}' % number + b" " * 5000) for number in range(500)]
    rows = untold_rows(7, many)
    assert 4 < len(rows) < 10
    stale = untold_rows(5, many * 3)
    assert untold_in(dict(stale) | dict(rows), 7) == (7, many)
    assert untold_in(dict(stale) | dict(rows), 8) == (7, [])


def test_roads_appear_over_time_and_there_may_be_many() -> None:
    one = city()
    for step in range(3):
        batch = [observation(f"r{number}", T0 + 300 * step, 30 + step, number) for number in range(7000 * (step + 1))]
        one.apply(records([msgspec.structs.replace(o, source_offset=o.source_offset + 100_000 * step) for o in batch],
                          one.applied + 1, T0 + 300 * step))  # fmt: skip
    window, _ = one.recent.window(T0 + 601)
    assert window.shape == (12, 21_000)
    assert np.isfinite(window[-1]).all()
    assert np.isfinite(window[-3]).sum() == 7000
    again = city(dict(one.all_rows()))
    assert known(again) == known(one)


@pytest.mark.parametrize("value", [b"", b"{", b'{"road_id":"x"}'])
def test_what_is_no_observation_is_left_out(value: bytes) -> None:
    one = city()
    assert one.apply(records([value, observation("a", T0, 50, 0)], 0, T0)) == 1
    assert one.applied == 1


@pytest.mark.parametrize("sent_ms", [-1, 0, -(10**12), 10**15])
def test_a_record_that_is_no_observation_says_nothing_of_the_time(sent_ms: int) -> None:
    sound = [one for n in range(3) for one in records([observation("a", T0 + n * 300, 50, n)], n, T0 + n * 300)]
    noise = [replace(records([b"noise"], 3)[0], timestamp=sent_ms), unreadable(4, sent_ms, 0, "no name")]
    clean, noisy = city(), city()
    clean.apply(sound)
    noisy.apply([*sound, *noise])
    assert [error.reason for _, error in noisy.refused] == ["invalid_field", "unreadable_record"]
    assert known(noisy)[1:] == known(clean)[1:]
    again = city(dict(noisy.all_rows()))
    assert known(again)[1:] == known(clean)[1:]
    assert again.applied == 4


def test_the_row_of_the_partition_says_which_log_it_is_of() -> None:
    def of(log: SourceLog, rows: dict[bytes, bytes] | None = None) -> CityRoads:
        return CityRoads(0, 300, 12, 600_000_000, 60_000_000, rows or {}, log=log)

    one = of(SourceLog("one", 1))
    one.apply(records([observation("a", T0, 50, 0)], 0, T0))
    rows = dict(one.all_rows())
    for log in (UNTOLD, SourceLog("one", 1)):
        assert dict(of(log, rows).all_rows()) == rows
    for error, log in ((TopicMadeAnew, SourceLog("two", 1)), (PartitionsChanged, SourceLog("one", 2))):
        with pytest.raises(error):
            of(log, rows)
