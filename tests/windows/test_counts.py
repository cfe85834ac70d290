"""What a window counts, by hand."""

from __future__ import annotations

from models.cameras.window_rows import WindowRow, decode_finished_window, encode_window_row
from tests.windows.entries import SECOND_US, T0_US, Picture, Seen, fresh, records
from tests.windows.logs import silence
from trafficapp.windows.holding import MAX_CAMERA_BYTES
from trafficapp.windows.speed_sketch import buckets_of, counted

T0_MS = T0_US // 1000


def picture(second: float, *seen: Seen, camera_id: str = "a", frame_id: int | None = None) -> Picture:
    number = round(second * 10) if frame_id is None else frame_id
    time_us = T0_US + round(second * SECOND_US)
    return Picture(camera_id, time_us, number, seen, "frame", camera_id.encode(), T0_MS)


def rows_of(*pictures: Picture) -> dict[tuple[str, int | None], WindowRow]:
    rows = fresh().apply(records([*pictures, *silence(T0_MS)])).rows
    found = {(row.window_start, row.lane_id): row for row in rows}
    assert len(found) == len(rows)
    return found


START = "2023-11-14T22:13:20Z"


def test_a_vehicle_counts_once_however_often_it_is_seen() -> None:
    row = rows_of(picture(0, Seen("v1", speed_kmh=10.0)), picture(1, Seen("v1", speed_kmh=20.0)))[START, None]
    assert (row.vehicle_count, row.detections, row.avg_speed_kmh) == (1, 2, 15.0)


def test_a_vehicle_whose_class_changes_counts_in_both_classes_and_once_as_a_vehicle() -> None:
    row = rows_of(
        picture(0, Seen("v1", "car", 10.0, 0), Seen("v2", "car", 10.0, 0)),
        picture(1, Seen("v1", "truck", 10.0, 0)),
        picture(2, Seen("v1", "truck", 10.0, 1), Seen("v1", "car", 10.0, 1)),
    )[START, None]
    assert row.vehicle_count == 2
    assert row.counts_by_class == {"car": 2, "truck": 1}


def test_classes_stand_in_their_alphabetical_order_whichever_was_seen_first() -> None:
    """Else a worker that takes over would send the same row with other bytes."""
    seen = [Seen("v1", "truck", lane_id=0), Seen("v2", "bus", lane_id=1), Seen("v3", "car", lane_id=0)]
    later = [picture(1, Seen("v3", "van", lane_id=0)), picture(2, Seen("v3", "bicycle", lane_id=0))]
    rows = rows_of(picture(0, *seen), *later)
    assert list(rows[START, None].counts_by_class) == ["bicycle", "bus", "car", "truck", "van"]
    assert list(rows[START, 0].counts_by_class) == ["bicycle", "car", "truck", "van"]


def test_without_any_speed_the_row_says_so_and_never_zero() -> None:
    row = rows_of(picture(0, Seen("v1")))[START, None]
    assert (row.avg_speed_kmh, row.stopped_ratio, row.congestion_score) == (None, None, None)
    assert (row.congestion_level, row.queue_length, row.detections) == ("UNKNOWN", 0, 1)


def test_speeds_below_five_are_stopped_and_their_vehicles_queue() -> None:
    row = rows_of(
        picture(0, Seen("v1", speed_kmh=4.99), Seen("v2", speed_kmh=5.0), Seen("v3")),
        picture(1, Seen("v1", speed_kmh=0.0)),
    )[START, None]
    assert (row.stopped_ratio, row.queue_length) == (0.6667, 1)


def test_lanes_have_rows_of_their_own_after_the_camera_and_those_without_a_lane_count_for_the_camera() -> None:
    rows = rows_of(picture(0, Seen("v1", lane_id=1), Seen("v2", lane_id=0), Seen("v3"), Seen("v1", lane_id=0)))
    assert [lane_id for _, lane_id in rows] == [None, 0, 1]
    assert [row.vehicle_count for row in rows.values()] == [3, 1, 1]


def test_the_same_detection_counts_once_and_another_frame_counts_again() -> None:
    again = picture(0.1, Seen("v1", speed_kmh=90.0), frame_id=7)
    first = picture(0, Seen("v1", speed_kmh=10.0), frame_id=7)
    row = rows_of(first, again, picture(0.1, Seen("v1", speed_kmh=20.0), frame_id=8))[START, None]
    assert (row.detections, row.avg_speed_kmh) == (2, 15.0)


def test_a_window_takes_its_first_microsecond_and_not_its_end() -> None:
    rows = rows_of(picture(0, Seen("v1")), picture(4.999, Seen("v2")), picture(5, Seen("v3")))
    assert [(row.window_start, row.window_end, row.vehicle_count) for row in rows.values()] == [
        (START, "2023-11-14T22:13:25Z", 2),
        ("2023-11-14T22:13:25Z", "2023-11-14T22:13:30Z", 1),
    ]


def test_an_event_is_late_exactly_when_the_watermark_has_reached_its_window_s_end() -> None:
    in_time = rows_of(picture(0, Seen("v1")), picture(6.999, Seen("v2")), picture(1, Seen("v3")))
    late = rows_of(picture(0, Seen("v1")), picture(7, Seen("v2")), picture(1, Seen("v3")))
    assert in_time[START, None].vehicle_count == 2
    assert late[START, None].vehicle_count == 1


def test_an_event_is_from_the_future_when_it_is_more_than_a_minute_ahead_of_its_record() -> None:
    windows = fresh()
    outcome = windows.apply(records([picture(60, Seen("v1")), picture(60.001, Seen("v2"))]))
    assert (outcome.counted, outcome.rejected) == (1, {"future": 1})
    assert [letter.offset for letter in outcome.dead_letters] == [1]


def test_a_refused_frame_counts_each_of_its_detections() -> None:
    windows = fresh()
    ahead = picture(61, Seen("v1"), Seen("v2"), Seen("v3"))
    assert windows.apply(records([ahead])).rejected == {"future": 3}
    assert windows.state.rejected == {"future": 3}


def test_constants_of_one_camera_override_the_general_ones() -> None:
    seen = (Seen("v1", speed_kmh=15.0), Seen("v2", speed_kmh=15.0))
    general = rows_of(picture(0, *seen))[START, None]
    special = rows_of(picture(0, *seen, camera_id="special"))[START, None]
    assert (general.congestion_score, general.congestion_level) == (0.316, "MODERATE")  # 0.4·2/50 + 0.4·(1 − 15/60)
    assert (special.congestion_score, special.congestion_level) == (0.6, "HIGH")  # 0.4·2/2 + 0.4·(1 − 15/30)


def test_a_camera_whose_clock_stands_still_cannot_grow_for_ever() -> None:
    stuck = [picture(0, Seen("v" * 200, speed_kmh=30.0), camera_id="stuck", frame_id=n) for n in range(24_000)]
    windows = fresh()

    outcome = windows.apply(records([*stuck, picture(0, Seen("v1", speed_kmh=30.0), camera_id="next", frame_id=1)]))

    full = outcome.rejected["camera_full"]
    assert outcome.counted + full == 24_001
    assert full == windows.cameras.states[b"stuck"].full == sum(letter.events for letter in outcome.dead_letters)
    assert windows.cameras.states[b"next"].counted == 1
    largest = max(len(row) for _, row in windows.changed_rows())
    assert MAX_CAMERA_BYTES / 2 < largest < MAX_CAMERA_BYTES + 2000


def test_buckets_of_few_speeds_are_listed_and_those_of_many_counted() -> None:
    few = [Seen(f"v{number}", speed_kmh=float(number % 7)) for number in range(200)]
    for seen in (few, [*few, Seen("v200", speed_kmh=3.0)]):
        row = decode_finished_window(encode_window_row(rows_of(picture(0, *seen))[START, None]))
        buckets = buckets_of([one.speed_kmh or 0.0 for one in seen])
        assert row.speed_counts == (buckets if len(seen) == 200 else counted(buckets))
