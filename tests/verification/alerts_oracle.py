"""What the alerts must be, worked out slowly from the windows that were planned; shares no code with the product.

Every question ("how many in a row?") is answered by walking back through all windows of the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

WINDOW_US = 5_000_000
MAX_GAP_US = 30_000_000
UPDATE_US = 30_000_000
FORGET_US = 240_000_000
LEVELS = ("LOW", "MODERATE", "HIGH", "SEVERE")
SEVERE_WINDOWS, HIGH_WINDOWS, STOPPED_WINDOWS, CALM_WINDOWS = 1, 2, 12, 6

#: Vehicles and their speed, which is the same for all, in a window of each letter.
TRAFFIC = {"L": (5, 50.0), "M": (20, 30.0), "H": (40, 15.0), "S": (50, 2.0)}

Boundaries = tuple[float, float, float]


class Window(NamedTuple):
    """A window of a camera as it was planned."""

    start_us: int
    letter: str
    boundaries: Boundaries

    @property
    def end_us(self) -> int:
        """Its end."""
        return self.start_us + WINDOW_US

    @property
    def stands(self) -> bool:
        """Whether all vehicles stand; else none does."""
        return TRAFFIC[self.letter][1] < 5

    @property
    def score(self) -> float:
        """The formula of the contract."""
        count, speed_kmh = TRAFFIC[self.letter]
        return round(0.4 * min(count / 50, 1) + 0.4 * (1 - min(speed_kmh / 60, 1)) + 0.2 * self.stands, 4)

    @property
    def level(self) -> int:
        """Place in `LEVELS`."""
        return sum(self.score >= boundary for boundary in self.boundaries)


class Step(NamedTuple):
    """What a step must say."""

    camera_id: str
    alert_type: str
    action: str
    revision: int
    severity: str
    level: str
    score: float
    since_us: int
    triggered_us: int
    at_us: int
    vehicle_count: int
    avg_speed_kmh: float
    queue_length: int
    peak_score: float


class _Open(NamedTuple):
    begin: int
    opened: int
    severity: str
    level: int
    revision: int
    told: int


def right_steps(camera_id: str, windows: Sequence[Window]) -> list[Step]:
    """All steps of a camera's alerts."""
    steps = _steps_of(camera_id, windows, "congestion", _congestion, lambda w: w.level == 0)
    return steps + _steps_of(camera_id, windows, "stopped_traffic", _stopped, lambda w: not w.stands)


def _congestion(windows: Sequence[Window]) -> tuple[str, int] | None:
    for severity, level, needed in (("CRITICAL", 3, SEVERE_WINDOWS), ("WARNING", 2, HIGH_WINDOWS)):
        in_a_row = _in_a_row(windows, lambda w, level=level: w.level >= level)  # type: ignore[misc]
        if in_a_row >= needed:
            return severity, in_a_row
    return None


def _stopped(windows: Sequence[Window]) -> tuple[str, int] | None:
    in_a_row = _in_a_row(windows, lambda w: w.stands)
    if in_a_row < STOPPED_WINDOWS:
        return None
    return ("CRITICAL" if windows[-1].level == 3 else "WARNING"), in_a_row


def _in_a_row(windows: Sequence[Window], holds: Callable[[Window], bool]) -> int:
    """Windows at the end that hold and are not too far apart."""
    count = 0
    for position in range(len(windows) - 1, -1, -1):
        if not holds(windows[position]):
            break
        count += 1
        if position and windows[position].start_us - windows[position - 1].start_us > MAX_GAP_US:
            break
    return count


def _steps_of(
    camera_id: str,
    windows: Sequence[Window],
    alert_type: str,
    raised: Callable[[Sequence[Window]], tuple[str, int] | None],
    calm: Callable[[Window], bool],
) -> list[Step]:
    steps: list[Step] = []
    now: _Open | None = None

    def tell(action: str, at: int, alert: _Open, later_us: int = 0) -> None:
        count, speed_kmh = TRAFFIC[windows[at].letter]
        steps.append(
            Step(
                camera_id=camera_id,
                alert_type=alert_type,
                action=action,
                revision=alert.revision,
                severity=alert.severity,
                level=LEVELS[windows[at].level],
                score=windows[at].score,
                since_us=windows[alert.begin].start_us,
                triggered_us=windows[alert.opened].end_us,
                at_us=windows[at].end_us + later_us,
                vehicle_count=count,
                avg_speed_kmh=speed_kmh,
                queue_length=count if windows[at].stands else 0,
                peak_score=max(window.score for window in windows[alert.begin : at + 1]),
            )
        )

    for at, window in enumerate(windows):
        if now is not None and window.start_us - windows[at - 1].end_us >= FORGET_US:
            tell("resolved", at - 1, now._replace(revision=now.revision + 1), FORGET_US)
            now = None
        found = raised(windows[: at + 1])
        if now is None:
            if found is not None:
                now = _Open(at - found[1] + 1, at, found[0], window.level, 1, at)
                tell("opened", at, now)
            continue
        since_opened = windows[now.opened + 1 : at + 1]
        if len(since_opened) >= CALM_WINDOWS and all(map(calm, since_opened[-CALM_WINDOWS:])):
            tell("resolved", at, now._replace(revision=now.revision + 1))
            now = None
            continue
        severity = "CRITICAL" if found is not None and found[0] == "CRITICAL" else now.severity
        due = window.end_us - windows[now.told].end_us >= UPDATE_US
        if severity != now.severity or (due and window.level != now.level):
            now = now._replace(severity=severity, level=window.level, revision=now.revision + 1, told=at)
            tell("updated", at, now)
    return steps
