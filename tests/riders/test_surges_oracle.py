"""Whatever taps come, in whatever order, wherever a process ends: windows, surges and late taps are the oracle's."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.riders.logs import Applied, settings_of
from tests.riders.oracle import SECOND_US, Limits, Oracle, Read, Tap, Tick

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: A Monday, 07:59:30 UTC.
T0_US = 1_794_815_970 * SECOND_US
WEEK_S = 7 * 86_400

ZONES = ("srbj1", "station:s1")
STEPS_S = (0, 0, 0, 0.2, 1, 5, 20, 45, 100, 150, 3600)
OFF_S = (0, 0, 0, 0, 0, -3, -12, -70, -200, 40, 130, 300)


@st.composite
def logs(draw: st.DrawFn) -> list[Tap | Tick | Read]:
    """Taps with repeats and disorder, gaps and clocks that are wrong; ticks between them, and silence at the end."""
    log: list[Tap | Tick | Read] = []
    now_us = T0_US
    clock_us = draw(st.sampled_from([0, T0_US]))
    partitions = draw(st.integers(1, 3))
    behind_us = [draw(st.sampled_from([0, 0, 3, 30, 400])) * SECOND_US for _ in range(partitions)]
    for number in range(draw(st.integers(1, 40))):
        now_us += round(draw(st.sampled_from(STEPS_S)) * SECOND_US)
        what = draw(st.integers(0, 9))
        if what < 2:
            clock_us = max(clock_us, now_us - max(behind_us))
            log.append(Tick(clock_us))
            continue
        if what < 4:
            partition = draw(st.integers(0, partitions - 1))
            log.append(Read(partition, partitions, now_us - behind_us[partition]))
            continue
        partition = draw(st.integers(0, partitions - 1))
        record_us = now_us - behind_us[partition]
        earlier = [one for one in log if isinstance(one, Tap)]
        if earlier and draw(st.integers(0, 5)) == 0:
            again = draw(st.sampled_from(earlier))
            log.append(again._replace(record_us=record_us, clock_us=clock_us, partition=partition))
            continue
        time_us = record_us + round(draw(st.sampled_from(OFF_S)) * SECOND_US)
        event_id = f"e{draw(st.integers(0, 5))}" if draw(st.booleans()) else f"n{number}"
        log.append(Tap(draw(st.sampled_from(ZONES)), event_id, time_us, record_us, clock_us, partition))
    clock_us = max(clock_us, now_us)
    return [*log, *(Tick(clock_us + 30 * second * SECOND_US) for second in range(1, 9))]


def assert_is_the_oracles(log: list[Tap | Tick | Read], limits: Limits, ends: set[int]) -> Applied:
    """Compare; after some entries another process goes on with what was remembered."""
    applied, oracle = Applied(settings_of(limits)), Oracle(limits).read(log)
    for number, entry in enumerate(log):
        applied.apply(entry)
        if number in ends:
            applied.write()
            applied.anew()
    assert sorted(applied.made(), key=str) == sorted(oracle.made, key=str)
    assert applied.opened() == oracle.opened
    assert [number for number, _ in applied.letters] == oracle.late
    assert {letter.reason for _, letter in applied.letters} <= {"late"}
    return applied


@PATIENT
@given(log=logs(), surge_taps=st.integers(0, 3), ends=st.sets(st.integers(0, 45), max_size=6))
def test_windows_surges_and_late_taps_are_the_oracles(
    log: list[Tap | Tick | Read], surge_taps: int, ends: set[int]
) -> None:
    applied = assert_is_the_oracles(log, Limits(surge_taps=surge_taps), ends)
    # every tap is in a window, came again, or has a letter
    taps = sum(isinstance(entry, Tap) for entry in log)
    assert sum(row.tap_count + row.repeated for _, row in applied.windows) + len(applied.letters) == taps


@PATIENT
@given(
    weeks=st.lists(st.lists(st.integers(0, 3599), max_size=6), min_size=1, max_size=7),
    zone=st.sampled_from(["UTC", "Europe/Rome", "Asia/Kolkata", "America/New_York"]),
    factor=st.sampled_from(["1", "1.5", "2", "3.3"]),
    ends=st.sets(st.integers(0, 60), max_size=4),
)
def test_what_is_usual_is_the_oracles(weeks: list[list[int]], zone: str, factor: str, ends: set[int]) -> None:
    limits = Limits(size=900, idle=1000, surge_taps=0, factor=factor, weeks=4, zone=ZoneInfo(zone))
    # seven weeks from the middle of October on: clocks are changed meanwhile
    began_us = 1_791_878_400 * SECOND_US
    log: list[Tap | Tick | Read] = [Read(0, 1, began_us)]
    for week, seconds in enumerate(weeks):
        base_us = began_us + week * WEEK_S * SECOND_US
        for number, second in enumerate(sorted(seconds)):
            time_us = base_us + second * SECOND_US
            log.append(Tap("srbj1", f"{week}-{number}", time_us, time_us, time_us))
        log.append(Tick(base_us + 6000 * SECOND_US))
        log.append(Tick(base_us + 9000 * SECOND_US))
    assert_is_the_oracles(log, limits, ends)
