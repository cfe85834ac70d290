"""Strategies for logs: everything that real partitions hold, in small."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from hypothesis import strategies as st

from models.timestamps import from_epoch_us, rfc3339
from tests.windows.entries import (
    SECOND_US,
    T0_US,
    UNTRACKED,
    UNTRACKED_OF_SPECIAL,
    Change,
    Entry,
    Limits,
    Nonsense,
    Picture,
    Seen,
    Tick,
    Unreadable,
)

CAMERAS = ("a", "b", "special")

#: Places lie on a grid that gives no speed of exactly 5 or 400 km/h.
GRID_PIXELS = 7.3137

FAULTS = ("unknown_class", "missing_field", "invalid_field", "impossible_speed")

places = st.integers(0, 40).map(lambda step: step * GRID_PIXELS)
seen = st.builds(
    Seen,
    vehicle_id=st.sampled_from(["v1", "v2", "v3", "v4", UNTRACKED, UNTRACKED_OF_SPECIAL]),
    vehicle_class=st.sampled_from(["car", "car", "bus", "truck"]),
    speed_kmh=st.one_of(st.none(), st.integers(0, 160).map(lambda half: half / 2)),
    lane_id=st.one_of(st.none(), st.integers(0, 2)),
    x=places,
    y=places,
)
with_speed = seen.map(lambda one: one if one.speed_kmh is not None else replace(one, speed_kmh=12.5))

_FRAME_WITHOUT_AN_END = b'{"camera_id": "a", "timestamp": 1700000000, "frame_id": 1, "detections": ['

#: Values of which nothing can be read: the reason, and how many detections go with it.
UNREADABLE: list[tuple[bytes | None, str, int]] = [
    (None, "empty", 1),
    (b"", "empty", 1),
    (b"{", "not_json", 1),
    (b"\xff\xfe", "not_json", 1),
    (b"[" * 3_000, "not_json", 1),
    (b"[]", "invalid_field", 1),
    (b'{"camera_id": "a"}', "missing_field", 1),
    (_FRAME_WITHOUT_AN_END[:-1] + b"5}", "invalid_field", 1),
    (b'{"camera_id": "a", "timestamp": "soon", "frame_id": 1, "detections": []}', "invalid_timestamp", 1),
    (b'{"camera_id": "a", "timestamp": -5, "frame_id": 1, "detections": []}', "invalid_timestamp", 1),
    (_FRAME_WITHOUT_AN_END + b"0," * 10_000 + b"0]}", "too_large", 10_001),
]
TOO_LONG = (b'"' + b"x" * (4 << 20) + b'"', "too_large", 1)

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

#: How far a tick may be from the right time: an hour for a wrong clock, or what a worker was held up.
_TICKS_OFF_MS = [0, 0, 0, 0, -700, 900, 4000, 3_600_000, -3_600_000]

#: How far behind and ahead pictures are, in milliseconds: in time, stragglers, clocks that went back; wrong clocks
#: within what the broker allows and beyond.
_BEHIND_MS = [0, 0, 0, 0, 300, 900, 1900, 4200, 8000, 15_000, 40_000]
_AHEAD_MS = [0] * 12 + [6000, 9900, 10_000, 10_100, 12_000, 17_500, 30_000, 45_000, 59_900, 60_000, 61_000, 3_600_000]

#: How long nothing happens between two entries.
_PAUSES_MS = [0, 40, 500, 1100, 2500, 6000, 11_000, 40_000, 3_600_000]


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
def written_times(draw: st.DrawFn, time_us: int) -> str:
    """A time as JSON that is the given microsecond when what is beyond microseconds is cut."""
    kind = draw(st.sampled_from(["text", "text", "seconds", "milliseconds"]))
    beyond = draw(st.sampled_from(["", "0", "9", "999", "5000000"]))
    second, fraction = divmod(time_us, SECOND_US)
    if kind == "text":
        zone = timezone(timedelta(minutes=draw(st.sampled_from([0, 0, 330, -480]))))
        text = from_epoch_us(second * SECOND_US).astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")
        offset = from_epoch_us(time_us).astimezone(zone).isoformat()[-6:]
        zulu = draw(st.sampled_from(["Z", "z", ""])) if offset == "+00:00" else ""
        return f'"{text}.{fraction:06}{beyond}{zulu or offset}"'
    if kind == "seconds":
        return f"{second}.{fraction:06}" if fraction else str(second)
    milliseconds, rest = divmod(time_us, 1000)
    return f"{milliseconds}.{rest:03}" if rest else str(milliseconds)


@st.composite
def pictures(draw: st.DrawFn, now_us: int, cameras: tuple[str, ...] = CAMERAS) -> Picture:
    """A picture of about the given time: most are right, some are behind or ahead."""
    camera_id = draw(st.sampled_from(cameras))
    time_us = now_us + (draw(st.sampled_from(_AHEAD_MS)) - draw(st.sampled_from(_BEHIND_MS))) * 1000
    form = draw(st.sampled_from(["nested", "flat", "frame"]))
    written = None
    if draw(st.integers(0, 4)) == 0:
        edge_us = time_us // (5 * SECOND_US) * (5 * SECOND_US)
        time_us = draw(st.sampled_from([time_us + 1, edge_us, edge_us - 1, edge_us + 1]))
        written = draw(written_times(time_us))
    if draw(st.integers(0, 60)) == 0:
        # as seconds it would be this year; a number of this size is milliseconds, of 1973 and later
        time_us, written = draw(
            st.sampled_from([(253_000_000_000 * SECOND_US, f'"{rfc3339(253_000_000_000 * SECOND_US)}"')])
            | st.sampled_from([(101_000_000_000_000, "101000000000"), (101_000_000_000_000, "101000000000.0")])
        )
    parts = tuple(draw(st.lists(seen, max_size=3))) if form == "frame" else (draw(seen),)
    faulty: tuple[str, ...] = ()
    if form == "frame" and draw(st.integers(0, 3)) == 0:
        faulty = tuple(draw(st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3)))
    return Picture(
        camera_id=camera_id,
        time_us=time_us,
        frame_id=draw(st.integers(0, 5)),
        seen=parts,
        form=form,  # type: ignore[arg-type]
        key=draw(st.sampled_from([camera_id.encode()] * 12 + [b"other"])),
        record_ms=now_us // 1000,
        faulty=faulty,
        written=written,
    )


@st.composite
def entries(draw: st.DrawFn, now_us: int, earlier: list[Entry], cameras: tuple[str, ...] = CAMERAS) -> Entry:
    """One entry of a log, about the given event time."""
    kind = draw(st.integers(0, 19))
    record_ms = now_us // 1000
    if kind < 4:
        stranger = draw(st.sampled_from([{}] * 8 + [{"key": b"a"}, {"value": None}, {"header": b"x"}]))
        return Tick(record_ms + draw(st.sampled_from(_TICKS_OFF_MS)), **stranger)
    if kind == 4:
        value, reason, events = draw(st.sampled_from(UNREADABLE))
        return Unreadable(value, reason, b"a", record_ms, events)
    if kind in (5, 6) and earlier:
        return draw(st.sampled_from(earlier))  # the same message sent again, by a broker whose clock went back
    if kind in (7, 8) and earlier:
        return replace(draw(st.sampled_from(earlier)), record_ms=record_ms)  # and as it is in practice
    if kind == 9:
        return draw(controls(now_us))
    return draw(pictures(now_us, cameras))


@st.composite
def logs(draw: st.DrawFn, max_size: int = 25, cameras: tuple[str, ...] = CAMERAS) -> list[Entry]:
    """A log in which time goes on, mostly; now and then a camera is silent for a while, and ticks tell so."""
    now_us, log = T0_US, list[Entry]()
    for _ in range(draw(st.integers(1, max_size))):
        now_us += draw(st.sampled_from(_PAUSES_MS)) * 1000
        log.append(draw(entries(now_us, log, cameras)))
        if draw(st.integers(0, 11)) == 0:
            seconds = draw(st.integers(1, 20))
            log += silence(now_us // 1000, seconds)
            now_us += seconds * SECOND_US
    return log


@st.composite
def bounded_logs(draw: st.DrawFn) -> tuple[list[Entry], Limits]:
    """A log of many cameras under limits that let few be known, and forget them soon."""
    limits = Limits(
        max_cameras=draw(st.integers(1, 4)),
        lasting_windows=draw(st.integers(1, 3)),
        # longer than a window may stay open, as everywhere
        made_up_us=draw(st.integers(71, 110)) * SECOND_US,
        forget_us=draw(st.integers(111, 180)) * SECOND_US,
    )
    once_only = tuple(f"once-{number}" for number in range(4))
    log, now_us = list[Entry](), T0_US
    for _ in range(draw(st.integers(1, 4))):
        log += [later(entry, now_us // 1000) for entry in draw(logs(10, CAMERAS + once_only))]
        now_us = max(entry.record_ms for entry in log) * 1000
        log += silence(now_us // 1000, draw(st.sampled_from([0, 7, 20, 75, 130, 185, 245])))
        now_us = max(entry.record_ms for entry in log) * 1000
    return log, limits


def later(entry: Entry, begin_ms: int) -> Entry:
    """An entry of a log as if the log had begun at another time; a time that is written in a form of its own stays."""
    shift_ms = begin_ms - T0_US // 1000
    if isinstance(entry, Picture) and entry.written is None:
        return replace(entry, time_us=entry.time_us + shift_ms * 1000, record_ms=entry.record_ms + shift_ms)
    return replace(entry, record_ms=entry.record_ms + shift_ms)


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
