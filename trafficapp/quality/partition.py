"""All cameras of a partition and their lanes: windows in; how far each is to be trusted, and alerts, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct, field

from models.quality.sources import ObservedWindow, Reason, SourceHealth
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.feeds.rules import MakeRules, Told, When
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.quality.cameras import CameraRules, CameraSigns
from trafficapp.quality.doubts import Doubt, count_by, doubt, first_reason, source_alert
from trafficapp.quality.lanes import LaneRules, LaneSigns
from trafficapp.settings import Settings
from trafficapp.settings.quality import NO_HITS_HOURS, QualitySettings

#: Key: the source. Value: `SourceHealth`.
SOURCE_HEALTH = "source_health"

_HOUR_US = 3600 * MICROSECONDS_PER_SECOND
#: A window that is told later than this after its end is not in time.
_TIMELY_US = 60 * MICROSECONDS_PER_SECOND
#: The first one that is there is told.
_ORDER: tuple[Reason, ...] = (
    *("two_partitions", "one_id", "clock_drift", "id_churn", "impossible_speed", "chatter"),
    *("locked_on", "no_change", "spike", "no_hits"),
)
#: No camera has more; names of lanes that are made up cost nothing then.
_MOST_LANES = 64


class Source(Struct, array_like=True):
    """What is remembered of a camera or lane beside its signs.

    Attributes:
        end_us: end of the newest window, 0: there is none.
        start_us: of the newest window.
        first_us: begin of the first one.
        healthy_since_us: since when nothing speaks against it.
        told_us: end of the window it was told with last.
        doubts: by reason.
        hour: number of the hour that is being counted.
        counts: of this hour and of the one before: windows, those without doubt, those in time.
    """

    end_us: int = 0
    start_us: int = -1
    first_us: int = 0
    healthy_since_us: int = 0
    told_us: int = 0
    doubts: dict[Reason, Doubt] = field(default_factory=dict)
    hour: int = 0
    counts: tuple[int, int, int] = (0, 0, 0)
    counts_before: tuple[int, int, int] = (0, 0, 0)


class Lane(Struct, array_like=True):
    """A lane: how it is, and its signs."""

    source: Source
    signs: LaneSigns


class Camera(Struct, array_like=True):
    """A camera: how it is, its signs, its lanes, and the alert that is open.

    Attributes:
        heard_us: the partition's clock at its newest window.
        alerted_us: when the open alert was raised; 0: none is open.
    """

    source: Source
    signs: CameraSigns
    lanes: dict[int, Lane] = field(default_factory=dict)
    heard_us: int = 0
    alerted_us: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Camera).decode
_encode_json = msgspec.json.Encoder().encode


class PartitionSources:
    """The cameras of a partition, a `trafficapp.feeds.rules.PartitionRules`.

    Args:
        settings: the rules in numbers.
        rows: that were remembered.
    """

    def __init__(self, settings: QualitySettings, rows: Mapping[bytes, bytes]) -> None:
        self._settings = settings
        self._lane_rules, self._camera_rules = LaneRules(settings), CameraRules(settings)
        self.cameras = {key.decode(): _decode(row) for key, row in rows.items()}
        self._changed: dict[str, None] = {}
        self._looked = -1
        self._clears_us: dict[Reason, int] = {
            "chatter": round(settings.chatter_clears_hours * _HOUR_US),
            "locked_on": round(settings.locked_on_clears_hours * _HOUR_US),
            "spike": round(settings.spike_clears_hours * _HOUR_US),
            "no_change": 0,
            "no_hits": 0,
        }
        self._calm_us = round(settings.calm_minutes * 60 * MICROSECONDS_PER_SECOND)

    def apply(self, message: ObservedWindow, when: When) -> Iterable[Told]:
        """Take a window in; one that is not newer than the newest of its source is a repeat."""
        camera = self.cameras.get(message.camera_id)
        if camera is None:
            camera = self.cameras[message.camera_id] = Camera(Source(first_us=message.start_us), CameraSigns())
            self._expect_lanes(camera, message)
        self._changed[message.camera_id] = None
        if message.lane_id is None and message.partition is not None:
            camera.signs.come_in(message.partition, message.start_us)
        camera.heard_us = max(camera.heard_us, when.clock_us)
        lag_us = when.record_us - message.end_us
        if message.lane_id is None:
            yield from self._camera_window(camera, message, lag_us)
        else:
            yield from self._lane_window(camera, message, lag_us)

    def tick(self, clock_us: int) -> Iterable[Told]:
        """Forget cameras that finished nothing for long; an alert about them is over."""
        if (hour := clock_us // _HOUR_US) == self._looked:
            return
        self._looked = hour
        limit_us = clock_us - round(self._settings.forget_hours * _HOUR_US)
        for camera_id in sorted(name for name, camera in self.cameras.items() if camera.heard_us < limit_us):
            camera = self.cameras.pop(camera_id)
            self._changed[camera_id] = None
            if camera.alerted_us:
                yield self._alert(camera_id, camera, "it finished no window any more and is forgotten", is_over=True)

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Cameras that changed."""
        changed, self._changed = self._changed, {}
        for camera_id in changed:
            camera = self.cameras.get(camera_id)
            yield camera_id.encode(), None if camera is None else _encode(camera)

    def _expect_lanes(self, camera: Camera, window: ObservedWindow) -> None:
        """Lanes that the settings name are missed also when they never count."""
        for name in self._settings.lane_classes:
            camera_id, _, lane = name.rpartition("/")
            if camera_id == window.camera_id and lane.isdecimal():
                camera.lanes[int(lane)] = Lane(Source(first_us=window.start_us), LaneSigns())

    def _camera_window(self, camera: Camera, window: ObservedWindow, lag_us: int) -> Iterator[Told]:
        source = camera.source
        if window.start_us <= source.start_us:
            return
        signs = dict(self._camera_rules.signs(camera.signs, window, lag_us, self._signs))
        became = self._became(source, window, signs, lag_us)
        yield from self._tell(window.camera_id, None, source, window, became)
        for lane_id, lane in camera.lanes.items():
            if (missed := self._missed(window, lane_id, lane.source)) is not None:
                lane_became = self._doubt(lane.source, window.end_us, {"no_hits": missed})
                yield from self._tell(window.camera_id, lane_id, lane.source, window, lane_became)
        yield from self._alert_steps(window.camera_id, camera, window.end_us)

    def _signs(self) -> list[CameraSigns]:
        return [camera.signs for camera in self.cameras.values()]

    def _missed(self, window: ObservedWindow, lane_id: int, source: Source) -> str | None:
        kind = self._settings.lane_classes.get(f"{window.camera_id}/{lane_id}", "main")
        hours = self._settings.no_hits_hours.get(kind, NO_HITS_HOURS[kind])
        silent_us = window.end_us - (source.end_us or source.first_us)
        return (
            f"no vehicle for {silent_us / _HOUR_US:.1f} h, while its camera counts"
            if silent_us >= hours * _HOUR_US
            else None
        )

    def _lane_window(self, camera: Camera, window: ObservedWindow, lag_us: int) -> Iterator[Told]:
        lane = camera.lanes.get(window.lane_id or 0)
        if lane is None:
            if len(camera.lanes) >= _MOST_LANES:
                return
            lane = camera.lanes[window.lane_id or 0] = Lane(Source(first_us=window.start_us), LaneSigns())
        source = lane.source
        if window.start_us <= source.start_us:
            return
        if window.start_us == camera.source.start_us:
            camera.signs.lanes += 1
        signs = dict(self._lane_rules.signs(lane.signs, window, source.end_us))
        became = self._became(source, window, signs, lag_us)
        yield from self._tell(window.camera_id, window.lane_id, source, window, became)
        yield from self._alert_steps(window.camera_id, camera, window.end_us)

    def _became(self, source: Source, window: ObservedWindow, signs: Mapping[Reason, str], lag_us: int) -> bool:
        """Take a window and its signs in; whether the state or its reason is another one then."""
        count_by(source, window.start_us // _HOUR_US)
        source.start_us, source.end_us = window.start_us, window.end_us
        became = self._doubt(source, window.end_us, signs)
        windows, valid, timely = source.counts
        source.counts = windows + 1, valid + (not source.doubts), timely + (lag_us <= _TIMELY_US)
        return became

    def _doubt(self, source: Source, at_us: int, signs: Mapping[Reason, str]) -> bool:
        def is_calm(known: Doubt, reason: Reason) -> bool:
            return at_us - known.seen_us >= self._clears_us.get(reason, self._calm_us)

        return doubt(source, at_us, signs, _ORDER, is_calm)

    def _tell(
        self, camera_id: str, lane_id: int | None, source: Source, window: ObservedWindow, became: bool
    ) -> Iterator[Told]:
        """How a source is, when that changed or was not told for a while."""
        if not became and window.end_us - source.told_us < self._settings.told_seconds * MICROSECONDS_PER_SECOND:
            return
        source.told_us = window.end_us
        reason = _reason(source)
        found = None if reason is None else source.doubts[reason]
        windows, valid, timely = map(sum, zip(source.counts, source.counts_before, strict=True))
        since_us = max((source.hour - 1) * _HOUR_US, source.first_us)
        due = max((window.end_us - since_us) / (window.end_us - window.start_us), 1.0)
        name = camera_id if lane_id is None else f"{camera_id}/{lane_id}"
        health = SourceHealth(
            source_id=name,
            kind="camera" if lane_id is None else "lane",
            camera_id=camera_id,
            lane_id=lane_id,
            state="healthy" if found is None else "unhealthy",
            reason=reason,
            since=rfc3339((source.healthy_since_us or source.first_us) if found is None else found.since_us),
            evidence="no rule has a doubt" if found is None else found.evidence,
            completeness=round(min(windows / due, 1.0), 4),
            validity=round(valid / windows, 4) if windows else 0.0,
            timeliness=round(timely / windows, 4) if windows else 0.0,
            timestamp=rfc3339(window.end_us),
        )
        yield Told(SOURCE_HEALTH, name.encode(), _encode_json(health))

    def _alert_steps(self, camera_id: str, camera: Camera, at_us: int) -> Iterator[Told]:
        """One alert for all that is wrong with a camera and its lanes, over when nothing is."""
        wrong = [] if not camera.source.doubts else [f"{_reason(camera.source)}: {_evidence(camera.source)}"]
        wrong += [
            f"lane {lane_id} {_reason(lane.source)}: {_evidence(lane.source)}"
            for lane_id, lane in camera.lanes.items()
            if lane.source.doubts
        ]
        if wrong and not camera.alerted_us:
            camera.alerted_us = at_us
            yield self._alert(camera_id, camera, "; ".join(wrong), is_over=False)
        elif camera.alerted_us and not wrong:
            yield self._alert(camera_id, camera, "no rule has a doubt any more", is_over=True)
            camera.alerted_us = 0

    @staticmethod
    def _alert(camera_id: str, camera: Camera, message: str, *, is_over: bool) -> Told:
        opened_us, at_us = camera.alerted_us, camera.source.end_us
        alert = source_alert(camera_id, "camera", camera_id, message, opened_us=opened_us, at_us=at_us, is_over=is_over)
        return Told(QUALITY_ALERTS, camera_id.encode(), _encode_json(alert))


def _reason(source: Source) -> Reason | None:
    return first_reason(source, _ORDER)


def _evidence(source: Source) -> str:
    reason = _reason(source)
    return "" if reason is None else source.doubts[reason].evidence


def make_rules(settings: Settings) -> MakeRules:
    """What makes the rules of a partition."""
    return lambda _, rows: PartitionSources(settings.quality, rows)
