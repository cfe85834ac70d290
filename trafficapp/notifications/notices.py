"""How notifications about a road live: raised once, and not again before the road was calm for a while."""

from __future__ import annotations

from uuid import UUID, uuid5

import msgspec
from msgspec import Struct, field

from models.roads.notifications import NotificationSeverity, NotificationType, RoadNotification
from models.timestamps import rfc3339
from trafficapp.notifications.conditions import RoadCondition
from trafficapp.notifications.rules import Rule, Verdict, rules_of
from trafficapp.settings import NotificationSettings

#: Ids of notifications are drawn from it; another one would give every notification a twin after the next crash.
_NAMESPACE = UUID("3f1d2b60-94c7-5a8e-8a55-0f6c2f7de913")


class Phase(Struct, array_like=True, frozen=True, gc=False):
    """Where a road stands with one type of notification.

    Attributes:
        judged_us: time of the newest observation that was judged.
        raised: observations in a row that were beyond the threshold.
        open: whether it was told and is not over.
        calm: calm observations in a row since.
    """

    judged_us: int = 0
    raised: int = 0
    open: bool = False
    calm: int = 0


class OpenNotices(Struct, array_like=True, frozen=True, gc=False):
    """Where a road stands with all of them; part of the road's state row. New types go behind the others."""

    heavy_congestion: Phase = field(default_factory=Phase)
    sudden_jam: Phase = field(default_factory=Phase)
    severe_traffic: Phase = field(default_factory=Phase)


class Notice(Struct, frozen=True, kw_only=True):
    """A notification that is raised; the fields are those of `models.roads.notifications.RoadNotification`.

    Attributes:
        congestion_event_id: the congestion event that tells of it in its place; None where it is told by itself.
    """

    event_id: str
    timestamp: str
    alert_type: NotificationType
    road_id: str
    road_name: str
    severity: NotificationSeverity
    message: str
    congestion_event_id: str | None = None

    def told(self, affected_routes_count: int) -> RoadNotification:
        """The record of ``traffic-notifications``, or of what is told in its place."""
        return RoadNotification(
            **msgspec.structs.asdict(self),
            affected_routes_count=affected_routes_count,
            folded=self.congestion_event_id is not None,
        )


class RoadNotices:
    """Judges roads.

    Args:
        settings: the thresholds.
    """

    def __init__(self, settings: NotificationSettings) -> None:
        self._settings = settings
        self._rules: dict[NotificationType, Rule] = rules_of(settings)

    def judge(self, road: RoadCondition, notices: OpenNotices) -> tuple[list[Notice], OpenNotices]:
        """Take in an observation of a road, or a prediction that was made from it.

        Observations of a road are given in the order of their times; one that is not newer than what was judged
        changes nothing. So each may be judged as it comes, without a prediction, and the newest again with one.

        Returns:
            what is raised, and where the road stands now.
        """
        raised: list[Notice] = []
        phases: dict[NotificationType, Phase] = {
            "heavy_congestion": notices.heavy_congestion,
            "sudden_jam": notices.sudden_jam,
            "severe_traffic": notices.severe_traffic,
        }
        for alert_type, rule in self._rules.items():
            before = phases[alert_type]
            verdict = rule(road) if road.observed_at_us > before.judged_us else None
            if verdict is None:
                continue
            # nobody waits for a second word that a road is closed
            needed = 1 if road.closed else self._settings.raise_observations
            phases[alert_type], is_new = self._advance(before, verdict, road.observed_at_us, needed)
            if is_new:
                raised.append(_notice(alert_type, road, verdict))
        return raised, OpenNotices(**phases)

    def _advance(self, phase: Phase, verdict: Verdict, observed_at_us: int, needed: int) -> tuple[Phase, bool]:
        """The next phase, and whether a notification is raised."""
        count = phase.raised + 1 if verdict.state == "raised" else 0
        if not phase.open:
            # the count is of no use beyond what is needed, and a row that stays the same is not written again
            return Phase(observed_at_us, min(count, needed), count >= needed, 0), count >= needed
        calm = phase.calm + 1 if verdict.state == "calm" else 0
        return Phase(observed_at_us, 0, calm < self._settings.calm_observations, calm), False


def event_id_of(alert_type: NotificationType, road_id: str, observed_at_us: int) -> str:
    """The id of a notification: it follows from its type, the road and the observation that raised it."""
    return str(uuid5(_NAMESPACE, f"{alert_type}\n{observed_at_us}\n{road_id}"))


def _notice(alert_type: NotificationType, road: RoadCondition, verdict: Verdict) -> Notice:
    return Notice(
        event_id=event_id_of(alert_type, road.road_id, road.observed_at_us),
        timestamp=rfc3339(road.observed_at_us),
        alert_type=alert_type,
        road_id=road.road_id,
        road_name=road.road_name,
        severity=verdict.severity,
        message=verdict.message(),
    )
