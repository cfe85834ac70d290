"""Logs of finished windows as the windows agent leaves them, with what it says of quiet cameras, and what follows.

`Writer` knows as little of the windows as is needed: when a camera is told to be quiet, which window then says so, that
cameras with few windows are forgotten, and that after a crash some records stand there again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import note
from hypothesis import strategies as st

from models.alerts import AlertEvent
from models.cameras.quiet_cameras import QuietCamera
from models.cameras.window_rows import WindowRow
from models.timestamps import epoch_us
from tests.alerts.windows import T0_US, WINDOW_US, PlainRecord, end_us, record, window
from tests.verification.alerts_oracle import LEVELS, TRAFFIC, Rules, Step, Window, right_steps, told_by

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US

#: Settings with which little is enough, and the same for the oracle.
SHORT = {"stopped_windows": 2, "resolve_windows": 2, "forget_seconds": 20.0, "on_delay_seconds": 15.0}
SHORT_RULES = Rules(
    stopped_windows=2,
    calm_windows=2,
    forget_us=20 * SECOND_US,
    update_us=5 * SECOND_US,
    on_delay_us=15 * SECOND_US,
)

QUIET_US = 80 * SECOND_US
FORGOTTEN_US = HOUR_US
FEW_WINDOWS = 12


def row_of(planned: Window, camera_id: str) -> WindowRow:
    """The row of a window that the oracle knows."""
    count, speed_kmh = TRAFFIC[planned.letter]
    number = (planned.start_us - T0_US) // WINDOW_US
    known = {"vehicle_count": count, "queue_length": count if planned.stands else 0, "avg_speed_kmh": speed_kmh}
    if planned.letter == "?":
        return window(number, "?", camera_id, **known)
    known |= {"stopped_ratio": float(planned.stands), "congestion_score": planned.score}
    return window(number, LEVELS[planned.level][0], camera_id, **known)


def as_right(step: AlertEvent) -> Step:
    """A step in the oracle's form."""
    values = step.values
    resolved_at = step.updated_at if step.action == "resolved" else None
    return Step(
        camera_id=step.camera_id or "",
        alert_type=step.alert_type,
        action=step.action if step.resolved_at == resolved_at else "ill-timed",
        revision=step.revision,
        severity=step.severity,
        level=step.congestion_level or "",
        score=step.congestion_score or 0.0,
        since_us=epoch_us(step.since),
        triggered_us=epoch_us(step.triggered_at),
        at_us=epoch_us(step.updated_at),
        vehicle_count=int(values["vehicle_count"] or 0),
        avg_speed_kmh=float(values["avg_speed_kmh"] or 0.0),
        queue_length=int(values["queue_length"] or 0),
        peak_score=float(values["peak_congestion_score"] or 0.0),
        told=told_by(step.title, step.message) if step.action == "updated" else (),
        alarm_us=None if step.alarm_at is None else epoch_us(step.alarm_at),
    )


@dataclass
class _Camera:
    """What the windows know of a camera; ``number`` is that of its newest window."""

    number: int = -1
    finished: int = 0
    finished_us: int = 0
    is_told: bool = False
    owes_header: bool = False


@dataclass
class Writer:
    """Writes a log.

    Attributes:
        now_us: the broker's clock.
        clock_us: the partition's clock of the windows, which stands still while nobody finishes windows.
        notices: what was said of quiet cameras.
        planned: every window as the oracle knows it, in the order of the log.
    """

    now_us: int = T0_US + 10 * SECOND_US
    clock_us: int = 0
    log: list[PlainRecord] = field(default_factory=list)
    notices: list[QuietCamera] = field(default_factory=list)
    planned: list[tuple[str, Window]] = field(default_factory=list)
    cameras: dict[str, _Camera] = field(default_factory=dict)
    written: dict[str, tuple[int, int]] = field(default_factory=dict)
    may_repeat: list[PlainRecord] = field(default_factory=list)
    outlived: int = 0

    def let_pass(self, seconds: int, *, is_alive: bool = True) -> None:
        """Time passes; while the windows' worker is down it tells nobody of quiet cameras."""
        self.now_us += seconds * SECOND_US
        if not is_alive:
            # what was sent again after the outage before is covered by state
            self.may_repeat = self.may_repeat[self.outlived :]
            self.outlived = len(self.may_repeat)
            return
        self.clock_us += seconds * SECOND_US
        if seconds >= 30:
            # the state that covers them is written
            self.may_repeat, self.outlived = [], 0
        for camera_id, camera in list(self.cameras.items()):
            silent_us = self.clock_us - camera.finished_us
            if silent_us >= QUIET_US and not camera.is_told:
                camera.is_told = camera.owes_header = True
                self.notices.append(QuietCamera(camera_id, end_us(camera.number)))
            if silent_us >= FORGOTTEN_US and camera.finished < FEW_WINDOWS:
                del self.cameras[camera_id]

    def finish(self, camera_id: str, blanks: int, letter: str, wrong: bytes | None = None) -> None:
        """Finish a camera's next window, or one that it had before when the camera was forgotten meanwhile.

        Args:
            camera_id: of which camera.
            blanks: windows that it did not have before this one; below zero when it sends again what it has sent.
            letter: what the window is like.
            wrong: what its record says of quiet, unless something is to be said.
        """
        self.let_pass(5)
        newest, newest_us = self.written.get(camera_id, (-1, 0))
        camera = self.cameras.get(camera_id)
        if camera is None:
            camera = self.cameras[camera_id] = _Camera()
            if newest >= 0 and self.now_us - newest_us >= DAY_US - HOUR_US:
                # what few windows led to is remembered for a day
                blanks = 100
        else:
            blanks = max(blanks, 0)
        number = max(newest + 1 + blanks, 0)
        self.let_pass(max(0, (end_us(number) - self.now_us) // SECOND_US + 1))
        quiet = b"%d" % end_us(camera.number) if camera.owes_header else wrong
        camera.number, camera.finished, camera.finished_us = number, camera.finished + 1, self.clock_us
        camera.is_told = camera.owes_header = False
        after_quiet_us = int(quiet) if quiet is not None and quiet.isdigit() else None
        start_us = T0_US + number * WINDOW_US
        planned = Window(start_us, letter, after_quiet_us=after_quiet_us, record_us=self.now_us)
        self.planned.append((camera_id, planned))
        self.may_repeat.append(self._append(record(row_of(planned, camera_id), 0, quiet, self.now_us)))
        if number > newest:
            self.written[camera_id] = number, self.now_us

    def send_again(self, count: int) -> None:
        """The newest records stand there again, as after a crash."""
        for sent in self.may_repeat[-count:]:
            self._append(sent)

    def write_garbage(self, value: bytes | None) -> None:
        """Something that is no window of a camera."""
        self._append(PlainRecord(0, value, timestamp_type=1))

    def _append(self, sent: PlainRecord) -> PlainRecord:
        self.log.append(replace(sent, offset=len(self.log), timestamp=self.now_us // 1000))
        return self.log[-1]

    def right_steps(self, rules: Rules = SHORT_RULES) -> list[Step]:
        """The steps that the oracle demands."""
        times_us = [one.timestamp * 1000 for one in self.log]
        steps = []
        for camera_id in {camera_id for camera_id, _ in self.planned}:
            windows = [one for name, one in self.planned if name == camera_id]
            windows, after = with_silences(windows, times_us)
            steps += right_steps(camera_id, windows, rules, silences_after=after)
        return steps


def with_silences(windows: Sequence[Window], times_us: Sequence[int]) -> tuple[list[Window], int]:
    """How often it turned out before each window of a camera that it was silent for a day, and after all of them.

    That is looked for with the first record of each hour, whatever it is.

    Args:
        windows: in the order of the log.
        times_us: the record times of the whole log, which never go back.
    """
    turns = [one for one in sorted(set(times_us)) if all(one // HOUR_US > t // HOUR_US for t in times_us if t < one)]
    found: list[Window] = []
    counted: list[Window] = []

    def silent(until_us: int) -> int:
        heard_us = counted[-1].record_us if counted else until_us
        return sum(heard_us < turn // HOUR_US * HOUR_US - DAY_US and turn <= until_us for turn in turns)

    for one in windows:
        found.append(one._replace(silences=silent(one.record_us)))
        if found[-1].silences > 1:
            counted.clear()
        if all(one.end_us > before.end_us for before in counted):
            counted.append(one)
    return found, silent(times_us[-1])


GARBAGE = (None, b"", b"{", b"[]", b"\xff", b'{"camera_id":"a"}')

_letters = st.sampled_from("LLMHSS?")
_cameras = st.sampled_from("aab")
_finish = st.tuples(
    st.just("finish"),
    _cameras,
    st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4, 7, 100, -1, -3]),
    _letters,
    st.sampled_from([None] * 8 + [b"", b"x", b"-1", b"7", b"9" * 30, b"%d" % end_us(3)]),
)
_pause = st.tuples(
    st.just("pause"), st.sampled_from([30, 90, 90, 90, 400, 2000, 3700, 3700, 4 * 3600, 90_000]), st.booleans()
)
_again = st.tuples(st.just("again"), st.integers(1, 5))
_garbage = st.tuples(st.just("garbage"), st.sampled_from(GARBAGE))


def written(plan: Iterable[tuple[object, ...]]) -> Writer:
    """What a plan leads to."""
    writer = Writer()
    for what, *how in plan:
        if what == "finish":
            writer.finish(*how)  # type: ignore[arg-type]
        elif what == "pause":
            writer.let_pass(how[0], is_alive=how[1])  # type: ignore[arg-type]
        elif what == "again":
            writer.send_again(how[0])  # type: ignore[arg-type]
        else:
            writer.write_garbage(how[0])  # type: ignore[arg-type]
    return writer


_actions = st.one_of(_finish, _finish, _finish, _pause, _again, _garbage)


@st.composite
def writers(draw: st.DrawFn, max_size: int = 40) -> Writer:
    """Logs of two cameras."""
    plan = draw(st.lists(_actions, max_size=max_size))
    note(f"{plan=}")
    return written(plan)
