"""How an alert of one cause lives: windows in, steps out."""

from __future__ import annotations

from uuid import UUID, uuid5

from msgspec import Struct, field

from models.alerts import AlertAction, AlertEvent, RuleValue, Severity
from models.cameras.window_rows import Level, WindowRow
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.alerts import wording
from trafficapp.alerts.rules import LEVEL_RANK, SEVERITY_RANK, Cause, Trigger

#: Ids of alerts are drawn from it; another one would give every alert a twin after the next crash.
_NAMESPACE = UUID("6b9ff1a4-7d0e-5c0b-9a53-5d7f3c1b8e42")

#: `OpenAlert.alarm_us` of an alert that people are not told of yet.
_NO_ALARM = -1


class Streak(Struct, array_like=True, gc=False):
    """Windows in a row for which a trigger held.

    Attributes:
        windows: how many.
        since_us: begin of the first one.
        peak_score: their highest congestion score.
    """

    windows: int = 0
    since_us: int = 0
    peak_score: float = 0.0


class Seen(Struct, array_like=True, frozen=True, gc=False):
    """What is shown of a window in a step; the fields are those of `WindowRow`."""

    congestion_level: Level | None = None
    congestion_score: float | None = None
    vehicle_count: int | None = None
    avg_speed_kmh: float | None = None
    stopped_ratio: float | None = None
    queue_length: int | None = None


class OpenAlert(Struct, array_like=True, gc=False):
    """An alert that is not over; the fields are those of `AlertEvent`, as they were told last.

    Attributes:
        told_us: end of the window of its newest step.
        not_calm_us: end of the newest window that was not calm.
        newest: what was seen in the newest window.
        opened_as: the severity it was opened with; None when a version opened it that did not keep that.
        worst_level: the highest level since it was opened; None likewise.
        alarm_us: when it became an alarm that people are told of; -1 while it is none. None when a version opened it
            that told people at once.
    """

    id: str
    severity: Severity
    level: Level
    rule: str
    since_us: int
    triggered_us: int
    peak_score: float
    revision: int = 1
    told_us: int = 0
    not_calm_us: int = 0
    newest: Seen = field(default_factory=Seen)
    # new fields go to the end: rows that were written without them must stay readable
    opened_as: Severity | None = None
    worst_level: Level | None = None
    alarm_us: int | None = None

    @property
    def alarm_at(self) -> str | None:
        """The same as it is told."""
        at_us = self.triggered_us if self.alarm_us is None else self.alarm_us
        return None if at_us < 0 else rfc3339(at_us)


class CauseState(Struct, array_like=True, gc=False):
    """What is known of one cause at one camera.

    Attributes:
        streaks: for each trigger, in their order.
        calm_windows: calm windows in a row while an alert is open.
    """

    streaks: list[Streak] = field(default_factory=list)
    calm_windows: int = 0
    open: OpenAlert | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it says nothing that a state which was never used does not say."""
        return self.open is None and not any(streak.windows for streak in self.streaks)


def alert_id(alert_type: str, camera_id: str, opened: str, partition: int | None = None) -> str:
    """The id of an alert: it follows from the rule, the camera and what opened it.

    Args:
        alert_type: the rule.
        camera_id: the camera.
        opened: what opened it.
        partition: that its windows stand in, when it is not the one that the camera's name leads to. A camera in two
            partitions has alerts in both, which know nothing of each other: theirs must not be one with two lives.
    """
    place = "" if partition is None else f"\n{partition}"
    return str(uuid5(_NAMESPACE, f"{alert_type}\n{opened}\n{camera_id}{place}"))


def advance(
    cause: Cause,
    state: CauseState,
    row: WindowRow,
    start_us: int,
    end_us: int,
    *,
    gap: bool,
    partition: int | None = None,
) -> AlertEvent | None:
    """Apply the next window of known level to a cause.

    Args:
        cause: its rules.
        state: changed in place.
        row: the window, camera-wide.
        start_us: where it begins.
        end_us: where it ends.
        gap: whether it lies too far behind the one before to be in a row with it.
        partition: see `alert_id`.

    Returns:
        the step that it leads to, if any.
    """
    met = _count(cause, state, row, start_us, gap=gap)
    alert = state.open
    if alert is None:
        if met is None:
            return None
        opened = alert_id(cause.alert_type, row.camera_id, rfc3339(start_us), partition)
        return _opened(cause, state, row, end_us, opened, *met)
    alert.peak_score = max(alert.peak_score, row.congestion_score or 0.0)
    alert.newest = _seen(row)
    if alert.worst_level is not None and LEVEL_RANK[row.congestion_level] > LEVEL_RANK[alert.worst_level]:
        alert.worst_level = row.congestion_level
    if cause.is_calm(row):
        state.calm_windows += 1
    else:
        state.calm_windows, alert.not_calm_us = 0, end_us
    if state.calm_windows >= cause.calm_windows:
        return _resolved(cause, state, alert, row.camera_id, end_us)
    trigger = met[0] if met is not None else None
    rises = trigger is not None and SEVERITY_RANK[trigger.severity(row)] > SEVERITY_RANK[alert.severity]
    changed = row.congestion_level != alert.level and end_us - alert.told_us >= cause.update_us
    becomes_alarm = alert.alarm_us == _NO_ALARM and _is_alarm(met, end_us)
    if not rises and not changed and not becomes_alarm:
        return None
    if becomes_alarm:
        alert.alarm_us = end_us
    values: dict[str, RuleValue] = {}
    if rises and met is not None:
        values["windows_in_a_row"], values["risen_from"] = met[1].windows, alert.severity
        alert.severity, alert.rule = met[0].severity(row), met[0].rule
    alert.level = row.congestion_level
    alert.revision += 1
    return _told(cause, alert, row, "updated", end_us, values)


def ended_unseen(
    cause: Cause, state: CauseState, camera_id: str, ended_us: int, unseen_seconds: float
) -> AlertEvent | None:
    """The step that ends an open alert of which nothing was seen for too long; the state stays as it is.

    Args:
        cause: its rules.
        state: of the cause.
        camera_id: of which camera.
        ended_us: when it counts as over.
        unseen_seconds: for how long nothing was seen then.
    """
    alert = state.open
    if alert is None:
        return None
    message = wording.unseen(unseen_seconds, _lasted(alert))
    return _step("resolved", cause, alert, camera_id, alert.revision + 1, ended_us, message, _lasted(alert), {})


def _count(
    cause: Cause, state: CauseState, row: WindowRow, start_us: int, *, gap: bool
) -> tuple[Trigger, Streak] | None:
    """Count the window for every trigger; the strongest one that has enough."""
    if len(state.streaks) != len(cause.triggers):
        state.streaks = [Streak() for _ in cause.triggers]
    score = row.congestion_score or 0.0
    met: tuple[Trigger, Streak] | None = None
    for trigger, streak in zip(cause.triggers, state.streaks, strict=True):
        if not trigger.holds(row):
            streak.windows, streak.since_us, streak.peak_score = 0, 0, 0.0
        elif gap or not streak.windows:
            streak.windows, streak.since_us, streak.peak_score = 1, start_us, score
        else:
            streak.windows += 1
            streak.peak_score = max(streak.peak_score, score)
        if met is None and streak.windows >= trigger.windows:
            met = (trigger, streak)
    return met


def _is_alarm(met: tuple[Trigger, Streak] | None, end_us: int) -> bool:
    """Whether what raises an alert has held for so long that people are told of it."""
    return met is not None and end_us - met[1].since_us >= met[0].on_delay_us


def _opened(
    cause: Cause, state: CauseState, row: WindowRow, end_us: int, opened: str, trigger: Trigger, streak: Streak
) -> AlertEvent:
    state.calm_windows = 0
    alert = state.open = OpenAlert(
        id=opened,
        severity=trigger.severity(row),
        level=row.congestion_level,
        rule=trigger.rule,
        since_us=streak.since_us,
        triggered_us=end_us,
        peak_score=streak.peak_score,
        not_calm_us=end_us,
        newest=_seen(row),
        opened_as=trigger.severity(row),
        worst_level=row.congestion_level,
        alarm_us=end_us if _is_alarm((trigger, streak), end_us) else _NO_ALARM,
    )
    return _told(cause, alert, row, "opened", end_us, {"windows_in_a_row": streak.windows})


def _resolved(cause: Cause, state: CauseState, alert: OpenAlert, camera_id: str, end_us: int) -> AlertEvent:
    values: dict[str, RuleValue] = {"calm_windows_in_a_row": state.calm_windows}
    state.open, state.calm_windows = None, 0
    seconds = _lasted(alert)
    message = wording.ending(cause.calm_windows, cause.calm, seconds)
    return _step("resolved", cause, alert, camera_id, alert.revision + 1, end_us, message, seconds, values)


def _told(
    cause: Cause, alert: OpenAlert, row: WindowRow, action: AlertAction, end_us: int, values: dict[str, RuleValue]
) -> AlertEvent:
    """A step of an alert that goes on."""
    alert.told_us = end_us
    seconds = (end_us - alert.since_us) / MICROSECONDS_PER_SECOND
    if action == "opened":
        message = wording.situation(row, seconds)
    else:
        message = wording.development(row, seconds, alert.severity, alert.opened_as, alert.worst_level)
    return _step(action, cause, alert, row.camera_id, alert.revision, end_us, message, seconds, values)


def _lasted(alert: OpenAlert) -> float:
    """Seconds from its begin to the end of the last window that was not calm."""
    return (max(alert.not_calm_us, alert.triggered_us) - alert.since_us) / MICROSECONDS_PER_SECOND


def _seen(row: WindowRow) -> Seen:
    return Seen(
        row.congestion_level,
        row.congestion_score,
        row.vehicle_count,
        row.avg_speed_kmh,
        row.stopped_ratio,
        row.queue_length,
    )


def _step(
    action: AlertAction,
    cause: Cause,
    alert: OpenAlert,
    camera_id: str,
    revision: int,
    at_us: int,
    message: str,
    seconds: float,
    values: dict[str, RuleValue],
) -> AlertEvent:
    seen = alert.newest
    return AlertEvent(
        id=alert.id,
        action=action,
        revision=revision,
        severity=alert.severity,
        alert_type=cause.alert_type,
        camera_id=camera_id,
        title=wording.title(
            cause.alert_type, alert.severity, camera_id, seen.congestion_level if action == "updated" else None
        ),
        message=message,
        congestion_level=seen.congestion_level,
        congestion_score=seen.congestion_score,
        since=rfc3339(alert.since_us),
        triggered_at=rfc3339(alert.triggered_us),
        updated_at=rfc3339(at_us),
        rule=alert.rule,
        values={
            "vehicle_count": seen.vehicle_count,
            "avg_speed_kmh": seen.avg_speed_kmh,
            "stopped_ratio": seen.stopped_ratio,
            "queue_length": seen.queue_length,
            "duration_seconds": seconds,
            "peak_congestion_score": alert.peak_score,
            **values,
        },
        resolved_at=rfc3339(at_us) if action == "resolved" else None,
        alarm_at=alert.alarm_at,
    )
