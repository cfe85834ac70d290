"""Cameras that are not heard of any more: what is open is told to be over, their rows go, nothing is raised twice."""

from __future__ import annotations

from models.alerts import AlertEvent, encode_alert_event
from models.cameras.quiet_cameras import QuietCamera
from models.cameras.window_rows import WindowRow
from tests.alerts.logs import DAY_US, HOUR_US
from tests.alerts.test_any_worker import Rows, merged
from tests.alerts.windows import LOG_APPEND_TIME, T0_US, PlainRecord, end_us, fresh, in_short, record, window
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.engine.state_rows import is_forgotten, offset_of


class Log:
    """A log that is written as time passes."""

    def __init__(self, alerts: PartitionAlerts | None = None) -> None:
        self.alerts = alerts or fresh()
        self.records: list[PlainRecord] = []
        self.steps: list[AlertEvent] = []
        self.rows: Rows = {}

    def write(self, row: WindowRow, at_us: int, after_quiet: int | None = None) -> list[str]:
        """The steps of a window that is written at a time after T0."""
        header = None if after_quiet is None else b"%d" % end_us(after_quiet)
        self.records.append(record(row, len(self.records), header, T0_US + at_us))
        return self.apply()

    def pass_hours(self, *hours: float) -> list[str]:
        """Time passes, in which other cameras have windows."""
        told = []
        for number, hour in enumerate(hours):
            told += self.write(window(0, "L", f"other-{len(self.records)}-{number}"), round(hour * HOUR_US))
        return told

    def apply(self) -> list[str]:
        steps = self.alerts.apply(self.records[self.alerts.applied + 1 :])
        self.steps += steps
        return in_short(steps)

    def save(self) -> list[tuple[bytes, bytes]]:
        """Write the state; the rows that were written."""
        written = self.alerts.changed_rows()
        self.rows = merged(self.rows, written)
        return written


def test_once_and_never_again_is_forgotten_after_a_day_and_an_hour() -> None:
    log = Log()
    for number in range(500):
        log.write(window(0, "L", f"once-{number}"), number * 1_000_000)
    log.pass_hours(24)
    assert len(log.alerts.cameras) == 501
    log.pass_hours(26)
    assert len(log.alerts.cameras) == 502
    log.save()
    log.pass_hours(27)
    assert len(log.alerts.cameras) == 3
    tombstones = {key: offset_of(row) for key, row in log.save() if is_forgotten(row)}
    assert tombstones == {b"once-%d" % number: log.alerts.applied for number in range(500)}
    assert log.alerts.changed_rows() == [log.alerts.all_rows()[-1]]
    assert len(fresh(log.rows).cameras) == 3


def test_records_that_come_again_change_nothing() -> None:
    log = Log()
    log.write(window(0, "H"), 0)
    log.pass_hours(1, 24, 26.5)
    log.write(window(0, "H", "later"), round(26.6 * HOUR_US))
    before, applied = log.alerts.all_rows(), log.alerts.applied
    for again in (log.records, log.records[:2], log.records[-1:]):
        assert log.alerts.apply(again) == []
        assert (log.alerts.all_rows(), log.alerts.applied) == (before, applied)


def test_a_take_over_between_two_looks_changes_nothing() -> None:
    log, taken_over = Log(), Log()
    for one in (log, taken_over):
        one.write(window(0, "L"), HOUR_US)
        one.pass_hours(26, 26.1)
    taken_over.save()
    taken_over.alerts = fresh(taken_over.rows)
    for one in (log, taken_over):
        one.pass_hours(26.2)
    assert taken_over.alerts.all_rows() == log.alerts.all_rows()
    for one in (log, taken_over):
        one.pass_hours(27)
    assert taken_over.alerts.all_rows() == log.alerts.all_rows()
    assert b"cam" not in log.alerts.cameras


def test_a_camera_that_goes_on_is_not_forgotten() -> None:
    log = Log()
    log.write(window(0, "H"), HOUR_US)
    for hour in range(2, 60):
        # a window is enough, whatever it is like
        log.write(window(hour, "?" if hour % 2 else "H"), hour * HOUR_US)
    assert log.alerts.cameras[b"cam"].seen_end_us == end_us(59)
    assert log.alerts.cameras[b"cam"].newest_end_us == end_us(58)


def test_what_is_open_is_told_to_be_over_and_never_lost() -> None:
    early = Log()
    early.write(window(0, "S"), HOUR_US)
    early.alerts.hear([QuietCamera("cam", end_us(0))])
    (told_early,) = early.alerts.early_ends()
    log = Log()
    assert log.write(window(0, "S"), HOUR_US) == ["0 opened CRITICAL S"]
    log.save()
    assert log.pass_hours(24.5) == []
    assert log.pass_hours(26) == ["48 resolved CRITICAL S"]
    assert encode_alert_event(log.steps[-1]) == encode_alert_event(told_early)
    log.alerts.hear([QuietCamera("cam", end_us(0))])
    assert log.alerts.early_ends() == []
    # whoever goes on from its rows does not tell it again
    log.save()
    assert not fresh(log.rows).cameras[b"cam"].has_open
    assert log.pass_hours(27) == []
    assert b"cam" not in log.alerts.cameras


def test_the_record_that_comes_back_after_it_is_taken_in() -> None:
    """It is the first of its hour, so cameras are looked through by it."""
    log = Log()
    for number in range(12):
        log.write(window(number, "L"), number)
    assert log.write(window(12, "S"), HOUR_US) == ["12 opened CRITICAL S"]
    assert log.write(window(100, "S"), 30 * HOUR_US) == ["60 resolved CRITICAL S", "100 opened CRITICAL S"]
    assert log.alerts.cameras[b"cam"].seen_end_us == end_us(100)


def test_an_outage_of_days_forgets_nothing_that_comes_with_the_backlog() -> None:
    """The newest windows are sent again, as after a crash, and the next ones are right behind them."""
    log = Log(fresh(forget_seconds=20.0, stopped_windows=99))
    for number in range(12):
        log.write(window(number, "L"), number)
    log.write(window(12, "S"), HOUR_US)
    log.write(window(13, "H"), HOUR_US, after_quiet=12)
    before = len(log.steps)
    late = 3 * DAY_US
    assert log.write(window(12, "S"), late) == []
    assert log.write(window(13, "H"), late + 1) == []
    # over as of the end of window 16: nothing before it may raise another
    assert log.write(window(14, "S"), late + 2) == []
    assert log.write(window(17, "S"), late + HOUR_US) == ["17 opened CRITICAL S"]
    assert len(log.steps) == before + 1


def test_a_forgotten_camera_that_uploads_its_backlog_raises_nothing_before_its_alert_was_over() -> None:
    log = Log(fresh(forget_seconds=20.0))
    for number in range(12):
        log.write(window(number, "L"), number)
    log.write(window(12, "S"), HOUR_US)
    log.pass_hours(26, 27, 28)
    assert b"cam" not in log.alerts.cameras
    assert log.write(window(13, "S"), 29 * HOUR_US, after_quiet=12) == []
    assert log.write(window(16, "S"), 29 * HOUR_US) == []
    assert log.write(window(17, "S"), 29 * HOUR_US) == ["17 opened CRITICAL S"]


def test_a_camera_that_is_back_before_its_tombstone_was_written_gets_none() -> None:
    log = Log()
    log.write(window(0, "L"), HOUR_US)
    log.save()
    log.pass_hours(26, 27)
    assert b"cam" not in log.alerts.cameras
    log.write(window(100, "S"), 27 * HOUR_US)
    assert not [key for key, row in log.save() if is_forgotten(row)]
    assert fresh(log.rows).cameras == log.alerts.cameras


def test_of_a_calm_camera_little_is_kept() -> None:
    log = Log()
    for number, level in enumerate("SHLLLLLL"):
        log.write(window(number, level), HOUR_US)
    assert in_short(log.steps)[-1] == "7 resolved CRITICAL L"
    assert log.alerts.cameras[b"cam"].causes == {}


def test_stale_rows_bring_nothing_back() -> None:
    log = Log()
    log.write(window(0, "S"), HOUR_US)
    stale = dict(log.alerts.all_rows())[b"cam"]
    log.pass_hours(26, 27)
    log.save()
    assert b"cam" not in log.rows
    # a process that was frozen writes its row behind the tombstone
    log.rows[b"cam"] = stale
    successor = fresh(log.rows)
    assert b"cam" not in successor.cameras
    assert (b"cam", successor.applied) in [(key, offset_of(row)) for key, row in successor.changed_rows()]
    log.alerts = successor
    assert log.write(window(0, "H"), 28 * HOUR_US) == []
    assert log.alerts.cameras[b"cam"].offset == len(log.records) - 1


def test_a_row_that_is_ahead_keeps_what_it_is() -> None:
    """It is of a camera that was forgotten and begins anew, with older windows than it had then."""
    log = Log()
    log.write(window(100, "S"), HOUR_US)
    log.pass_hours(26, 27, 28)
    log.write(window(5, "S"), 29 * HOUR_US)
    right = log.alerts.all_rows()
    ahead = dict(right)[b"cam"]
    log.alerts = fresh({b"cam": ahead})
    assert in_short(log.alerts.apply(log.records)) == []
    assert log.alerts.all_rows() == right


def test_rows_from_before_keep_their_alerts_and_get_their_time() -> None:
    log = Log()
    log.write(window(0, "S"), HOUR_US)
    camera = log.alerts.cameras[b"cam"]
    camera.over_us = camera.heard_us = -1
    camera.windows = 0
    log.save()
    # its time begins with the first record: its row does not tell when it was heard
    assert log.pass_hours(2) == []
    log.save()
    assert fresh(log.rows).cameras[b"cam"].heard_us == T0_US + 2 * HOUR_US
    assert log.pass_hours(24, 25, 26) == []
    assert log.pass_hours(27) == ["48 resolved CRITICAL S"]
    assert log.pass_hours(28) == []
    assert b"cam" not in log.alerts.cameras


def test_a_row_from_before_that_is_ahead_stays_ahead() -> None:
    log = Log()
    log.pass_hours(1, 2, 3)
    log.write(window(0, "S"), 4 * HOUR_US)
    log.alerts.cameras[b"cam"].heard_us = -1
    ahead = dict(log.alerts.all_rows())[b"cam"]
    successor = fresh({b"cam": ahead})
    assert in_short(successor.apply(log.records)) == []
    assert successor.cameras[b"cam"].offset == 3


def stranger(log: Log, hours: float, camera_id: str = "stranger", number: int = 0) -> None:
    """A window whose record was stamped by its producer."""
    row = window(number, "S" if number else "L", camera_id)
    log.records.append(record(row, len(log.records), record_us=T0_US + round(hours * HOUR_US)))
    log.records[-1].timestamp_type = 0


def test_what_a_producer_stamped_neither_forgets_nor_puts_off() -> None:
    log = Log()
    log.write(window(0, "L"), HOUR_US)
    log.pass_hours(26)
    stranger(log, 1)
    log.pass_hours(27)
    assert b"cam" not in log.alerts.cameras
    alive = Log()
    alive.write(window(1, "S"), HOUR_US)
    for hour in range(2, 40):
        stranger(alive, hour, "cam", number=hour)
        alive.pass_hours(hour)
    assert in_short(alive.steps) == ["1 opened CRITICAL S"]


def test_only_the_brokers_clock_forgets() -> None:
    log = Log()
    log.write(window(0, "S"), HOUR_US)
    for hours in (500, 501, 502):
        stranger(log, hours)
    assert log.apply() == []
    assert b"cam" in log.alerts.cameras
    assert log.records[0].timestamp_type == LOG_APPEND_TIME


def test_how_long_is_a_setting() -> None:
    log = Log(fresh(forget_cameras_hours=48))
    log.write(window(0, "L"), 0)
    log.pass_hours(30, 31, 32, 47)
    assert b"cam" in log.alerts.cameras
    log.pass_hours(50, 51)
    assert b"cam" not in log.alerts.cameras
