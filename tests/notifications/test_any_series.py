"""What must hold whatever a road does, in whatever runs its observations come."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.notifications.roads import BEGIN_US, MINUTE_US, drive, raised, road
from trafficapp.notifications.conditions import RoadCondition
from trafficapp.notifications.notices import Notice, OpenNotices, RoadNotices, event_id_of
from trafficapp.notifications.rules import rules_of
from trafficapp.settings import NotificationSettings

speeds = st.sampled_from([0.0, 6, 12, 14.9, 15, 16, 18, 24, 25, 30, 40, 50, 51, 90])


@st.composite
def series(draw: st.DrawFn) -> list[RoadCondition]:
    """A road that flaps; now and then nothing, or nothing of today, is predicted."""
    drawn = draw(st.lists(st.tuples(speeds, st.floats(0, 10), speeds, st.sampled_from("mmmt-")), max_size=60))
    found = drive([speed for speed, *_ in drawn], draw(st.sampled_from([1, 4, 5, 12])))
    return [
        msgspec.structs.replace(
            one,
            jam_factor=jam,
            predicted_kmh=None if by == "-" else (ahead, 40.0, 40.0),
            predicted_by={"m": "model", "t": "time_of_day", "-": None}[by],
        )
        for one, (_, jam, ahead, by) in zip(found, drawn, strict=True)
    ]


@given(series(), st.integers(1, 3), st.integers(1, 4))
def test_a_road_is_told_of_once_between_two_calm_times(
    roads: list[RoadCondition], raise_observations: int, calm: int
) -> None:
    settings = NotificationSettings(raise_observations=raise_observations, calm_observations=calm)
    told = raised(roads, raise_observations=raise_observations, calm_observations=calm)
    for alert_type, rule in rules_of(settings).items():
        needed = raise_observations
        verdicts = [(one.observed_at_us, verdict.state) for one in roads if (verdict := rule(one)) is not None]
        mine = [notice for notice in told if notice.alert_type == alert_type]
        at = [next(i for i, (us, _) in enumerate(verdicts) if _is_of(notice, us)) for notice in mine]
        for here in at:
            assert {state for _, state in verdicts[here - needed + 1 : here + 1]} == {"raised"}
        for earlier, later in pairwise(at):
            states = [state for _, state in verdicts[earlier + 1 : later]]
            assert any(set(states[i : i + calm]) == {"calm"} for i in range(len(states) - calm + 1))
        if not at:
            states = [state for _, state in verdicts]
            assert not any(set(states[i : i + needed]) == {"raised"} for i in range(len(states) - needed + 1))


@given(series(), st.data())
def test_runs_and_repeats_do_not_matter(roads: list[RoadCondition], data: st.DataObject) -> None:
    at_once = raised(roads, raise_observations=2)
    rules, notices, told = RoadNotices(NotificationSettings()), OpenNotices(), list[Notice]()
    position = 0
    while position < len(roads):
        # a crash loses what was judged in memory; the state row is read again and the run is repeated
        until = data.draw(st.integers(position + 1, len(roads)))
        stored, repeats = msgspec.json.encode(notices), data.draw(st.integers(1, 2))
        for _ in range(repeats):
            notices = msgspec.json.decode(stored, type=OpenNotices)
            for one in roads[position:until]:
                new, notices = rules.judge(one, notices)
                told += new
        position = until
    assert list(dict.fromkeys(told)) == at_once
    # what is there already changes nothing
    assert [rules.judge(one, notices) for one in roads] == [([], notices)] * len(roads)


@given(series())
def test_the_newest_observation_may_be_judged_again_with_a_prediction(roads: list[RoadCondition]) -> None:
    apart = [
        one for whole in roads for one in (msgspec.structs.replace(whole, predicted_kmh=None, predicted_by=None), whole)
    ]
    assert sorted(map(repr, raised(apart))) == sorted(map(repr, raised(roads)))


def test_a_quiet_road_takes_little_room() -> None:
    rules, notices = RoadNotices(NotificationSettings()), OpenNotices()
    _, notices = rules.judge(road(speeds_before=[(BEGIN_US - MINUTE_US, 50.0)]), notices)
    assert len(msgspec.json.encode(notices)) < 100


def _is_of(notice: Notice, observed_at_us: int) -> bool:
    return notice.event_id == event_id_of(notice.alert_type, notice.road_id, observed_at_us)
