"""The health of roads, stations and vehicles: which of their readings to believe, and what is told of it.

A pure function of the readings and of the partition's clock, with a row for each source. One alert a source, over when
no rule has a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

import msgspec
from msgspec import Struct, field

from models.quality.sources import Reason, SourceHealth, SourceKind, SourceReading
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.feeds.rules import MakeRules, Told, When
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.quality.doubts import Doubt, count_by, doubt, first_reason, source_alert
from trafficapp.quality.partition import SOURCE_HEALTH
from trafficapp.quality.readings import MINUTE_US, Kind, Series, is_calm, is_missed, signs_of, silence_of
from trafficapp.settings import Settings
from trafficapp.settings.quality import ReadingSettings

_HOUR_US = 60 * MINUTE_US
#: How often it is looked who is silent.
_LOOK_US = 30 * MICROSECONDS_PER_SECOND
#: The first one that is there is told.
_ORDER: tuple[Reason, ...] = ("silent", "clock_drift", "out_of_bounds", "jumps", "stuck")
_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)


class Source(Struct, array_like=True):
    """What is remembered of a source: its readings, and what is held against it.

    Attributes:
        first_us: time of the first reading.
        healthy_since_us: since when nothing is.
        told_us: time of the reading it was told with last.
        alerted_us: when the open alert was raised; 0: none is open.
        hour: number of the hour that is being counted.
        counts: of this hour and of the one before: readings, those without doubt, those in time.
    """

    series: Series
    first_us: int
    healthy_since_us: int = 0
    told_us: int = 0
    alerted_us: int = 0
    doubts: dict[Reason, Doubt] = field(default_factory=dict)
    hour: int = 0
    counts: tuple[int, int, int] = (0, 0, 0)
    counts_before: tuple[int, int, int] = (0, 0, 0)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Source).decode
_encode_json = msgspec.json.Encoder().encode


class CitySources:
    """The sources of a partition, a `trafficapp.feeds.rules.PartitionRules`.

    Args:
        settings: the rules in numbers.
        rows: that were remembered.
    """

    def __init__(self, settings: ReadingSettings, rows: Mapping[bytes, bytes]) -> None:
        self._settings = settings
        self.sources = {key.decode(): _decode(row) for key, row in sorted(rows.items())}
        self._changed: dict[str, None] = {}
        self._kinds: dict[SourceKind, Kind] = {}
        self._minute = -1
        self._looked = -1

    def apply(self, message: SourceReading, when: When) -> Iterable[Told]:
        """Take a reading in; one that is not newer than the newest of its source is a repeat, or late."""
        name = f"{message.kind}:{message.source_id}"
        source = self.sources.get(name)
        if source is None:
            source = self.sources[name] = Source(Series.of(message), message.time_us)
            self._count(source, message)
            self._changed[name] = None
            return
        if message.time_us <= source.series.time_us:
            return
        self._changed[name] = None
        if (minute := message.record_us // MINUTE_US) != self._minute:
            self._minute = minute
            self._compare(message.record_us)
        signs = dict(signs_of(source.series, message, self._kinds, self._settings))
        yield from self._judged(name, source, message.time_us, signs)
        self._count(source, message)
        yield from self._tell(name, source, message.time_us)

    def tick(self, clock_us: int) -> Iterable[Told]:
        """Look who is silent, and forget who was for long."""
        if (look := clock_us // _LOOK_US) == self._looked:
            return
        self._looked = look
        self._compare(clock_us)
        forgotten_us = clock_us - round(self._settings.forget_hours * _HOUR_US)
        for name, source in list(self.sources.items()):
            if source.series.record_us < forgotten_us:
                self._changed[name] = None
                del self.sources[name]
                if source.alerted_us:
                    yield self._alert(name, source, clock_us, "it told nothing any more and is forgotten", is_over=True)
            elif "silent" not in source.doubts and is_missed(source.series, clock_us):
                self._changed[name] = None
                silent = silence_of(source.series, self._kinds[source.series.kind], _LOOK_US, self._settings)
                if silent is not None:
                    # by the time of its own clock, as all that is told of it
                    at_us = max(source.series.time_us + clock_us - source.series.record_us, source.series.time_us)
                    source.doubts["silent"] = Doubt(at_us, at_us, silent)
                    yield from self._alert_steps(name, source, at_us)
                    yield from self._tell(name, source, at_us, became=True)

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Sources that changed."""
        changed, self._changed = self._changed, {}
        for name in changed:
            source = self.sources.get(name)
            yield name.encode(), None if source is None else _encode(source)

    def _compare(self, now_us: int) -> None:
        series: dict[SourceKind, list[Series]] = {kind: [] for kind in _KINDS}
        for source in self.sources.values():
            series[source.series.kind].append(source.series)
        self._kinds = {kind: Kind(found, now_us) for kind, found in series.items()}

    def _judged(self, name: str, source: Source, at_us: int, signs: Mapping[Reason, str]) -> Iterator[Told]:
        def is_over(known: Doubt, reason: Reason) -> bool:
            return is_calm(known, reason, at_us, self._settings)

        if doubt(source, at_us, signs, _ORDER, is_over):
            yield from self._alert_steps(name, source, at_us)
            yield from self._tell(name, source, at_us, became=True)

    @staticmethod
    def _count(source: Source, reading: SourceReading) -> None:
        count_by(source, reading.record_us // _HOUR_US)
        readings, valid, timely = source.counts
        in_time = reading.record_us - reading.time_us <= MINUTE_US
        source.counts = readings + 1, valid + (not source.doubts), timely + in_time

    def _tell(self, name: str, source: Source, at_us: int, *, became: bool = False) -> Iterator[Told]:
        """How a source is, when that changed or was not told for a while."""
        if not became and at_us - source.told_us < self._settings.told_seconds * MICROSECONDS_PER_SECOND:
            return
        source.told_us = at_us
        reason, series = _reason(source), source.series
        found = None if reason is None else source.doubts[reason]
        readings, valid, timely = map(sum, zip(source.counts, source.counts_before, strict=True))
        since_us = max((source.hour - 1) * _HOUR_US, source.first_us)
        due = max((series.record_us - since_us) / series.gap_us, 1.0) if series.gap_us else 1.0
        health = SourceHealth(
            source_id=name,
            kind=series.kind,
            camera_id=None,
            lane_id=None,
            state="healthy" if found is None else "unhealthy",
            reason=reason,
            since=rfc3339((source.healthy_since_us or source.first_us) if found is None else found.since_us),
            evidence="no rule has a doubt" if found is None else found.evidence,
            completeness=round(min(readings / due, 1.0), 4),
            validity=round(valid / readings, 4) if readings else 0.0,
            timeliness=round(timely / readings, 4) if readings else 0.0,
            timestamp=rfc3339(at_us),
        )
        yield Told(SOURCE_HEALTH, name.encode(), _encode_json(health))

    def _alert_steps(self, name: str, source: Source, at_us: int) -> Iterator[Told]:
        reason = _reason(source)
        if reason is not None and not source.alerted_us:
            source.alerted_us = at_us
            yield self._alert(name, source, at_us, f"{reason}: {source.doubts[reason].evidence}", is_over=False)
        elif reason is None and source.alerted_us:
            yield self._alert(name, source, at_us, "no rule has a doubt any more", is_over=True)
            source.alerted_us = 0

    @staticmethod
    def _alert(name: str, source: Source, at_us: int, message: str, *, is_over: bool) -> Told:
        kind, _, source_id = name.partition(":")
        opened_us, at_us = source.alerted_us, max(at_us, source.alerted_us)
        alert = source_alert(name, kind, source_id, message, opened_us=opened_us, at_us=at_us, is_over=is_over)
        return Told(QUALITY_ALERTS, name.encode(), _encode_json(alert))


def _reason(source: Source) -> Reason | None:
    return first_reason(source, _ORDER)


def make_rules(settings: Settings) -> MakeRules:
    """What makes the rules of a partition."""
    return lambda _, rows: CitySources(settings.readings, rows)
