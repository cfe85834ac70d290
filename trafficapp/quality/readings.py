"""Signs that a road, a station or a vehicle of public transport tells what is not so, reading by reading.

The like of the rules for cameras and lanes, for sources that tell one value at a time. A source is compared with itself
and with the others of its kind: what all do at once is no fault of one of them.

========================  ==========================================================================================
``clock_drift``           its readings come later or earlier after they happened than those of the median source, or
                          ever later: the producer's clock
``out_of_bounds``         values that cannot be
``jumps``                 values that cannot follow each other in the time between
``stuck``                 the same value to the last digit for long, while others of its kind change
``silent``                nothing for many times its usual gap, while others of its kind go on
========================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from msgspec import Struct, field

from models.quality.sources import Reason, SourceKind, SourceReading
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.quality.doubts import Doubt
from trafficapp.settings.quality import ReadingSettings

#: Lags are judged over this.
SPAN_US = 600 * MICROSECONDS_PER_SECOND
MINUTE_US = 60 * MICROSECONDS_PER_SECOND
#: A median of fewer sources says little.
_LEAST_SOURCES = 5
#: The slope of lags is that of so many spans.
_SLOPE_SPANS = 6
#: So many of the newest readings are judged together.
_JUDGED = (1 << 10) - 1
#: Weight of the newest gap in the usual one.
_GAP_WEIGHT = 0.1
#: Fewer readings tell no usual gap.
_LEAST_READINGS = 20
_HOUR_US = 3600 * MICROSECONDS_PER_SECOND


class Series(Struct, array_like=True, gc=False):
    """What is remembered of a source.

    Attributes:
        kind: of source.
        time_us: of the newest reading, by its producer's clock.
        record_us: the same by the broker's clock.
        values: of the newest reading.
        same_since_us: since when they are the same.
        same_count: so many readings.
        moves: whether the newest reading is of a source whose values change as a rule.
        regular: whether it tells at even gaps.
        jumps: a bit for each of the newest readings, the newest lowest: 1 cannot follow the one before.
        wrong: likewise: 1 cannot be.
        gap_us: usual gap between readings.
        missed_us: for how long it has been missed, while others of its kind were heard.
        readings: so many, up to what is needed.
        span: number of the ten minutes that are being counted.
        least_lag_us: least time from a reading to its record, in it so far.
        lags_us: of the ten minutes before, the newest last.
    """

    kind: SourceKind
    time_us: int
    record_us: int
    values: tuple[float, ...]
    same_since_us: int
    same_count: int = 1
    moves: bool = True
    regular: bool = True
    jumps: int = 0
    wrong: int = 0
    gap_us: float = 0.0
    missed_us: int = 0
    readings: int = 1
    span: int = -1
    least_lag_us: int = 0
    lags_us: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, reading: SourceReading) -> Series:
        """Of the first reading."""
        return cls(
            reading.kind,
            reading.time_us,
            reading.record_us,
            reading.values,
            reading.time_us,
            moves=reading.moves,
            regular=reading.regular,
            wrong=int(not reading.possible),
            span=reading.record_us // SPAN_US,
            least_lag_us=reading.record_us - reading.time_us,
        )


class Kind:
    """All sources of a kind: what one of them is compared with. Looked at once in a minute of the newest reading."""

    def __init__(self, sources: Iterable[Series], now_us: int) -> None:
        heard = [one for one in sources if now_us - one.record_us <= _HOUR_US]
        self.lags_us = [one.lags_us for one in heard if one.lags_us]
        self._changed_us = [one.same_since_us for one in heard if one.moves]
        self._lately = [now_us - one.record_us <= 3 * max(one.gap_us, MINUTE_US) for one in heard if one.regular]

    def share_changed_since(self, since_us: int) -> float:
        """Of sources whose values change as a rule, the share whose did since a time; 0 of too few."""
        if len(self._changed_us) < _LEAST_SOURCES:
            return 0.0
        return sum(one > since_us for one in self._changed_us) / len(self._changed_us)

    def share_heard(self) -> float:
        """Of sources that tell at even gaps, the share that does; 0 of too few."""
        return sum(self._lately) / len(self._lately) if len(self._lately) >= _LEAST_SOURCES else 0.0

    def usual_lag_us(self, back: int) -> float | None:
        """Median of lags of so many spans ago, 1 the newest; None of too few."""
        lags = [one[-back] for one in self.lags_us if len(one) >= back]
        return median(lags) if len(lags) >= _LEAST_SOURCES else None


def signs_of(
    series: Series, reading: SourceReading, kind_of: Mapping[SourceKind, Kind], settings: ReadingSettings
) -> list[tuple[Reason, str]]:
    """Take a reading in; what speaks against its source, each with its evidence.

    Args:
        series: is changed.
        reading: newer than all before.
        kind_of: what sources are compared with.
        settings: the rules in numbers.
    """
    kind, found = kind_of[reading.kind], list[tuple[Reason, str]]()
    minutes = (reading.time_us - series.time_us) / MINUTE_US
    jump = _jump(series.values, reading.values, minutes, settings.jump_by_kind.get(reading.kind, ()))
    # from or to what cannot be says nothing more
    is_judged = reading.possible and not series.wrong & 1
    series.jumps = (series.jumps << 1 | (is_judged and jump is not None)) & _JUDGED
    series.wrong = (series.wrong << 1 | (not reading.possible)) & _JUDGED
    gap_us = max(reading.record_us - series.record_us, 0)
    series.gap_us = float(gap_us) if series.readings == 1 else series.gap_us + _GAP_WEIGHT * (gap_us - series.gap_us)
    series.readings = min(series.readings + 1, _LEAST_READINGS)
    if reading.values != series.values or not reading.moves:
        series.values, series.same_since_us, series.same_count = reading.values, reading.time_us, 1
    else:
        series.same_count += 1
    series.time_us, series.record_us = reading.time_us, max(reading.record_us, series.record_us)
    series.moves, series.regular, series.missed_us = reading.moves, reading.regular, 0
    if series.wrong.bit_count() >= settings.wrong_readings:
        found.append(("out_of_bounds", f"{reading.told}, which cannot be; {series.wrong.bit_count()} of 10 readings"))
    if series.jumps.bit_count() >= settings.jump_readings:
        found.append(("jumps", f"{jump or reading.told}; {series.jumps.bit_count()} of 10 readings cannot follow"))
    found += _stuck(series, reading, kind, settings)
    found += _drift(series, reading, kind, settings)
    return found


def is_missed(series: Series, clock_us: int) -> bool:
    """Whether a source is later than usual by the partition's clock."""
    return series.regular and series.readings >= _LEAST_READINGS and clock_us - series.record_us > 2 * series.gap_us


def silence_of(series: Series, kind: Kind, passed_us: int, settings: ReadingSettings) -> str | None:
    """Why a source that is missed counts as silent; None when it does not.

    Args:
        series: is changed. Only time in which others were heard counts: an outage of a whole feed makes nobody silent,
            also not those who are the last ones to come back.
        kind: what it is compared with.
        passed_us: since this was asked last.
        settings: the rules in numbers.
    """
    if kind.share_heard() < settings.others_share:
        return None
    series.missed_us += passed_us
    limit_us = max(settings.silent_gaps * series.gap_us, settings.silent_seconds * MICROSECONDS_PER_SECOND)
    if series.missed_us <= limit_us:
        return None
    minutes, usual_s = series.missed_us / MINUTE_US, series.gap_us / MICROSECONDS_PER_SECOND
    return f"nothing for {minutes:.0f} min in which others are heard, usually every {usual_s:.0f} s"


def is_calm(doubt: Doubt, reason: Reason, at_us: int, settings: ReadingSettings) -> bool:
    """Whether a doubt of which there is no sign any more is over."""
    if reason in ("stuck", "silent"):
        return True
    return at_us - doubt.seen_us >= settings.calm_minutes * MINUTE_US


def _jump(before: Sequence[float], after: Sequence[float], minutes: float, limits: Sequence[float]) -> str | None:
    """What cannot have changed so much; limits are of each value, more by as much for each further ten minutes."""
    allowed = 1 + max(minutes, 0) / 10
    for old, new, limit in zip(before, after, limits, strict=False):
        if abs(new - old) > limit * allowed:
            return f"from {old:g} to {new:g} within {minutes:.1f} min"
    return None


def _stuck(
    series: Series, reading: SourceReading, kind: Kind, settings: ReadingSettings
) -> Iterable[tuple[Reason, str]]:
    same_us = reading.time_us - series.same_since_us
    minutes = settings.stuck_minutes.get(reading.kind, 60.0)
    if same_us < minutes * MINUTE_US or series.same_count < settings.stuck_readings:
        return
    # others are to have changed within the second half of that time
    share = kind.share_changed_since(reading.time_us - round(minutes * MINUTE_US / 2))
    if share >= settings.others_share:
        yield "stuck", f"{reading.told} in each reading for {same_us / MINUTE_US:.0f} min, while {share:.0%} change"


def _drift(
    series: Series, reading: SourceReading, kind: Kind, settings: ReadingSettings
) -> Iterable[tuple[Reason, str]]:
    lag_us, span = reading.record_us - reading.time_us, reading.record_us // SPAN_US
    if span <= series.span:
        series.least_lag_us = min(series.least_lag_us, lag_us)
        return
    series.lags_us = [*series.lags_us, series.least_lag_us][-_SLOPE_SPANS:] if span == series.span + 1 else []
    series.span, series.least_lag_us = span, lag_us
    usual_us = kind.usual_lag_us(1)
    if not series.lags_us or usual_us is None:
        return
    drift_s = (series.lags_us[-1] - usual_us) / MICROSECONDS_PER_SECOND
    if abs(drift_s) >= settings.drift_seconds:
        direction = "behind" if drift_s > 0 else "ahead of"
        yield "clock_drift", f"its clock is {abs(drift_s):.0f} s {direction} those of {len(kind.lags_us)} others"
        return
    if len(series.lags_us) < _SLOPE_SPANS:
        return
    steps = [after - before for before, after in zip(series.lags_us, series.lags_us[1:], strict=False)]
    slope_s = sum(steps) / len(steps) / MICROSECONDS_PER_SECOND * 6
    is_one_way = all(one > 0 for one in steps) or all(one < 0 for one in steps)
    if is_one_way and abs(slope_s) >= settings.slope_seconds_an_hour:
        yield "clock_drift", f"its clock goes {abs(slope_s):.0f} s an hour {'slow' if slope_s > 0 else 'fast'}"
