"""Taps of riders with repeats and disorder, and what their windows must be: decided when they are made.

Nothing here knows the product. Taps come nearly in the order of their times, no further behind than may be, so that
none of them is late; but for some that are, by far: each of these has a dead letter for a zone, or is counted there.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SECOND_US = 1_000_000

#: Letters of geohash in the order of their values, https://en.wikipedia.org/wiki/Geohash.
_LETTERS = "0123456789bcdefghjkmnpqrstuvwxyz"

#: Latitude and longitude of stations; the last two lie 40 m on both sides of a cell's border.
_STATIONS = (
    *((44.5056, 11.3430), (44.4938, 11.3426), (44.4843, 11.3560), (44.5280, 11.3580), (44.4690, 11.2890)),
    *((44.5120, 11.2870), (44.4720, 11.3840), (44.5010, 11.3980), (44.4823, 11.2630), (44.5390, 11.3110)),
    *((44.4950, 11.3085), (44.4950, 11.3095)),
)


class Zone(NamedTuple):
    """Kind and name of a zone."""

    kind: str
    name: str


class Window(NamedTuple):
    """A window of a zone."""

    zone: Zone
    start_us: int


@dataclass
class RiderTruth:
    """What must come of the taps.

    Attributes:
        taps: by window, the ids of taps that are not late.
        late: by window, the ids of taps that may be.
        repeated: by window, how many came again; late ones not counted.
        refused: taps that cannot be accepted, by reason.
    """

    taps: dict[Window, set[str]] = field(default_factory=dict)
    late: dict[Window, list[str]] = field(default_factory=dict)
    repeated: Counter[Window] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class Message(NamedTuple):
    """A message to send: its key and value."""

    key: bytes
    value: bytes


@dataclass
class RiderFeed:
    """Taps of a seed.

    Args:
        seed: the same gives the same taps.
        begin_us: event time of the first one.
        pace_us: event time between two taps.
        disorder_us: how far behind the newest one a tap may be.
        window_us: length of a window.
    """

    seed: int
    begin_us: int
    pace_us: int
    disorder_us: int
    window_us: int = 60 * SECOND_US
    truth: RiderTruth = field(default_factory=RiderTruth)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._sent = 0
        self._recent: list[tuple[Message, list[Window]]] = []
        self._weights = [self._chance.choice((1, 2, 4, 9, 20)) for _ in _STATIONS]

    def some(self, count: int) -> list[Message]:
        """The next taps."""
        return [self._next() for _ in range(count)]

    @property
    def end_us(self) -> int:
        """Ten windows behind the taps that were made."""
        return self.begin_us + self._sent * self.pace_us + 10 * self.window_us

    def last(self) -> list[Message]:
        """Taps from `end_us` on, which make the windows of all others final; theirs stay open."""
        end_us = self.end_us
        found = []
        for number in range(4):
            for station, (latitude, longitude) in enumerate(_STATIONS):
                name = f"{self.seed}-last-{number}-{station}"
                value = _value(name, f"ST-{station:02}", latitude, longitude, end_us + number * SECOND_US)
                found.append(Message(name.encode(), value))
        return found

    def _next(self) -> Message:
        chance, self._sent = self._chance, self._sent + 1
        newest_us = self.begin_us + self._sent * self.pace_us
        what = chance.random()
        if what < 0.002:
            return self._refused(newest_us)
        if what < 0.06 and self._recent:
            message, windows = chance.choice(self._recent)
            self.truth.repeated.update(windows)
            return message
        station = chance.choices(range(len(_STATIONS)), self._weights)[0]
        behind_us = int(chance.triangular(0, self.disorder_us, 0)) if chance.random() < 0.3 else 0
        # far behind, whatever is read when
        is_late = what > 0.998
        if is_late:
            behind_us += 40 * self.window_us
        return self._tap(station, newest_us - behind_us, newest_us, is_late=is_late)

    def _tap(self, station: int, time_us: int, newest_us: int, *, is_late: bool) -> Message:
        chance = self._chance
        latitude = round(_STATIONS[station][0] + chance.uniform(-0.001, 0.001), 6)
        longitude = round(_STATIONS[station][1] + chance.uniform(-0.001, 0.001), 6)
        event_id, station_id = f"{self.seed}-{self._sent}", f"ST-{station:02}"
        start_us = time_us - time_us % self.window_us
        zones = (Zone("geohash", geohash(latitude, longitude, 5)), Zone("station", station_id))
        windows = [Window(zone, start_us) for zone in zones]
        message = Message(event_id.encode(), _value(event_id, station_id, latitude, longitude, time_us))
        for window in windows:
            if is_late:
                self.truth.late.setdefault(window, []).append(event_id)
            else:
                self.truth.taps.setdefault(window, set()).add(event_id)
        if not is_late and newest_us - time_us < self.disorder_us // 2:
            # so that a repeat, which comes within the next hundred taps, is not late either
            self._recent.append((message, windows))
            del self._recent[:-100]
        return message

    def _refused(self, newest_us: int) -> Message:
        event_id = f"{self.seed}-wrong-{self._sent}"
        reason = self._chance.choice(("not_json", "missing_field", "invalid_place", "invalid_timestamp"))
        self.truth.refused[reason] += 1
        latitude = 144.5 if reason == "invalid_place" else 44.5
        fields = json.loads(_value(event_id, "ST-00", latitude, 11.3, newest_us))
        if reason == "missing_field":
            del fields["station_id"]
        if reason == "invalid_timestamp":
            fields["timestamp"] = "yesterday"
        return Message(event_id.encode(), b"{" if reason == "not_json" else json.dumps(fields).encode())


def geohash(latitude: float, longitude: float, characters: int) -> str:
    """The cell of a place, bit by bit as the article has it."""
    spans = [[-180.0, 180.0], [-90.0, 90.0]]
    bits = ""
    for number in range(5 * characters):
        span, value = spans[number % 2], (longitude, latitude)[number % 2]
        middle = sum(span) / 2
        bits += "1" if value >= middle else "0"
        span[0 if value >= middle else 1] = middle
    return "".join(_LETTERS[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))


def _value(event_id: str, station_id: str, latitude: float, longitude: float, time_us: int) -> bytes:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return json.dumps(
        {
            "event_id": event_id,
            "rider_id": f"rider-{event_id}",
            "station_id": station_id,
            "latitude": latitude,
            "longitude": longitude,
            "timestamp": moment.isoformat().replace("+00:00", "Z"),
        }
    ).encode()
