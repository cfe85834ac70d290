"""Messages of a feed that no producer means to send, with what must become of each."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.roads.feed_messages import message

#: More bytes than a message may have.
TOO_MANY = (1 << 20) + 1


class Odd(NamedTuple):
    """A record; ``reason`` is that of its dead letter, None when it is taken."""

    name: str
    key: bytes | None
    value: bytes | None
    reason: str | None


def odd_messages(run: str, timestamp: str, line: list[list[float]]) -> list[Odd]:
    """All of them, each about a road of its own that lies on a line.

    Args:
        run: begins the names of the roads.
        timestamp: a time that is neither late nor ahead.
        line: on the graph.
    """
    found: list[Odd] = []

    def told(name: str, **changes: Any) -> str:
        named = {"road_id": f"{run}-{name}", "event_id": f"{run}-{name}"}
        # bad enough to tell people
        measured = {"timestamp": timestamp, "coordinates": line, "jam_factor": 9.5}
        return json.dumps(message(**named | measured | changes))

    def add(name: str, reason: str | None, value: str | bytes | None, key: bytes | None = None) -> None:
        raw = value.encode() if isinstance(value, str) else value
        found.append(Odd(name, f"{run}-{name}".encode() if key is None else key, raw, reason))

    def with_field(name: str, reason: str | None, field: str, literal: str) -> None:
        """One field is a piece of JSON as it is given."""
        add(name, reason, told(name, **{field: 0}).replace(f'"{field}": 0', f'"{field}": {literal}', 1))

    for name, text in {
        "nul": "Via\0Roma", "controls": "a\nb\tc\x1f\x7f", "emoji": "Piazza 🚦", "longest": "𝄞" * 256, "empty-name": "",
        "quotes": '"\\/', "separators": "\u2028\u2029\ufeff\ufffe", "right-to-left": "\u202etxt.exe", "nul-only": "\0",
    }.items():  # fmt: skip
        add(f"name-{name}", None, told(f"name-{name}", road_name=text))
        if text:
            add(f"event-{name}", None, told(f"event-{name}", event_id=f"{run}{text}"[:256]))
            road = f"{run}{text}"[:256]
            add(f"road-{name}", None, told(f"road-{name}", road_id=road), road.encode())
    add("id-number", None, told("id-number", event_id=7), None)
    add("altitudes", None, told("altitudes", coordinates=[[*place, 54.2] for place in line]))
    add("more-space", None, told("more-space") + " \n\t\r ")
    add("nested", None, told("nested", extra=json.loads("[" * 200 + "]" * 200)))
    add("largest", None, told("largest", extra="").replace('"extra": ""', '"extra": "' + "x" * 900_000 + '"'))
    with_field("twice", None, "current_speed", '900, "current_speed": 20')
    with_field("minus-nothing", None, "current_speed", "-0.0")
    with_field("tiny", None, "current_speed", "1e-320")
    with_field("many-digits", None, "current_speed", "20." + "1" * 5000)
    with_field("skipped-surrogate", "not_json", "congestion_level", r'"\ud800"')
    with_field("digits-of-time", None, "timestamp", f'"{timestamp.replace("Z", "")}.{"9" * 5000}Z"')

    add("no-value", "empty", None)
    add("nothing", "empty", b"")
    add("bom", "not_json", b"\xef\xbb\xbf" + told("bom").encode())
    add("utf-16", "not_json", told("utf-16").encode("utf-16"))
    add("latin-1", "not_json", told("latin-1").replace("Roma", "Rom\xe0").encode("latin-1"))
    add("surrogate-bytes", "not_json", told("surrogate-bytes").encode().replace(b"Roma", b"\xed\xa0\x80"))
    add("behind-it", "not_json", told("behind-it") + "\0")
    add("two", "not_json", told("two") * 2)
    add("cut", "not_json", told("cut")[:-3])
    add("deep", "not_json", "[" * 100_000 + "]" * 100_000)
    add("deep-field", "not_json", told("deep-field", extra=0).replace('"extra": 0', '"extra": ' + "[" * 100_000))
    add("array", "invalid_field", f"[{told('array')}]")
    add("text", "invalid_field", json.dumps(told("text")))
    for name, literal in {"high": r"\ud800", "low": r"\udc00", "wrong-way": r"\udc00\ud800", "cut": r"\ud8"}.items():
        for field in ("road_name", "event_id", "timestamp"):
            with_field(f"surrogate-{name}-{field}", "not_json", field, f'"{literal}"')
    with_field("raw-nul", "not_json", "road_name", '"a\0b"')
    for name, literal in {"nan": "NaN", "infinite": "Infinity", "minus-infinite": "-Infinity", "hex": "0x10"}.items():
        with_field(name, "not_json", "current_speed", literal)
    with_field("beyond-floats", "not_json", "current_speed", "1e999")
    with_field("huge", "invalid_field", "current_speed", "9" * 400)
    with_field("huge-time", "invalid_timestamp", "timestamp", "9" * 400)
    with_field("huge-float-time", "invalid_timestamp", "timestamp", "1e300")
    with_field("unending-number", "not_json", "current_speed", "9" * 5000)
    with_field("number-as-text", "invalid_field", "current_speed", '"20"')
    with_field("boolean", "invalid_field", "jam_factor", "true")
    with_field("boolean-time", "invalid_field", "timestamp", "true")
    with_field("no-time", "invalid_field", "timestamp", "null")
    with_field("before-1970", "invalid_timestamp", "timestamp", "-1")
    with_field("before-1970-text", "invalid_timestamp", "timestamp", '"1969-12-31T23:59:59Z"')
    with_field("year-1", "invalid_timestamp", "timestamp", '"0001-01-01T00:00:00+23:59"')
    with_field("epoch-as-short-text", "invalid_timestamp", "timestamp", '"176837400"')
    with_field("year-9999", "invalid_timestamp", "timestamp", '"9999-12-31T23:59:59.999999Z"')
    with_field("year-9999-west", "invalid_timestamp", "timestamp", '"9999-12-31T23:59:59-23:59"')
    with_field("year-9999-ms", "invalid_timestamp", "timestamp", "253402300799999")
    with_field("year-10000-ms", "invalid_timestamp", "timestamp", "253402300800000")
    with_field("year-5138", "future", "timestamp", '"5138-11-16T09:46:39Z"')
    with_field("year-5138-number", "future", "timestamp", "99999999999")
    with_field("year-1973", "late", "timestamp", "100000000000")
    add("many-places", "invalid_field", told("many-places", coordinates=[[11.3, 44.5]] * 50_000))
    add("too-many-bytes", "too_large", told("too-many-bytes").ljust(TOO_MANY))
    add("many-megabytes", "too_large", told("many-megabytes", road_name="x" * 6_500_000))
    add("all-over", "too_large", told("all-over", coordinates=[line[0], [line[0][0], line[0][1] + 0.95]] * 500))

    add("other-key", "key_mismatch", told("other-key"), b"other")
    add("key-bytes", "key_mismatch", told("key-bytes"), b"\xff\xfe\x80")
    add("key-nul", "key_mismatch", told("key-nul", road_id="\0partition-0"), b"\0partition-0")
    add("key-long", "key_mismatch", told("key-long"), b"k" * 900_000)
    add("key-empty", "key_mismatch", told("key-empty"), b"")
    found.append(Odd("no-key", None, told("no-key").encode(), "key_mismatch"))
    return found
