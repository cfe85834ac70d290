"""All cameras of one partition: records in; finished rows, dead letters and state rows out.

The state is a pure function of the partition's records up to `PartitionState.applied`: no wall
clock, no order other than the log's, nothing that depends on how records came in runs. That is why
any worker may take over from the rows that another has written (see docs/decisions).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
from msgspec import field as struct_field

from models.administration.thresholds import Thresholds, decode_control
from models.cameras.detections import (
    UNDECODABLE,
    FrameDetection,
    Rejected,
)
from models.cameras.quiet_cameras import QuietCamera
from models.cameras.window_rows import WindowRow
from models.dead_letters import dead_letter_of
from models.timestamps import rfc3339
from trafficapp.alerts.silence import Silence, SilenceRule, came_back, fell_silent, was_forgotten
from trafficapp.engine.faults import refused_by_fault
from trafficapp.engine.state_rows import (
    OFFSET_BYTES,
    PARTITION_KEY_PREFIX,
    UNTOLD,
    SourceLog,
    continued,
    partition_key,
    state_row,
)
from trafficapp.privacy.letters import Discretion
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.acceptance import Acceptance, Picture, Record, Refused
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.cameras import Cameras, Known, Remembering, decode_camera_row
from trafficapp.windows.clock import elapsed_us
from trafficapp.windows.congestion import with_change
from trafficapp.windows.outcome import Outcome
from trafficapp.windows.windower import NOTHING, NotCounted, Windower

logger = logging.getLogger(__name__)

#: About how many microseconds of work a step may be.
_STEP_WORK = 20_000
#: What it costs to look at a message patiently, to refuse it, and to finish a row, likewise.
_PATIENCE_WORK = _REFUSAL_WORK = _ROW_WORK = 10


class PartitionState(Struct, array_like=True):
    """What is known of a partition beside its cameras.

    Attributes:
        applied: offset of the last record applied; -1 before the first.
        clock_us: the partition clock, see `trafficapp.windows.clock`.
        tick_us: record time of the last tick, 0 before the first.
        rejected: detections that were refused before they reached a camera, by reason.
        thresholds: changes of the boundaries of the levels that windows may still take, oldest first.
        log_id, partitions: which log it is of, see `SourceLog`.
    """

    applied: int = -1
    clock_us: int = 0
    tick_us: int = 0
    rejected: dict[str, int] = struct_field(default_factory=dict)
    # new fields go to the end: rows that were written without them must stay readable
    thresholds: list[Thresholds] = struct_field(default_factory=list)
    log_id: str = ""
    partitions: int = 0


@dataclass(frozen=True, slots=True)
class PartitionRules:
    """The rules for all cameras of a partition.

    Attributes:
        windower_for: the rules for a camera, by camera_id.
        acceptance: what is accepted as an event.
        silence: when an alert is raised for a silent camera; None for never.
        quiet_us: after how long, by the partition's clock, it is told that a camera finishes no more windows;
            None for never.
        remembering: which cameras are known.
        discretion: what takes ids out of dead letters; None where they stay.
    """

    windower_for: Callable[[str], Windower]
    acceptance: Acceptance
    silence: SilenceRule | None = None
    quiet_us: int | None = None
    remembering: Remembering = field(default_factory=Remembering)
    discretion: Discretion | None = None


_decode_partition = msgspec.msgpack.Decoder(PartitionState).decode


def decode_partition_row(row: bytes) -> PartitionState:
    """The partition state in a state row."""
    return _decode_partition(row[OFFSET_BYTES:])


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    return decode_partition_row(row) if key.startswith(PARTITION_KEY_PREFIX) else (key.decode(), decode_camera_row(row))


class PartitionWindows:
    """The windows of all cameras of one partition.

    Args:
        partition: its number.
        rules: for its cameras.
        rows: state rows to go on from, by key.
        log: which log the records are of.

    Raises:
        OtherLog: the rows were made of another one.
    """

    def __init__(
        self, partition: int, rules: PartitionRules, rows: Mapping[bytes, bytes], log: SourceLog = UNTOLD
    ) -> None:
        self.partition = partition
        self._rules = rules
        self._key = partition_key(partition)
        self._reader = rules.acceptance.reader()
        self._outcome = Outcome()
        self._work = 0
        #: Where the partition's clock stands at records of a time, until the next tick.
        self._record_us = -1
        self._clock_us = 0
        self._touched: dict[bytes, Known] = {}
        self._told_full: set[bytes] = set()
        self.state = decode_partition_row(rows[self._key]) if self._key in rows else PartitionState()
        self.state.log_id, self.state.partitions = continued(SourceLog(self.state.log_id, self.state.partitions), log)
        of_cameras = {key: row for key, row in rows.items() if key != self._key}
        self.cameras = Cameras(of_cameras, self.applied, rules.windower_for, rules.remembering)
        # a row that was written late, behind the tombstone of its camera, brings nobody back
        self.cameras.forget(self.state.clock_us, self.applied + 1)

    @property
    def applied(self) -> int:
        """Offset of the last record applied; -1 before the first."""
        return self.state.applied

    def steps(self, records: Sequence[Record]) -> Iterator[Outcome]:
        """Apply consecutive records, in steps of some milliseconds at most; what is applied already changes nothing.

        All steps must be taken: in between, the state may be that of half a record. Where one ends changes nothing
        but in which outcome something is.
        """
        self._outcome, self._work = Outcome(), 0
        if records and records[0].offset <= self.applied:
            records = [record for record in records if record.offset > self.applied]
        reader, state, known_cameras = self._reader, self.state, self.cameras.known
        for one in reader.read(records):
            if self._work + reader.patient_reads * _PATIENCE_WORK > _STEP_WORK:
                yield self._end_step()
            if type(one) is Picture:
                state.applied = one.records[-1].offset
                known = known_cameras.get(one.key)
                # the row of a camera that was met here is not ahead of the partition's
                finishing = self._take(one, known) if known is not None else self._take_closely(one)
                if finishing is not None:
                    for _ in finishing:
                        yield self._end_step()
            elif type(one) is Refused:
                state.applied = one.record.offset
                self._refuse(one.record, one.parts)
            else:
                assert not isinstance(one, Picture | Refused)  # noqa: S101 - for the type checker
                state.applied = one.offset
                self._wake_touched()
                for _ in self._act_on(one):
                    yield self._end_step()
        self._wake_touched()
        yield self._end_step()

    def changed_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """State rows that changed since the last call: cameras, the partition's row, then forgotten cameras."""
        yield from self.cameras.changed_rows()
        yield self._key, state_row(self.state.applied, self.state)
        yield from self.cameras.forgotten_rows(self.state.applied)

    def all_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        for key in self.cameras.states:
            self.cameras.changed(key)
        return self.changed_rows()

    # ------------------------------------------------------------------ messages

    def _end_step(self) -> Outcome:
        outcome, self._outcome = self._outcome, Outcome()
        self._work = self._reader.patient_reads = 0
        return outcome

    def _wake_touched(self) -> None:
        """Tell what records have touched; a tick looks at it."""
        self.cameras.wake(self._touched)
        self._touched.clear()

    def _take_closely(self, picture: Picture) -> Iterator[None] | None:
        """Take in a picture whose camera was not met yet, and whose records may be in its row; otherwise as `_take`."""
        camera = self.cameras.states.get(picture.key)
        if camera is not None and picture.records[0].offset <= camera.offset:
            # the row is ahead of the partition's: what it covers is in it already
            self._count_again(picture, camera)
            rest = picture.behind(camera.offset)
            if rest is None:
                return None
            picture = rest
        try:
            known = self._meet(picture)
        except Rejected as error:
            refused = Rejected(error.reason, error.detail, picture.events_a_record)
            for record in picture.records:
                self._refuse(record, [*picture.left_out, refused])
            return None
        return self._take(picture, known)

    def _take(self, picture: Picture, known: Known) -> Iterator[None] | None:
        """Take a picture in; what is to be done then, if there is something, yields when a step is full."""
        self._touched[picture.key] = known
        records, seen = picture.records, picture.seen
        if len(records) == 1 or known[1].takes_all(known[2], picture.time_us, len(seen)):
            return self._count(known, picture, records, seen)
        return self._count_one_by_one(known, picture)

    def _count_again(self, picture: Picture, camera: CameraState) -> None:
        """Count what was refused before a camera could take it in: that is not in its row, but in the partition's.

        Their letters were sent before that row was written.
        """
        for record in picture.records:
            if record.offset <= camera.offset:
                refused = list(picture.left_out)
                if not camera.was_known(record.offset):
                    refused.append(Rejected("too_many_cameras", "", picture.events_a_record))
                for part in refused:
                    self.state.rejected[part.reason] = self.state.rejected.get(part.reason, 0) + part.events

    def _count_one_by_one(self, known: Known, picture: Picture) -> Iterator[None]:
        """Count the detections of a picture of which each may be another case; yields when a step is full."""
        for record, detection in zip(picture.records, picture.seen, strict=True):
            yield from self._count(known, picture, [record], (detection,)) or ()

    def _count(
        self, known: Known, picture: Picture, records: Sequence[Record], seen: Sequence[FrameDetection]
    ) -> Iterator[None] | None:
        """Count detections of a picture; what finishes windows that are final then yields when a step is full."""
        camera_id, windower, camera = known
        outcome, record_us, count = self._outcome, picture.record_us, len(seen)
        try:
            camera.offset = records[-1].offset
            if record_us != self._record_us:
                self._record_us = record_us
                self._clock_us = self.state.clock_us + elapsed_us(self.state.tick_us, record_us)
            camera.clock_us = self._clock_us
            if not camera.newest_us:
                camera.heard_us = record_us
            not_counted = windower.add(camera, picture.time_us, picture.frame_id, seen)
        except Exception as error:
            fault = refused_by_fault(error, f"partition {self.partition}, offset {records[0].offset}")
            for record in records:
                self._refuse(record, [*picture.left_out, fault])
            return None
        if len(records) == 1:
            # of frames only: what has many detections is work
            self._work += count
        outcome.counted += count
        if not_counted is not None or picture.left_out:
            self._tell_not_counted(camera_id, picture, records, not_counted or NOTHING)
        if camera.newest_us < camera.final_us:
            return None
        final = windower.close_final(camera, camera_id, self.state.clock_us, self.state.thresholds)
        return self._finish(final, camera)

    def _tell_not_counted(
        self, camera_id: str, picture: Picture, records: Sequence[Record], not_counted: NotCounted
    ) -> None:
        outcome = self._outcome
        repeated, late, full = not_counted
        outcome.counted -= repeated + late + full
        outcome.repeated += repeated
        if late or full or picture.left_out:
            for record in records:
                # several records are late all together, and not one of them is one too many
                refused = self._beyond(camera_id, picture.time_us, late // len(records), full)
                self._refuse(record, [*picture.left_out, *refused])

    def _meet(self, picture: Picture) -> Known:
        """Meet a camera for the first time in this process, or one that was silent.

        Raises:
            Rejected: it is one too many.
        """
        known = self.cameras.meet(picture.key, picture.camera_id, picture.records[0].offset)
        camera = known[2]
        if camera.silence is not None:
            self._outcome.alerts.append(came_back(picture.camera_id, camera.silence, picture.record_us))
            camera.silence = None
            self.cameras.known[picture.key] = known
        return known

    def _beyond(self, camera_id: str, time_us: int, late: int, full: int) -> Iterator[Rejected]:
        """What came too late, or cannot be held; both are counted in the camera's own row, by `Windower.add`."""
        if late:
            yield Rejected("late", f"the window of {rfc3339(time_us)} of {camera_id} is final", late)
        if full:
            detail = f"{camera_id} holds all it may in its open windows; does its clock move?"
            if camera_id.encode() not in self._told_full:
                self._told_full.add(camera_id.encode())
                logger.warning("%s; detections are refused until some are final", detail)
            yield Rejected("camera_full", detail, full)

    def _refuse(self, record: Record, refused: Sequence[Rejected]) -> None:
        outcome, rejected = self._outcome, self.state.rejected
        self._work += _REFUSAL_WORK + len(refused)
        for part in refused:
            outcome.reject(part.reason, part.events)
            if part.reason not in ("late", "camera_full"):
                rejected[part.reason] = rejected.get(part.reason, 0) + part.events
        letter = dead_letter_of(EVENTS_RAW, self.partition, record, *refused)
        if (discretion := self._rules.discretion) is not None:
            letter = discretion.apply(letter, record)
        outcome.dead_letters.append(letter)

    # ------------------------------------------------------------------ closing

    def _finish(self, windows: Iterator[Sequence[WindowRow]], camera: CameraState) -> Iterator[None]:
        """Take finished windows in; yields when a step is full."""
        told_us = camera.quiet_told_us if camera.quiet_told_us == camera.closed_until_us else 0
        for rows in windows:
            outcome = self._outcome
            if told_us:
                outcome.after_quiet[len(outcome.rows)] = told_us
                told_us = 0
            outcome.rows += rows
            if len(outcome.rows) * _ROW_WORK > _STEP_WORK:
                yield

    def _act_on(self, record: Record) -> Iterator[None]:
        """Act on a record of ours; yields when a step is full."""
        if record.value:
            self._control(record)
        else:
            yield from self._tick(record)

    def _tick(self, record: Record) -> Iterator[None]:
        """Move the partition clock; finish windows of cameras that are silent, tell of those that stay so.

        A camera whose row is ahead of the partition's was heard later by this clock, so it is not silent here.
        """
        state, cameras = self.state, self.cameras
        before_us, tick_us = state.clock_us, record.timestamp * 1000
        state.clock_us += elapsed_us(state.tick_us, tick_us)
        state.tick_us = tick_us
        self._record_us = -1
        asleep = []
        for key in cameras.awake:
            camera_id, windower, camera = cameras.get(key)
            if camera.windows:
                open_before = len(camera.windows)
                yield from self._finish(
                    windower.close_idle(camera, camera_id, state.clock_us, state.thresholds), camera
                )
                if len(camera.windows) < open_before:
                    self._changed(key, camera, record)
            self._miss(key, camera, record)
            self._tell_quiet(key, camera, record)
            if self._means_nothing(camera):
                asleep.append(key)
        for key in asleep:
            del cameras.awake[key]
        if cameras.is_time_to_look(before_us, state.clock_us):
            self._forget(record)

    def _changed(self, key: bytes, camera: CameraState, record: Record) -> None:
        camera.offset = record.offset
        self.cameras.changed(key)

    def _means_nothing(self, camera: CameraState) -> bool:
        """Whether ticks mean nothing for a camera until its next record."""
        rule = self._rules.silence
        may_be_missed = rule is not None and camera.silence is None and camera.finished >= rule.min_windows
        return not (camera.windows or may_be_missed or self._may_be_quiet(camera))

    def _may_be_quiet(self, camera: CameraState) -> bool:
        return (
            self._rules.quiet_us is not None
            and camera.finished_clock_us >= 0
            and camera.quiet_told_us != camera.closed_until_us
        )

    def _tell_quiet(self, key: bytes, camera: CameraState, record: Record) -> None:
        """Tell once that a camera finishes no more windows."""
        quiet_us = self._rules.quiet_us
        if quiet_us is None or not self._may_be_quiet(camera):
            return
        if self.state.clock_us - camera.finished_clock_us >= quiet_us:
            camera.quiet_told_us = camera.closed_until_us
            self._changed(key, camera, record)
            self._outcome.quiet.append(QuietCamera(key.decode(), camera.closed_until_us))

    def _miss(self, key: bytes, camera: CameraState, record: Record) -> None:
        """Raise an alert for a silent camera, unless there is one or it was hardly ever there."""
        rule, state = self._rules.silence, self.state
        if rule is None or camera.silence is not None or camera.finished < rule.min_windows:
            return
        silent_us = state.clock_us - camera.clock_us
        if silent_us >= rule.limit_us:
            tick = f"{self.partition}-{record.offset}"
            camera.silence = Silence(state.tick_us, camera.newest_us, silent_us, rule.limit_us, tick)
            self._changed(key, camera, record)
            self.cameras.known.pop(key, None)
            self._outcome.alerts.append(fell_silent(key.decode(), camera.silence))

    def _forget(self, record: Record) -> None:
        """Forget cameras that were silent for long; an alert about it ends."""
        for key, camera in self.cameras.forget(self.state.clock_us, record.offset):
            if camera.silence is not None:
                self._outcome.alerts.append(was_forgotten(key.decode(), camera.silence, record.timestamp * 1000))

    def _control(self, record: Record) -> None:
        """Take over new boundaries of the levels; whatever else is said here is ignored."""
        try:
            thresholds = decode_control(record.value or b"").thresholds
        except UNDECODABLE as error:
            logger.warning("partition %d, offset %d is no control record: %s", self.partition, record.offset, error)
            return
        if thresholds is None or not thresholds.valid:
            logger.warning("partition %d, offset %d sets no valid thresholds", self.partition, record.offset)
            return
        self.state.thresholds = with_change(self.state.thresholds, thresholds)
