"""What hostile producers send, by a seed: cameras of every kind, and among them what no camera means.

Everything has a moment, a key and a way on which it goes: by which library, under which codec, in a transaction that is
committed or not, or in a batch made byte by byte. Where and when it arrives, and what it then means, the log says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from tests.stores.bad_values import bad_values
from tests.verification.log import TICK_HEADER
from tests.windows.entries import SECOND_US, UNTRACKED, Form, Picture, Seen, value_of

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LIBRARIES = ("aiokafka", "confluent")
COMMITTED, ABORTED, RAW = "committed", "aborted", "raw"
WAYS = tuple(f"{library} {codec}" for library in LIBRARIES for codec in CODECS)

#: Of each kind there are so many cameras.
KINDS = {"wave": 8, "plain": 6, "estimated": 4, "outlier": 6, "gaps": 4, "late": 5, "backlog": 4, "digits": 4}
KINDS |= {"untracked": 3, "transaction": 5, "raw": 4, "fleeting": 4}
SPECIAL = "special"

#: Cameras fall silent and upload their backlog later, in shares of the run.
BACKLOG_FROM, BACKLOG_TO = 0.15, 0.72

#: Made-up cameras: a flood that is over soon, so that it is forgotten within the run, and some all the time.
FLOOD, FLOOD_SECONDS, TRICKLE = 3000, (4.0, 12.0), 8.0

#: Windows that begin after this share of the run have other boundaries.
CHANGED_AT, CHANGED = 0.5, (0.25, 0.45, 0.70)

_LARGE_BYTES, _LARGE_DETECTIONS = 6_500_000, 400_000


class Sending(NamedTuple):
    """A record on its way.

    Attributes:
        at_seconds: since the run began.
        way: one of `WAYS`, or ``committed``, ``aborted`` or ``raw``.
        key, value, headers: of the record.
        is_unreadable: whether it gets a header that no client can read.
        partition: None for that of its key; -1 for each.
    """

    at_seconds: float
    way: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    is_unreadable: bool = False
    partition: int | None = None


@dataclass
class Plan:
    """Everything that is sent, in the order of its moments.

    Attributes:
        begin_us: when the run begins, microseconds since the epoch, in whole milliseconds.
        seconds: how long something is sent.
        is_large: whether what compression lets in is among it.
    """

    seed: int
    begin_us: int
    seconds: float
    is_large: bool = True
    sendings: list[Sending] = field(default_factory=list)
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Make it all."""
        self.chance = random.Random(self.seed)
        for kind, count in KINDS.items():
            for number in range(count):
                self._camera(f"{kind}-{number}", kind)
        self._camera(SPECIAL, "estimated")
        self._made_up()
        self._garbage()
        self._strangers()
        if self.is_large:
            self._large()
        self.sendings.sort(key=lambda one: one.at_seconds)

    # ------------------------------------------------------------------ cameras

    def _camera(self, camera_id: str, kind: str) -> None:
        """Everything that a camera sends."""
        chance = self.chance
        form: Form = chance.choice(["nested", "flat", "frame", "frame"])
        if kind == "wave":
            form = "frame"
        period = chance.choice([0.4, 0.5, 1.0])
        ways = [chance.choice(WAYS)] if chance.random() < 0.7 else list(WAYS)
        steps: Iterator[tuple[float, float]] = self._moments(kind, period)
        traffic = _traffic(kind, chance)
        for number, (at, seen_at) in enumerate(steps):
            cars = traffic(seen_at)
            time_us = self.begin_us + round(seen_at * 1000) * 1000
            picture = Picture(camera_id, time_us, number, cars, form, camera_id.encode(), 0)
            if kind == "digits":
                picture = self._with_digits(picture)
            for one in self._messages(picture):
                self._send_of(kind, at, one, chance.choice(ways))

    def _moments(self, kind: str, period: float) -> Iterator[tuple[float, float]]:
        """When pictures are sent, and when they were taken, in seconds of the run."""
        chance = self.chance
        at = chance.uniform(0.5, 2.0)
        backlog: list[float] = []
        silent_from, silent_to = BACKLOG_FROM * self.seconds, BACKLOG_TO * self.seconds
        end = self.seconds * (0.3 if kind == "fleeting" else 1.0)
        while at < end:
            seen_at = at - chance.choice([0.0, 0.05, 0.4])
            if kind == "backlog" and silent_from < at < silent_to:
                backlog.append(seen_at)
            else:
                for place, taken_at in enumerate(backlog):
                    yield at + place * 0.004, taken_at
                backlog = []
                if kind == "late" and chance.random() < 0.12:
                    seen_at -= chance.uniform(0.5, 25.0)
                if kind == "outlier" and chance.random() < 0.02:
                    yield at, seen_at + chance.choice([11.0, 25.0, 59.0, 59.0, 59.9])
                if kind == "outlier" and chance.random() < 0.01:
                    yield at, seen_at + 59 * 60
                yield at, seen_at
            at += period
            if kind == "gaps" and chance.random() < 0.05:
                at += chance.choice([9.0, 11.0, 13.0, 22.0, 36.0])

    def _messages(self, picture: Picture) -> list[Picture]:
        """A picture as messages: a frame is one, other forms have one for each vehicle."""
        if picture.form == "frame":
            faulty = tuple(self.chance.choices(_FAULTS, k=self.chance.choice([0] * 30 + [1, 3])))
            return [replace(picture, faulty=faulty)]
        return [replace(picture, seen=(car,)) for car in picture.seen]

    def _with_digits(self, picture: Picture) -> Picture:
        """A time with more digits than microseconds, now and then right before a window ends."""
        edge_us = picture.time_us // (5 * SECOND_US) * 5 * SECOND_US
        time_us = edge_us - 1 if self.chance.random() < 0.3 else picture.time_us + self.chance.randrange(1000)
        seconds, micros = divmod(time_us, SECOND_US)
        if picture.form == "flat" or self.chance.random() < 0.3:
            # seven decimals are as many as a double has room for
            return replace(picture, time_us=time_us, written=f"{seconds}.{micros:06d}{self.chance.choice('5689')}")
        text = _iso(seconds) + f".{micros:06d}{self.chance.choice(['9', '999', '500'])}Z"
        return replace(picture, time_us=time_us, written=json.dumps(text))

    def _send_of(self, kind: str, at: float, picture: Picture, way: str) -> None:
        chance, key = self.chance, picture.key
        value = value_of(picture)
        if kind == "transaction":
            if chance.random() < 0.4:
                # what is taken back would change rows
                other = replace(
                    picture, seen=tuple(replace(car, vehicle_id=f"x{car.vehicle_id}") for car in picture.seen)
                )
                self.sendings.append(Sending(at, ABORTED, key, value_of(other)))
            way = COMMITTED
        if kind == "raw":
            way = RAW
            if chance.random() < 0.15:
                self.sendings.append(Sending(at, RAW, key, value, is_unreadable=True))
        self.sendings.append(Sending(at, way, key, value))
        if chance.random() < (0.1 if kind == "late" else 0.01):
            self.sendings.append(Sending(at + chance.uniform(0, 6), way, key, value))

    # ------------------------------------------------------------------ what no camera means

    def _made_up(self) -> None:
        first, last = FLOOD_SECONDS
        moments = [self.chance.uniform(first, last) for _ in range(FLOOD)]
        moments += [self.chance.uniform(last, self.seconds) for _ in range(round(TRICKLE * (self.seconds - last)))]
        for number, at in enumerate(moments):
            camera_id = f"once-{self.seed}-{number}"
            time_us = self.begin_us + round(at * 1000) * 1000
            picture = Picture(camera_id, time_us, 1, (Seen("v", "car", 30.0),), "nested", camera_id.encode(), 0)
            self.sendings.append(Sending(at, self.chance.choice(WAYS), picture.key, value_of(picture)))

    def _garbage(self) -> None:
        """Messages that cannot be accepted, under the keys of cameras that send good ones."""
        chance = self.chance
        for _ in range(round(self.seconds * 5)):
            at, camera_id = chance.uniform(2, self.seconds), f"plain-{chance.randrange(KINDS['plain'])}"
            time_us = self.begin_us + round(at * 1000) * 1000
            good = Picture(camera_id, time_us, 7, (Seen("v", "car", 30.0),), "nested", camera_id.encode(), 0)
            key: bytes | None = good.key
            value: bytes | None = value_of(good)
            what = chance.randrange(10)
            if what == 0:
                value = (value or b"")[: chance.randrange(1, 40)]
            elif what == 1:
                key = chance.choice([b"somebody else", None, b"\x00partition-0", b"\xff\xfe", b""])
            elif what == 2:
                value = chance.choice([None, b""])
            elif what == 3:
                faults = tuple(chance.choices(_FAULTS, k=chance.randint(1, 5)))
                value = value_of(replace(good, seen=(), form="frame", faulty=faults))
            elif what == 4:
                value = value_of(replace(good, time_us=time_us + 3600 * SECOND_US))
            elif what == 5:
                value = json.dumps({**json.loads(value or b""), "timestamp": chance.choice(_NO_TIMES)}).encode()
            elif what == 6:
                value = chance.choice([b"[]", b"12", b'"text"', b"[" * 3000, bytes(range(256)), b'{"camera_id": 1'])
            elif what == 7:
                many = ", ".join(["0"] * chance.randint(5001, 20_000))
                value = (
                    f'{{"camera_id": "{camera_id}", "timestamp": 1, "frame_id": 1, "detections": [{many}]}}'.encode()
                )
            elif what == 8:
                _, value = chance.choice(list(bad_values(value or b"")))
            else:
                fields = json.loads(value or b"")
                del fields[chance.choice(["camera_id", "timestamp", "frame_id", "vehicle_id", "class", "bbox"])]
                value = json.dumps(fields).encode()
            self.sendings.append(Sending(at, chance.choice(WAYS), key, value))

    def _strangers(self) -> None:
        """Records with the header of ticks: some are ticks by it, some say nothing, one changes boundaries."""
        chance = self.chance
        for _ in range(round(self.seconds)):
            key = chance.choice([None, b"plain-0", b"\x00partition-1"])
            value = chance.choice([None, b"", b"{}", b"tick", b'{"thresholds": {"version": 1}}', b"\xff"])
            header = chance.choice([b"", b"9999999999999", b"\xff"])
            at = chance.uniform(2, self.seconds)
            # the other library sends nothing without both
            way = chance.choice(WAYS) if key is not None or value is not None else "confluent none"
            self.sendings.append(Sending(at, way, key, value, ((TICK_HEADER, header),), partition=chance.randrange(8)))
        moderate, high, severe = CHANGED
        thresholds = {"moderate": moderate, "high": high, "severe": severe, "version": 1}
        thresholds["effective_from_us"] = self.begin_us + round(CHANGED_AT * self.seconds) * SECOND_US
        value = json.dumps({"thresholds": thresholds}).encode()
        at = CHANGED_AT * self.seconds - 20
        self.sendings.append(Sending(at, "confluent none", None, value, ((TICK_HEADER, b""),), partition=-1))

    def _large(self) -> None:
        """What compression lets in."""
        car = '{"vehicle_id": "v%d", "class": "car", "confidence": 1, "bbox": {"x": 1, "y": 1, "w": 1, "h": 1}}'
        cars = ", ".join(car % (number // 2) for number in range(_LARGE_DETECTIONS))
        for library in LIBRARIES:
            for share in (0.2, 0.6):
                at = (share + self.chance.uniform(-0.1, 0.1)) * self.seconds
                camera_id = f"plain-{self.chance.randrange(KINDS['plain'])}"
                frame = f'{{"camera_id": "{camera_id}", "timestamp": 1, "frame_id": 1, "detections": [{cars}]}}'
                text = json.dumps({"camera_id": camera_id, "text": "a" * _LARGE_BYTES})
                for value in (frame, text):
                    self.sendings.append(Sending(at, f"{library} gzip", camera_id.encode(), value.encode()))


_FAULTS = ("unknown_class", "missing_field", "invalid_field", "impossible_speed")
_NO_TIMES = ("soon", "2026-13-01T00:00:00Z", "9999-06-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-01-14T08:00:00.5x")


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _traffic(kind: str, chance: random.Random) -> Callable[[float], tuple[Seen, ...]]:
    """What a camera of a kind sees, by the second of the run."""
    phase, lanes = chance.uniform(0, 60), chance.choice([None, 2, 3])

    def lane(number: int) -> int | None:
        return None if lanes is None else number % lanes

    def wave(at: float) -> tuple[Seen, ...]:
        place = (at + phase) % 80
        count, speed_kmh = (
            (50, 2.0) if place < 22 else (40, 15.0) if place < 32 else (20, 30.0) if place < 37 else (5, 50.0)
        )
        return tuple(Seen(f"v{one}", "car", speed_kmh, lane(one), 7.0 * one, 3.0) for one in range(count))

    def estimated(at: float) -> tuple[Seen, ...]:
        return tuple(
            Seen(f"v{one}", "bus", None, lane(one), round(20.3137 * at * (one + 1), 3) % 2000, 11.0) for one in range(3)
        )

    def plain(at: float) -> tuple[Seen, ...]:
        first = int(at / 7)
        cars = [
            Seen(f"v{first + one}", chance.choice(["car", "truck"]), round(chance.uniform(0, 70), 2), lane(one))
            for one in range(chance.randint(1, 4))
        ]
        if kind == "untracked":
            cars += [
                Seen(UNTRACKED, "van", 12.5, lane(one), chance.choice([5.0, 9.0]) * one, 2.0, None) for one in range(3)
            ]
        return tuple(cars)

    return {"wave": wave, "estimated": estimated}.get(kind, plain)
