"""Logs as cameras make them: pictures at regular times, arriving a little later, and a tick each second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import strategies as st

from tests.windows.entries import SECOND_US, T0_US, Entry, Form, Picture, Seen, Tick

#: How much further ahead than what its camera said before a wrong clock is, in milliseconds: enough to be noticed,
#: and within what the broker's time allows.
OUTLIERS_MS = [10_100, 11_000, 12_500, 17_300, 24_000, 31_000, 45_000, 59_900]


@dataclass(frozen=True)
class Outlier:
    """One picture with a wrong clock: messages of one time, and where they stand in a log.

    Attributes:
        at: the entry before which they stand.
        is_first: whether their camera said nothing before.
    """

    at: int
    messages: tuple[Picture, ...]
    is_first: bool

    @property
    def camera_id(self) -> str:
        return self.messages[0].camera_id

    @property
    def window_us(self) -> int:
        return self.messages[0].time_us // (5 * SECOND_US) * (5 * SECOND_US)


def with_ticks(log: Sequence[Picture], interval_ms: int = 1000, end_s: int = 0) -> list[Entry]:
    """A log with the ticks of a worker that reads it to the end all the time, from a second before it begins."""
    first, last = log[0].record_ms - 1000, log[-1].record_ms + end_s * 1000
    ticks = [Tick(at_ms) for at_ms in range(first, last + 1, interval_ms)]
    everything = [(one.record_ms, 0, number, one) for number, one in enumerate(ticks)]
    everything += [(one.record_ms, 1, number, one) for number, one in enumerate(log)]  # type: ignore[misc]
    return [one for *_, one in sorted(everything, key=lambda one: one[:3])]


@st.composite
def cameras(
    draw: st.DrawFn,
    camera_id: str,
    periods_ms: Sequence[int],
    *,
    delays_ms: Sequence[int] = (0, 0, 200, 1900),
    skews_ms: Sequence[int] = (0, 0, -3000, 4000),
    with_speed: bool = True,
) -> list[Picture]:
    """What one camera sends, in the order of arrival.

    Args:
        camera_id: its name.
        periods_ms: between its pictures, one for each.
        delays_ms: of which a picture takes one to arrive.
        skews_ms: of which its clock is one ahead.
        with_speed: whether every detection has a speed.
    """
    period_ms, skew_ms = draw(st.sampled_from(periods_ms)), draw(st.sampled_from(skews_ms))
    form: Form = draw(st.sampled_from(["nested", "flat", "frame"]))
    now_ms = T0_US // 1000 + draw(st.integers(0, 7)) * 700
    sent = []
    for number in range(draw(st.integers(1, 14))):
        now_ms += period_ms + draw(st.sampled_from([-100, 0, 0, 100]))
        vehicles = draw(st.integers(0, 2)) if form == "frame" else 1
        car = draw(st.sampled_from(["v1", "v2"]))
        speed_kmh = draw(st.sampled_from([3.0, 40.0] if with_speed else [3.0, 40.0, None, None]))
        seen = tuple(Seen(f"{car}{one}", "car", speed_kmh, one, 7.0 * number, 3.0) for one in range(vehicles))
        arrives_ms = now_ms + draw(st.sampled_from(delays_ms))
        time_us = (now_ms + skew_ms) * 1000
        sent.append(Picture(camera_id, time_us, number, seen, form, camera_id.encode(), arrives_ms))
    return sorted(sent, key=lambda one: one.record_ms)


@st.composite
def streams(
    draw: st.DrawFn,
    periods_ms: Sequence[int],
    *,
    delays_ms: Sequence[int] = (0, 0, 200, 1900),
    skews_ms: Sequence[int] = (0, 0, -3000, 4000),
    with_speed: bool = True,
    end_s: int = 80,
) -> list[Entry]:
    """A log of one or two cameras, which are silent at its end."""
    pictures: list[Picture] = []
    for camera_id in draw(st.sampled_from([("a",), ("a", "b")])):
        options = {"delays_ms": delays_ms, "skews_ms": skews_ms, "with_speed": with_speed}
        pictures += draw(cameras(camera_id, periods_ms, **options))
    return with_ticks(sorted(pictures, key=lambda one: one.record_ms), draw(st.sampled_from([700, 1000])), end_s)


@st.composite
def outliers(draw: st.DrawFn, log: Sequence[Entry], *, with_speed: bool = True) -> Outlier:
    """A picture with a wrong clock for a log, at any place of it, as any message, sent once or twice."""
    at = draw(st.integers(1, len(log)))
    camera_id = draw(st.sampled_from(sorted({one.camera_id for one in log if isinstance(one, Picture)})))
    said = [one for one in log if isinstance(one, Picture) and one.camera_id == camera_id]
    before = [one for one in log[:at] if isinstance(one, Picture) and one.camera_id == camera_id]
    record_ms = log[at - 1].record_ms
    # a first picture is ahead of what its camera says then
    newest_us = max(one.time_us for one in before or said[:1])
    time_us = min(newest_us + draw(st.sampled_from(OUTLIERS_MS)) * 1000, (record_ms + 60_000) * 1000)
    form: Form = draw(st.sampled_from(["nested", "flat", "frame"]))
    speed_kmh = 77.0 if with_speed else None
    cars = tuple(
        Seen(f"{car}", "car", speed_kmh, 0, 9.0, 9.0) for car in draw(st.sampled_from([("v10",), ("v10", "v20")]))
    )
    picture = Picture(camera_id, time_us, 999, cars, form, camera_id.encode(), record_ms)
    each = [picture] if form == "frame" else [replace(picture, seen=(car,)) for car in cars]
    return Outlier(at, tuple(each) * draw(st.sampled_from([1, 1, 2])), not before)


def beside(log: Sequence[Entry], outlier: Outlier) -> tuple[list[Entry], list[Entry]]:
    """The log with an outlier, and without it: there the camera repeats itself, as any record ends a silence."""
    before = [one for one in log[: outlier.at] if isinstance(one, Picture) and one.camera_id == outlier.camera_id]
    said: list[Entry] = []
    if before:
        said = [replace(before[-1], record_ms=one.record_ms) for one in outlier.messages]
    log = list(log)
    return (
        log[: outlier.at] + list(outlier.messages) + log[outlier.at :],
        log[: outlier.at] + said + log[outlier.at :],
    )


def steps_us(log: Sequence[Entry]) -> dict[str, int]:
    """By camera, how far apart pictures are that arrive one after the other, at most."""
    times: dict[str, list[int]] = {}
    for one in log:
        if isinstance(one, Picture):
            times.setdefault(one.camera_id, []).append(one.time_us)
    return {
        camera_id: max((abs(after - before) for before, after in pairwise(of_camera)), default=0)
        for camera_id, of_camera in times.items()
    }


def shot(second: float, said_at: float | None = None, *, camera_id: str = "a", cars: int = 1) -> Picture:
    """A picture of a second of the log, in a message of its own: one car at 40 km/h, or a frame of so many.

    Args:
        second: the time that it says.
        said_at: the second in which the broker takes it, when that is another one.
        camera_id: the camera.
        cars: how many vehicles are seen.
    """
    seen = tuple(Seen(f"car-{number}", "car", 40.0) for number in range(cars))
    record_ms = T0_US // 1000 + round((second if said_at is None else said_at) * 1000)
    form: Form = "nested" if cars == 1 else "frame"
    return Picture(
        camera_id, T0_US + round(second * SECOND_US), round(second * 10), seen, form, camera_id.encode(), record_ms
    )


def in_order(*pictures: Picture, end_s: int = 80) -> list[Entry]:
    """Pictures as the broker took them, with ticks each second and a silence at the end."""
    return with_ticks(sorted(pictures, key=lambda one: one.record_ms), end_s=end_s)
