"""The alerts of one camera: its finished windows in the order of time in, steps out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct, field

from models.alerts import AlertEvent
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.alerts.lifecycle import CauseState, advance, ended_unseen
from trafficapp.alerts.reading import FinishedWindow
from trafficapp.alerts.rules import Cause


class CameraAlerts(Struct, array_like=True, gc=False):
    """Everything known of one camera's alerts.

    Attributes:
        offset: offset of the last record that was applied.
        newest_us: start of the newest window of known level, -1 before the first. A window of unknown level
            is never counted.
        causes: by alert type; one that says nothing is left out.
        newest_end_us: end of the newest window of known level.
        seen_end_us: end of the newest window of any level.
        over_us: when the alerts were over that were ended unseen last, -1 before. Windows that begin before raise none.
        heard_us: when the record of the newest window was written, by the broker's clock; -1 when that is not known.
        windows: how many there were since the camera was away for long, `Absence.lasting_windows` at most.
    """

    offset: int = -1
    newest_us: int = -1
    causes: dict[str, CauseState] = field(default_factory=dict)
    # new fields go to the end: rows that were written without them must stay readable
    newest_end_us: int = -1
    seen_end_us: int = -1
    over_us: int = -1
    heard_us: int = -1
    windows: int = 0

    @property
    def has_open(self) -> bool:
        """Whether there is an alert that is not over."""
        return any(state.open is not None for state in self.causes.values())


@dataclass(frozen=True, slots=True)
class Absence:
    """After how long those who finish windows may have forgotten a camera, and that they told it to be quiet.

    It then comes back without `models.cameras.quiet_cameras.AFTER_QUIET_HEADER`. To take a camera that they still know
    for one that they have forgotten costs no more than the end of an alert; the opposite would take back an end that
    was told.

    Attributes:
        lasting_windows: a camera with fewer windows is forgotten sooner.
        few_us: after how long without windows, by the broker's clock.
        us: likewise, for other cameras.
    """

    lasting_windows: int = 12
    few_us: int = 1800 * MICROSECONDS_PER_SECOND
    us: int = 29 * 86_400 * MICROSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class CameraRules:
    """How windows lead to steps.

    Attributes:
        partition: that the records of the windows stand in.
        is_at_home: whether a camera's windows belong there, by its key.
        causes: what may raise an alert.
        max_gap_us: windows that begin further apart than this are not in a row.
        forget_us: an open alert is over when no window of known level followed the newest one for this long.
        absence: when a camera may have been forgotten by those who finish windows.
    """

    partition: int
    is_at_home: Callable[[bytes], bool]
    causes: tuple[Cause, ...]
    max_gap_us: int
    forget_us: int
    absence: Absence

    def met(self, window: FinishedWindow) -> CameraAlerts:
        """A camera that is not known, or not any more: what it was told to be over, whatever it was, is still over."""
        quiet_us = window.after_quiet_us
        if quiet_us is None or not 0 <= quiet_us <= window.start_us:
            return CameraAlerts()
        return CameraAlerts(seen_end_us=quiet_us, over_us=quiet_us + self.forget_us)

    def is_next(self, camera: CameraAlerts, window: FinishedWindow) -> bool:
        """Whether a window is newer than all before, and none that was sent again."""
        return window.end_us > camera.seen_end_us and window.start_us > camera.newest_us

    def take_in(self, camera: CameraAlerts, offset: int, record_us: int, window: FinishedWindow) -> list[AlertEvent]:
        """Apply the next window of a camera.

        Args:
            camera: changed in place.
            offset: of the window's record.
            record_us: when it was written, by the broker's clock; -1 when that is not known.
            window: itself.

        Returns:
            the steps that it leads to.
        """
        start_us = window.start_us
        steps: list[AlertEvent] = []
        is_unseen = start_us - max(camera.newest_end_us, camera.newest_us) >= self.forget_us
        if self._is_after_quiet(camera, record_us, window) or is_unseen:
            steps = self.end_all(window.row.camera_id, camera)
        if is_unseen:
            camera.causes = {}
        camera.offset, camera.seen_end_us, camera.heard_us = offset, window.end_us, record_us
        camera.windows = min(camera.windows + 1, self.absence.lasting_windows)
        if window.row.congestion_level == "UNKNOWN":
            return steps
        gap = start_us - camera.newest_us > self.max_gap_us
        camera.newest_us, camera.newest_end_us = start_us, window.end_us
        if start_us < camera.over_us:
            # all that was open was told to be over by then: nothing may begin before
            return steps
        return steps + self._advance(camera, window, gap=gap)

    def ends(self, camera_id: str, camera: CameraAlerts) -> list[AlertEvent]:
        """The ends of a camera's open alerts, at the moment that follows from its newest window of known level."""
        ended_us, unseen_seconds = self._ended_us(camera), self.forget_us / MICROSECONDS_PER_SECOND
        steps = []
        for cause in self.causes:
            state = camera.causes.get(cause.alert_type, CauseState())
            step = ended_unseen(cause, state, camera_id, ended_us, unseen_seconds)
            if step is not None:
                steps.append(step)
        return steps

    def end_all(self, camera_id: str, camera: CameraAlerts) -> list[AlertEvent]:
        """End what is open in the same way, and let nothing new begin before that moment."""
        steps = self.ends(camera_id, camera)
        if steps:
            camera.causes, camera.over_us = {}, self._ended_us(camera)
        return steps

    def _ended_us(self, camera: CameraAlerts) -> int:
        return max(camera.newest_end_us, camera.newest_us) + self.forget_us

    def _is_after_quiet(self, camera: CameraAlerts, record_us: int, window: FinishedWindow) -> bool:
        """Whether it was told, before this window, that the camera is quiet."""
        absence = self.absence
        long_us = absence.few_us if camera.windows < absence.lasting_windows else absence.us
        was_away = 0 <= camera.heard_us <= record_us - long_us
        if was_away:
            # so it was, but those who told it may have forgotten the camera meanwhile
            camera.windows = 0
        return was_away or window.after_quiet_us == camera.seen_end_us

    def _advance(self, camera: CameraAlerts, window: FinishedWindow, *, gap: bool) -> list[AlertEvent]:
        steps = []
        partition = None if self.is_at_home(window.key) else self.partition
        for cause in self.causes:
            state = camera.causes.pop(cause.alert_type, None) or CauseState()
            step = advance(cause, state, window.row, window.start_us, window.end_us, gap=gap, partition=partition)
            if not state.is_idle:
                camera.causes[cause.alert_type] = state
            if step is not None:
                steps.append(step)
        return steps
