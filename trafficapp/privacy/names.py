"""The names under which somebody is known: the id itself, and its hashes of the days that are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from trafficapp.privacy.pseudonyms import PREFIX, Pseudonyms

#: Clocks of devices may run ahead.
AHEAD_DAYS = 31
_HASHED = re.compile(re.escape(PREFIX).encode() + rb"[a-z2-7]{26}")


class Names:
    """All names of one id.

    Args:
        known_id: as its producer says it.
        pseudonyms: what hashes ids, or did; None where nothing ever was hashed.
        today: of the city.
        kept_days: how far back something may be kept.

    Attributes:
        all: the id and its hashes.
    """

    def __init__(self, known_id: str, pseudonyms: Pseudonyms | None, today: date, kept_days: int) -> None:
        self.known_id = known_id
        days = _days(today, kept_days) if pseudonyms is not None else ()
        self._hashes = (
            frozenset(pseudonyms.on(known_id, day) for day in days) if pseudonyms is not None else frozenset()
        )
        self.all = [known_id, *sorted(self._hashes)]
        self._known = frozenset(self.all)
        self._bytes = frozenset(one.encode("utf-8", "surrogatepass") for one in self.all)
        self._quoted = msgspec.json.encode(known_id)

    def are(self, said: object) -> bool:
        """Whether a value is one of them."""
        return said in self._bytes if isinstance(said, bytes) else said in self._known

    def stand_in(self, said: bytes) -> bool:
        """Whether a key or a document names one of them: whole, between colons of a key, or as a text in JSON."""
        if said in self._bytes or self._quoted in said:
            return True
        if self._hashes and any(one.group() in self._bytes for one in _HASHED.finditer(said)):
            return True
        ending = b":" + self.known_id.encode("utf-8", "surrogatepass")
        return said.endswith(ending) or ending + b":" in said


def _days(today: date, kept_days: int) -> Iterator[date]:
    for number in range(-kept_days, AHEAD_DAYS + 1):
        yield today + timedelta(days=number)
