"""Strategies for logs: everything that real partitions hold, in small."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.windows.entries import SECOND_US, T0_US, Change, Entry, Nonsense, Picture, Seen, Tick, Unreadable

CAMERAS = ("a", "b", "special")

#: Places lie on a grid that gives no speed of exactly 5 or 400 km/h.
GRID_PIXELS = 7.3137

places = st.integers(0, 40).map(lambda step: step * GRID_PIXELS)
seen = st.builds(
    Seen,
    vehicle_id=st.sampled_from(["v1", "v2", "v3", "v4"]),
    vehicle_class=st.sampled_from(["car", "car", "bus", "truck"]),
    speed_kmh=st.one_of(st.none(), st.integers(0, 160).map(lambda half: half / 2)),
    lane_id=st.one_of(st.none(), st.integers(0, 2)),
    x=places,
    y=places,
)
with_speed = seen.map(lambda one: one if one.speed_kmh is not None else replace(one, speed_kmh=12.5))

_UNREADABLE = [
    (None, "empty"),
    (b"", "empty"),
    (b"{", "not_json"),
    (b"\xff\xfe", "not_json"),
    (b"[" * 3_000, "not_json"),
    (b"[]", "invalid_field"),
    (b'{"camera_id": "a"}', "missing_field"),
    (b'{"camera_id": "a", "timestamp": 1700000000, "frame_id": 1, "detections": 5}', "invalid_field"),
    (b'{"camera_id": "a", "timestamp": "soon", "frame_id": 1, "detections": []}', "invalid_timestamp"),
    (b'{"camera_id": "a", "timestamp": -5, "frame_id": 1, "detections": []}', "invalid_timestamp"),
]


_NO_CONTROLS = [
    b"{",
    b"[]",
    b"{}",
    b'{"thresholds": null}',
    b'{"thresholds": {"version": 9, "effective_from_us": 0, "moderate": 0.9, "high": 0.5, "severe": 0.1}}',
    b'{"thresholds": {"version": 9, "effective_from_us": 0, "moderate": 0.1, "high": 0.5, "severe": 1.0}}',
    b'{"thresholds": {"version": -9, "effective_from_us": 0, "moderate": 0.1, "high": 0.5, "severe": 0.9}}',
    b'{"thresholds": {"version": 1e400, "effective_from_us": 0, "moderate": 0.1, "high": 0.5, "severe": 0.9}}',
    b'{"thresholds": {"version": 9, "moderate": 0.1, "high": 0.5, "severe": 0.9}}',
]


@st.composite
def controls(draw: st.DrawFn, now_us: int) -> Change | Nonsense:
    """Other boundaries from about now on, in any order of versions; or a record that sets none."""
    # a clock elsewhere may be wrong; it must not move the partition's
    record_ms = now_us // 1000 + draw(st.sampled_from([0, 0, 3_600_000]))
    if draw(st.integers(0, 3)) == 0:
        return Nonsense(draw(st.sampled_from(_NO_CONTROLS)), record_ms)
    version = draw(st.integers(1, 6))
    # one version always says the same; a later one may hold from earlier on
    effective_from_us = T0_US + version * 4 % 7 * 5 * SECOND_US
    boundaries = (version / 20, version / 20 + 0.1, version / 20 + 0.3)
    return Change(version, effective_from_us, boundaries, record_ms)


@st.composite
def entries(draw: st.DrawFn, now_us: int, earlier: list[Entry]) -> Entry:
    """One entry of a log, about the given event time."""
    kind = draw(st.integers(0, 19))
    record_ms = now_us // 1000
    if kind < 4:
        return Tick(record_ms + draw(st.sampled_from([0, 0, 0, -700, 4000])))
    if kind == 4:
        value, reason = draw(st.sampled_from(_UNREADABLE))
        return Unreadable(value, reason, b"a", record_ms)
    if kind in (5, 6) and earlier:
        return draw(st.sampled_from(earlier))  # the same message sent again
    if kind == 7:
        return draw(controls(now_us))
    camera_id = draw(st.sampled_from(CAMERAS))
    back_us = draw(st.sampled_from([0, 0, 0, 300, 900, 1900, 4200, 8000, 15_000])) * 1000
    ahead_us = draw(st.sampled_from([0] * 12 + [59, 61, 3600])) * SECOND_US
    form = draw(st.sampled_from(["nested", "flat", "frame"]))
    parts = tuple(draw(st.lists(seen, max_size=3))) if form == "frame" else (draw(seen),)
    return Picture(
        camera_id=camera_id,
        time_us=now_us - back_us + ahead_us,
        frame_id=draw(st.integers(0, 5)),
        seen=parts,
        form=form,  # type: ignore[arg-type]
        key=draw(st.sampled_from([camera_id.encode()] * 12 + [b"other"])),
        record_ms=record_ms,
        faulty_parts=draw(st.sampled_from([0, 0, 0, 2])) if form == "frame" else 0,
    )


@st.composite
def logs(draw: st.DrawFn, max_size: int = 25) -> list[Entry]:
    """A log in which time goes on, mostly."""
    now_us, log = T0_US, list[Entry]()
    for _ in range(draw(st.integers(1, max_size))):
        now_us += draw(st.sampled_from([0, 40, 500, 1100, 2500, 6000, 40_000])) * 1000
        log.append(draw(entries(now_us, log)))
    return log


@st.composite
def shuffled_within_lateness(draw: st.DrawFn) -> list[Picture]:
    """Detections with a speed, each at most the allowed lateness behind one that arrived before it."""
    arrivals = []
    for number in range(draw(st.integers(1, 40))):
        time_us = T0_US + draw(st.integers(0, 30_000)) * 1000
        delay_us = draw(st.integers(0, 2000)) * 1000
        camera_id = draw(st.sampled_from(CAMERAS))
        picture = Picture(
            camera_id, time_us, number, (draw(with_speed),), "nested", camera_id.encode(), (time_us + delay_us) // 1000
        )
        arrivals.append((time_us + delay_us, number, picture))
    return [picture for _, _, picture in sorted(arrivals, key=lambda one: one[:2])]


def silence(after_ms: int, seconds: int = 20) -> list[Tick]:
    """Ticks, one a second, that close every open window."""
    return [Tick(after_ms + 1000 * second) for second in range(seconds + 1)]
