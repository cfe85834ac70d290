"""Notifications about the roads of the city: every fresh observation is judged once, the newest with its prediction."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from models.roads.predictions import RoadPrediction
from models.timestamps import rfc3339
from trafficapp.engine.faults import tell_fault
from trafficapp.forecast.city.roads import CityRoads, Fresh
from trafficapp.notifications.conditions import RoadCondition
from trafficapp.notifications.notices import Notice, OpenNotices, RoadNotices


def judge_fresh(rules: RoadNotices, city: CityRoads, predictions: Iterable[RoadPrediction]) -> list[Notice]:
    """Judge all observations that came since the last round; where each road stands is kept in its state.

    Args:
        rules: the rules.
        city: the roads; told that a round is made only after what is raised has become part of their state.
        predictions: of this round.

    Returns:
        what is raised, in the order of roads and times; with the congestion event that tells of it, if one does. An
        observation that cannot be judged raises nothing.
    """
    predicted = {one.road_id: one for one in predictions}
    raised: list[Notice] = []
    for road_id, standing, fresh in city.unjudged():
        prediction = predicted.get(road_id)
        for one in fresh:
            # an earlier one of a backlog was never the newest when anything was predicted
            said = prediction if one is fresh[-1] else None
            condition = RoadCondition(
                road_id=road_id,
                road_name=one.road_name,
                observed_at_us=one.observed.observed_at_us,
                current_speed_kmh=one.observed.current_speed_kmh,
                free_flow_kmh=one.observed.free_flow_kmh,
                jam_factor=one.observed.jam_factor,
                speeds_before=one.speeds_before,
                predicted_kmh=None if said is None else _speeds(said),
                predicted_by=None if said is None else said.source,
                closed=one.observed.closed,
            )
            try:
                notices, standing = rules.judge(condition, OpenNotices() if one.anew else standing)
            except Exception as error:
                # the observation is in the state and in history already; all that is lost is what it would have raised
                tell_fault(error, f"the observation of {road_id!r} at {rfc3339(one.observed.observed_at_us)}")
                continue
            event = _told_by(one)
            raised += [structs.replace(notice, congestion_event_id=event) for notice in notices] if event else notices
        city.judged(road_id, standing)
    return raised


def _told_by(one: Fresh) -> str | None:
    """The event that tells of an observation; that a road is closed is no congestion, whatever it touches."""
    return None if one.observed.closed else one.event or None


def _speeds(prediction: RoadPrediction) -> tuple[float, float, float]:
    return prediction.predicted_speed_10min, prediction.predicted_speed_20min, prediction.predicted_speed_30min
