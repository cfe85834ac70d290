"""Any fleet, with lateness, repeats, silence and restarts, leads to what the oracle says."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from models.timestamps import rfc3339
from tests.transit import oracle
from tests.transit.oracle import Event, Limits, S, Said, Step, Tick
from tests.transit.rig import ALERTS, VEHICLES, Rig
from trafficapp.settings.quality import MovementSettings
from trafficapp.settings.transit import TransitSettings

BEGIN = 1_780_000_000
LIMITS = Limits(forget_s=3600, judged=4, jumps=2, calm=3)
SETTINGS = TransitSettings(forget_hours=1)
MOVEMENT = MovementSettings(judged_moves=4, implausible_moves=2, plausible_moves=3)

#: Near each other, within what counts as the same place, and far off.
_LATITUDES = st.sampled_from([44.5, 44.5001, 44.5003, 44.51, 44.9])
_OTHERS = ["broken_down", "end_of_service"]
_ELAPSED = st.sampled_from([0, 1, 4, 30, 100, 121, 299, 301, 650, 3599, 3601])


@st.composite
def fleets(draw: st.DrawFn) -> list[Event]:
    """What happens to three vehicles, whose own clocks are ahead, behind or mixed up."""
    events: list[Event] = []
    clock_s, said = BEGIN, list[Said]()
    for _ in range(draw(st.integers(1, 30))):
        clock_s += draw(_ELAPSED)
        kind = draw(st.sampled_from(["say", "say", "say", "tick", "tick", "repeat", "series"]))
        if kind == "tick":
            events.append(Tick(clock_s * S))
        elif kind == "repeat" and said:
            again = draw(st.sampled_from(said))
            events.append(Said(**{**again.__dict__, "clock_us": clock_s * S}))
        else:
            vehicle, status = draw(st.sampled_from("abc")), draw(st.sampled_from(["in_service"] * 4 + _OTHERS))
            ahead_s = draw(st.sampled_from([0, 0, 0, -200, -5, 300, 1200]))
            for number in range(draw(st.integers(2, 8)) if kind == "series" else 1):
                one = Said(
                    vehicle,
                    (clock_s + ahead_s + 5 * number) * S,
                    clock_s * S,
                    draw(_LATITUDES),
                    11.3,
                    status,
                    draw(st.sampled_from([None, 0, 17])),
                )
                said.append(one)
                events.append(one)
    return events


def step_of(number: int, alert: dict[str, Any]) -> Step:
    return Step(
        number, alert["alert_type"], alert["state"], alert["severity"], alert.get("TIME_SINCE_LAST_UPDATE_SECONDS")
    )


@settings(max_examples=50, deadline=None)
@given(fleets(), st.sets(st.integers(0, 59), max_size=3))
def test_any_fleet_leads_to_what_the_oracle_says(events: list[Event], restarts: set[int]) -> None:
    rig, found = Rig(SETTINGS, MOVEMENT), dict[str, list[Step]]()
    ids: dict[str, list[dict[str, Any]]] = {}
    for number, event in enumerate(events):
        if number in restarts:
            rig.restart()
        for one in rig.take(event):
            if one.topic in ALERTS:
                alert = msgspec.json.decode(one.value or b"")
                found.setdefault(one.key.decode(), []).append(step_of(number, alert))
                ids.setdefault(alert["alert_id"], []).append(alert)
        rig.settle()
    for vehicle in "abc":
        assert found.get(vehicle, []) == oracle.steps(events, vehicle, LIMITS)
        newest = oracle.newest(events, vehicle, LIMITS)
        row, shown = rig.table().get(vehicle), rig.table(VEHICLES).get(vehicle)
        if newest is None:
            assert row is None
        else:
            assert shown is not None
            assert row == {
                "VEHICLE_ID": vehicle,
                "TYPE": "bus",
                "LATITUDE": newest.latitude,
                "LONGITUDE": newest.longitude,
                "PASSENGER_COUNT": newest.passengers,
                "STATUS": newest.status,
                "LAST_UPDATED": rfc3339(newest.at_us),
            }
            assert {name.upper(): shown[name] for name in map(str.lower, row)} == row
            last = {step.rule: step.state for step in found.get(vehicle, [])}
            assert (shown["delayed_since"] is not None) == (last.get("delay", "resolved") != "resolved")
            assert (shown["broken_down_since"] is not None) == (last.get("breakdown", "resolved") != "resolved")
            assert shown["plausible"] == (last.get("implausible_movement", "resolved") == "resolved")
    for steps in ids.values():
        # of one alert: opened first, resolved last, each step with the next number, and the same beginning
        assert [step["revision"] for step in steps] == list(range(len(steps)))
        assert [step["state"] == "opened" for step in steps] == [True] + [False] * (len(steps) - 1)
        assert all(step["state"] != "resolved" for step in steps[:-1])
        assert len({step["opened_at"] for step in steps}) == 1
        assert all(step["resolved_at"] is None or step["resolved_at"] >= step["opened_at"] for step in steps)
