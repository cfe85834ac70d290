"""What the alerts must be, worked out slowly from the windows that were planned; shares no code with the product.

Every question ("how many in a row?") is answered by walking back through all windows of the camera.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

WINDOW_US = 5_000_000
LEVELS = ("LOW", "MODERATE", "HIGH", "SEVERE")

#: Vehicles and their speed, which is the same for all, in a window of each letter. In "?" no speed is known.
TRAFFIC = {"L": (5, 50.0), "M": (20, 30.0), "H": (40, 15.0), "S": (50, 2.0), "?": (7, None)}

Boundaries = tuple[float, float, float]
USUAL: Boundaries = (0.30, 0.55, 0.80)


class Rules(NamedTuple):
    """The settings that the oracle knows, with their defaults; times in microseconds.

    Attributes:
        on_delay_us: people are told of a HIGH level once it has lasted so long without a break; of all else at once.
        few_windows, away_us: a camera with fewer windows that was away for so long may have been forgotten by those who
            finish them.
    """

    severe_windows: int = 1
    high_windows: int = 2
    stopped_windows: int = 12
    calm_windows: int = 6
    max_gap_us: int = 30_000_000
    update_us: int = 30_000_000
    forget_us: int = 240_000_000
    few_windows: int = 12
    away_us: int = 1_800_000_000
    on_delay_us: int = 90_000_000


USUAL_RULES = Rules()

#: How a text says what became of an open alert.
_DEVELOPMENT = re.compile(
    r"(?:[Rr]isen (?P<rise>from \w+ to \w+))?(?:(?:, a|^A)t worst level (?P<worst>\w+))?"
    r"(?:\. |^)\d+ vehicles?, .*now level (?P<now>\w+), .* after it began"
)
_EASED = re.compile(r".*, now level (\w+)")


def told_by(title: str, message: str) -> tuple[str, ...]:
    """What the texts of an update say, as `Step.told`; another message as it is."""
    found, eased = _DEVELOPMENT.fullmatch(message), _EASED.fullmatch(title)
    if found is None:
        return (message,)
    return found["rise"] or "", found["worst"] or "", found["now"], eased[1] if eased else ""


class AnyWindow(Protocol):
    """What is asked of a window of a camera.

    Attributes:
        after_quiet_us, record_us, silences: see `Window`.
    """

    @property
    def start_us(self) -> int:
        """Its begin."""
        ...

    @property
    def end_us(self) -> int:
        """Its end."""
        ...

    @property
    def after_quiet_us(self) -> int | None: ...

    @property
    def record_us(self) -> int: ...

    @property
    def silences(self) -> int: ...

    @property
    def is_known(self) -> bool:
        """Whether there was a speed, so that it has a level."""
        ...

    @property
    def stands(self) -> bool:
        """Whether traffic stands."""
        ...

    @property
    def flows(self) -> bool:
        """Whether most of it moves."""
        ...

    @property
    def score(self) -> float:
        """Its congestion score."""
        ...

    @property
    def level(self) -> int:
        """Place in `LEVELS`."""
        ...

    @property
    def vehicle_count(self) -> int:
        """Distinct vehicles."""
        ...

    @property
    def avg_speed_kmh(self) -> float:
        """Their speed."""
        ...

    @property
    def queue_length(self) -> int:
        """How many of them stood."""
        ...


class Window(NamedTuple):
    """A window of a camera as it was planned.

    Attributes:
        after_quiet_us: end of the window before, if the camera was told to be quiet after it.
        record_us: when its record was written.
        silences: how often it turned out since the window before that the camera had said nothing for a day: what is
            open is then over, and when it turns out once more, all is forgotten.
    """

    start_us: int
    letter: str
    boundaries: Boundaries = USUAL
    after_quiet_us: int | None = None
    record_us: int = 0
    silences: int = 0

    @property
    def end_us(self) -> int:
        """Its end."""
        return self.start_us + WINDOW_US

    @property
    def is_known(self) -> bool:
        """Whether its vehicles have a speed."""
        return self.letter != "?"

    @property
    def stands(self) -> bool:
        """Whether all vehicles stand; else none does."""
        return self.letter == "S"

    @property
    def flows(self) -> bool:
        """The opposite."""
        return not self.stands

    @property
    def vehicle_count(self) -> int:
        """As planned."""
        return TRAFFIC[self.letter][0]

    @property
    def avg_speed_kmh(self) -> float:
        """As planned."""
        speed_kmh = TRAFFIC[self.letter][1]
        assert speed_kmh is not None
        return speed_kmh

    @property
    def queue_length(self) -> int:
        """All vehicles or none."""
        return self.vehicle_count if self.stands else 0

    @property
    def score(self) -> float:
        """The formula of the contract."""
        count, speed_kmh = TRAFFIC[self.letter]
        assert speed_kmh is not None
        return round(0.4 * min(count / 50, 1) + 0.4 * (1 - min(speed_kmh / 60, 1)) + 0.2 * self.stands, 4)

    @property
    def level(self) -> int:
        """Place in `LEVELS`."""
        return sum(self.score >= boundary for boundary in self.boundaries)


class Step(NamedTuple):
    """What a step must say.

    Attributes:
        told: of an update, what its text says of the rise and of the worst level, and the level in its title.
        alarm_us: when people were to be told of the alert; None as long as they are not.
    """

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
    told: tuple[str, ...] = ()
    alarm_us: int | None = None


class _Open(NamedTuple):
    begin: int
    opened: int
    severity: str
    level: int
    revision: int
    told: int
    opened_as: str
    alarm: int | None


def right_steps(
    camera_id: str, windows: Sequence[AnyWindow], rules: Rules = USUAL_RULES, silences_after: int = 0
) -> list[Step]:
    """All steps of a camera's alerts.

    Its windows are cut into chapters, none of which knows anything of another. One ends where alerts that are open are
    over since nothing was seen of them; the next begins with the first window that begins at that moment or later.

    Args:
        camera_id: of the windows.
        windows: in the order of their records.
        rules: the settings.
        silences_after: as `Window.silences`, after the last one.
    """
    causes = (_Cause.congestion(rules), _Cause.stopped_traffic(rules))
    steps: list[Step] = []
    chapter: list[AnyWindow] = []
    before: list[AnyWindow] = []
    over_us = 0

    def is_open() -> bool:
        return any(_is_open(camera_id, chapter, cause, rules) for cause in causes)

    def close() -> None:
        nonlocal over_us
        if is_open():
            over_us = chapter[-1].end_us + rules.forget_us
        for cause in causes:
            steps.extend(_steps_of(camera_id, chapter, cause, rules, unseen=True))
        chapter.clear()

    for window in windows:
        if window.silences and is_open():
            close()
        if window.silences > 1:
            before, over_us = [], 0
            chapter.clear()
        if not before:
            if window.after_quiet_us is not None and window.after_quiet_us <= window.start_us:
                over_us = window.after_quiet_us + rules.forget_us
        elif any(window.end_us <= one.end_us for one in before):
            continue
        else:
            was_told = window.after_quiet_us == before[-1].end_us or _may_be_forgotten([*before, window], rules)
            if was_told and is_open():
                close()
            seen = [one.end_us for one in before if one.is_known]
            if seen and window.start_us - seen[-1] >= rules.forget_us:
                close()
        before.append(window)
        if window.is_known and window.start_us >= over_us:
            chapter.append(window)
    if silences_after:
        close()
    return steps + [step for cause in causes for step in _steps_of(camera_id, chapter, cause, rules)]


def _may_be_forgotten(windows: Sequence[AnyWindow], rules: Rules) -> bool:
    """Whether the last window comes after a long absence of a camera that had few windows since the one before."""
    heard = [window.record_us for window in windows]
    returns = [0]
    for at in range(1, len(windows)):
        was_away = at - returns[-1] < rules.few_windows and heard[at] - heard[at - 1] >= rules.away_us
        if was_away:
            returns.append(at)
    return len(windows) > 1 and returns[-1] == len(windows) - 1


class _Cause(NamedTuple):
    """What raises an alert of one type: severity and how many windows in a row; what is calm; what people wait for."""

    alert_type: str
    raised: Callable[[Sequence[AnyWindow]], tuple[str, int] | None]
    calm: Callable[[AnyWindow], bool]
    delay_us: Callable[[str], int]

    @classmethod
    def congestion(cls, rules: Rules) -> _Cause:
        """Levels."""

        def raised(windows: Sequence[AnyWindow]) -> tuple[str, int] | None:
            for severity, level, needed in (("CRITICAL", 3, rules.severe_windows), ("WARNING", 2, rules.high_windows)):
                in_a_row = _in_a_row(windows, lambda w, level=level: w.level >= level, rules)  # type: ignore[misc]
                if in_a_row >= needed:
                    return severity, in_a_row
            return None

        return cls("congestion", raised, lambda w: w.level == 0, lambda s: rules.on_delay_us if s == "WARNING" else 0)

    @classmethod
    def stopped_traffic(cls, rules: Rules) -> _Cause:
        """Standing vehicles."""

        def raised(windows: Sequence[AnyWindow]) -> tuple[str, int] | None:
            in_a_row = _in_a_row(windows, lambda w: w.stands, rules)
            if in_a_row < rules.stopped_windows:
                return None
            return ("CRITICAL" if windows[-1].level == 3 else "WARNING"), in_a_row

        return cls("stopped_traffic", raised, lambda w: w.flows, lambda _: 0)


def _in_a_row(windows: Sequence[AnyWindow], holds: Callable[[AnyWindow], bool], rules: Rules) -> int:
    """Windows at the end that hold and are not too far apart."""
    count = 0
    for position in range(len(windows) - 1, -1, -1):
        if not holds(windows[position]):
            break
        count += 1
        if position and windows[position].start_us - windows[position - 1].start_us > rules.max_gap_us:
            break
    return count


def _is_open(camera_id: str, windows: Sequence[AnyWindow], cause: _Cause, rules: Rules) -> bool:
    steps = _steps_of(camera_id, windows, cause, rules)
    return bool(steps) and steps[-1].action != "resolved"


def _steps_of(
    camera_id: str, windows: Sequence[AnyWindow], cause: _Cause, rules: Rules, *, unseen: bool = False
) -> list[Step]:
    """The steps of one chapter; what is open at its end is over when nothing more was seen of it."""
    steps: list[Step] = []
    now: _Open | None = None

    def tell(action: str, at: int, alert: _Open, later_us: int = 0) -> None:
        window = windows[at]
        steps.append(
            Step(
                camera_id=camera_id,
                alert_type=cause.alert_type,
                action=action,
                revision=alert.revision,
                severity=alert.severity,
                level=LEVELS[window.level],
                score=window.score,
                since_us=windows[alert.begin].start_us,
                triggered_us=windows[alert.opened].end_us,
                at_us=window.end_us + later_us,
                vehicle_count=window.vehicle_count,
                avg_speed_kmh=window.avg_speed_kmh,
                queue_length=window.queue_length,
                peak_score=max(one.score for one in windows[alert.begin : at + 1]),
                told=text(at, alert) if action == "updated" else (),
                alarm_us=None if alert.alarm is None else windows[alert.alarm].end_us,
            )
        )

    def is_alarm(at: int, found: tuple[str, int] | None) -> bool:
        if found is None:
            return False
        return windows[at].end_us - windows[at - found[1] + 1].start_us >= cause.delay_us(found[0])

    def text(at: int, alert: _Open) -> tuple[str, ...]:
        now, worst = windows[at].level, max(one.level for one in windows[alert.opened : at + 1])
        rise = f"from {alert.opened_as} to {alert.severity}" if alert.opened_as != alert.severity else ""
        return rise, LEVELS[worst] if worst > now else "", LEVELS[now], LEVELS[now] if now < 2 else ""

    for at, window in enumerate(windows):
        found = cause.raised(windows[: at + 1])
        if now is None:
            if found is not None:
                alarm = at if is_alarm(at, found) else None
                now = _Open(at - found[1] + 1, at, found[0], window.level, 1, at, found[0], alarm)
                tell("opened", at, now)
            continue
        since_opened = windows[now.opened + 1 : at + 1]
        if len(since_opened) >= rules.calm_windows and all(map(cause.calm, since_opened[-rules.calm_windows :])):
            tell("resolved", at, now._replace(revision=now.revision + 1))
            now = None
            continue
        severity = "CRITICAL" if found is not None and found[0] == "CRITICAL" else now.severity
        due = window.end_us - windows[now.told].end_us >= rules.update_us
        alarm = at if now.alarm is None and is_alarm(at, found) else now.alarm
        if severity != now.severity or alarm != now.alarm or (due and window.level != now.level):
            now = now._replace(severity=severity, level=window.level, revision=now.revision + 1, told=at, alarm=alarm)
            tell("updated", at, now)
    if unseen and now is not None:
        tell("resolved", len(windows) - 1, now._replace(revision=now.revision + 1), rules.forget_us)
    return steps
