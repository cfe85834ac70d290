"""Messages of the road-speed feed: read, checked, completed.

Every message of ``traffic-raw`` becomes an observation or is refused with a reason; a wrong one must never become a
weight of the graph. Nothing here looks at the wall clock: times are judged by the record's own timestamp, so that a
replay decides the same. It is the broker's clock where we made the topic, which stamps records as it appends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from models.cameras.detections import Rejected, event_time_us
from models.roads.current import RoadCongestionLevel, RoadObservation
from models.roads.messages import RoadMessage, decode_road_message
from models.timestamps import from_epoch_us, rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.roads.road_edges import CoveredEdge, LonLat
from trafficapp.settings import RoadSettings


class CheckedMessage(Struct, frozen=True, gc=False):
    """A message whose values are possible.

    Attributes:
        time_us: when the speed was measured, microseconds since the epoch.
        record_us: time of the record.
        line: the road as (longitude, latitude) in driving direction; may be empty.
    """

    message: RoadMessage
    time_us: int
    record_us: int
    line: list[LonLat]


#: No road that is open is slower when it is empty. It also keeps ``speed_ratio`` a number that people can read.
LEAST_FREE_FLOW_KMH = 1.0

#: Smallest and largest longitude and latitude: west, south, east, north.
Box: TypeAlias = tuple[float, float, float, float]


class FeedChecks:
    """Decides what can be true of a road.

    Args:
        settings: what is possible, and the city's clock.
        box: where the graph lies, with what roads may lie beside it.
    """

    def __init__(self, settings: RoadSettings, box: Box) -> None:
        self._settings = settings
        self._box = box
        self._zone = time_zone(settings.zone)
        self.future_us = round(settings.future_guard_seconds * 1e6)
        self.late_us = round(settings.late_seconds * 1e6)
        self.forget_us = round(settings.forget_hours * 3600e6)
        self.closed_us = round(settings.closed_seconds * 1e6)
        self.max_roads = settings.max_roads

    def check(self, key: bytes | None, value: bytes | None, record_us: int) -> CheckedMessage:
        """Read a message and check everything that can be said without knowing its road.

        Args:
            key: of the record.
            value: of the record.
            record_us: the record's own time, microseconds since the epoch.

        Raises:
            Rejected: it cannot be true, or cannot be read.
        """
        message = decode_road_message(value)
        _check_key(key, message.road_id)
        self._check_speeds(message)
        line = self._line(message)
        return CheckedMessage(message, self._time_us(message, record_us), record_us, line)

    def complete(
        self,
        checked: CheckedMessage,
        road_name: str,
        line: Sequence[LonLat],
        edges: Sequence[CoveredEdge],
        graph_version: str,
        source: tuple[int, int],
        graph_free_flow_kmh: float,
    ) -> RoadObservation:
        """The observation that a message amounts to.

        Args:
            checked: the message.
            road_name: of the road.
            line: of the road.
            edges: that it is on.
            graph_version: of the graph that these are of.
            source: the partition and offset of the message.
            graph_free_flow_kmh: the road's free flow where the message, of a closed road, tells none.
        """
        message, closed, matched = checked.message, checked.message.is_closed, checked.message.matched
        told = message.free_flow_speed
        free_flow_kmh = max(graph_free_flow_kmh, LEAST_FREE_FLOW_KMH) if told is None else told
        return RoadObservation(
            event_id=message.event_id,
            timestamp=rfc3339(checked.time_us),
            road_id=message.road_id,
            road_name=road_name,
            current_speed=message.current_speed,
            free_flow_speed=free_flow_kmh,
            jam_factor=message.jam_factor,
            congestion_level="high" if closed else congestion_level(self._settings, message.jam_factor),
            speed_ratio=round(message.current_speed / free_flow_kmh, 4),
            rush_hour=self.is_rush_hour(checked.time_us),
            coordinates=list(line),
            edges=list(edges),
            graph_version=graph_version,
            source_partition=source[0],
            source_offset=source[1],
            record_timestamp=rfc3339(checked.record_us),
            closed=closed,
            confidence=message.confidence_told if matched is None else None,
            vehicles=None if matched is None else matched.vehicles,
            credibility=None if matched is None else matched.credibility,
        )

    def is_rush_hour(self, time_us: int) -> bool:
        """Whether the city's clock shows an hour of the rush then."""
        hour = from_epoch_us(time_us).astimezone(self._zone).hour
        return any(begin <= hour < end for begin, end in self._settings.rush_hours)

    def _check_speeds(self, message: RoadMessage) -> None:
        highest = self._settings.max_speed_kmh
        if not 0 <= message.current_speed <= highest:
            raise Rejected(
                "impossible_speed", f"current_speed {message.current_speed:g} km/h is not between 0 and {highest:g}"
            )
        if message.free_flow_speed is None:
            if message.is_closed:
                return
            raise Rejected("invalid_field", "free_flow_speed is null, and only a closed road may have none")
        if not LEAST_FREE_FLOW_KMH <= message.free_flow_speed <= highest:
            raise Rejected(
                "impossible_speed",
                f"free_flow_speed {message.free_flow_speed:g} km/h is not between {LEAST_FREE_FLOW_KMH:g} and "
                f"{highest:g}",
            )

    def _line(self, message: RoadMessage) -> list[LonLat]:
        line = [(point[0], point[1]) for point in message.coordinates]
        for lon, lat in line:
            if not self._has(lon, lat) and self._has(lat, lon):
                raise Rejected(
                    "swapped_coordinates",
                    f"coordinates: [{lon:g}, {lat:g}] is not on the map, [{lat:g}, {lon:g}] is; "
                    "a place is [longitude, latitude]",
                )
        for lon, lat in line:
            if abs(lon) > 180 or abs(lat) > 90:
                raise Rejected("invalid_field", f"coordinates: [{lon:g}, {lat:g}] is not on the globe")
        if line and not any(self._has(lon, lat) for lon, lat in line):
            lon, lat = line[0]
            raise Rejected("unknown_road", f"the road at [{lon:g}, {lat:g}] lies outside of the map")
        return line

    def _has(self, lon: float, lat: float) -> bool:
        west, south, east, north = self._box
        return west <= lon <= east and south <= lat <= north

    def _time_us(self, message: RoadMessage, record_us: int) -> int:
        timestamp = message.timestamp
        try:
            time_us = event_time_us(timestamp)
        except (ValueError, OverflowError):
            told = str(timestamp)[:64]
            raise Rejected(
                "invalid_timestamp", f"timestamp {told!r} is neither ISO 8601 nor epoch seconds or milliseconds"
            ) from None
        ahead_us = time_us - record_us
        if ahead_us > self.future_us:
            raise Rejected(
                "future",
                f"timestamp {rfc3339(time_us)} is more than {self.future_us / 1e6:g} s ahead of the record's "
                f"{rfc3339(record_us)}",
            )
        if -ahead_us > self.late_us:
            raise Rejected(
                "late",
                f"timestamp {rfc3339(time_us)} is more than {self.late_us / 1e6:g} s behind the record's "
                f"{rfc3339(record_us)}",
            )
        return time_us


def congestion_level(settings: RoadSettings, jam_factor: float) -> RoadCongestionLevel:
    """The level of a jam factor."""
    if jam_factor >= settings.jam_factor_high:
        return "high"
    return "medium" if jam_factor >= settings.jam_factor_medium else "low"


def jam_factor(speed_kmh: float, free_flow_kmh: float) -> float:
    """The jam factor of a speed: ten times the lost share of free flow, 0 to 9.99. Only a feed closes roads."""
    return round(min(max(10 * (1 - speed_kmh / free_flow_kmh), 0.0), 9.99), 2)


def _check_key(key: bytes | None, road_id: str) -> None:
    """Refuse a message under another key than its road's: it may stand in another road's partition."""
    if key is None or key != road_id.encode() or key.startswith(b"\x00"):
        raise Rejected("key_mismatch", f"the record key is not the road_id {road_id!r}")
