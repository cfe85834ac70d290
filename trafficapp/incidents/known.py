"""All incidents that are remembered: by id, by what their sources call them, by where they are, by what is due next."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from math import inf

import msgspec

from trafficapp.incidents.incident import IncidentMemory, SourceMemory
from trafficapp.incidents.nearby import Nearby

#: Names of incidents of sources, for each incident that is known at most, on average.
_NAMES_EACH = 10

_INCIDENT_ROW, _SOURCE_ROW = b"i", b"s"

_pack = msgspec.msgpack.Encoder().encode
_unpack_incident = msgspec.msgpack.Decoder(IncidentMemory).decode
_unpack_source = msgspec.msgpack.Decoder(SourceMemory).decode


class KnownIncidents:
    """Incidents, with the rows that say the same.

    Args:
        reach_m: how near is near.
        most: incidents at once.
        due_us: when something happens to an incident that nobody touches, in time of the clock.
        rows: what was to be remembered, by key.
    """

    def __init__(
        self, reach_m: float, most: int, due_us: Callable[[IncidentMemory], int], rows: Mapping[bytes, bytes]
    ) -> None:
        self._most, self._due_us = most, due_us
        self._near = Nearby(reach_m)
        #: The longest untouched first, of both.
        self._incidents: OrderedDict[str, IncidentMemory] = OrderedDict()
        self._sources: OrderedDict[str, SourceMemory] = OrderedDict()
        self._names: dict[str, set[str]] = {}
        self._due: list[tuple[int, int, str]] = []
        self._scheduled: dict[str, int] = {}
        self._number = 0
        self._touched = 0
        self._changed: dict[bytes, str | None] = {}
        self._restore(rows)

    def _restore(self, rows: Mapping[bytes, bytes]) -> None:
        incidents = [_unpack_incident(row) for key, row in rows.items() if key[:1] == _INCIDENT_ROW]
        for one in sorted(incidents, key=lambda incident: incident.touched):
            self._incidents[one.incident_id] = one
            self._names[one.incident_id] = set()
            self._number = max(self._number, one.number + 1)
            self._touched = max(self._touched, one.touched)
        for one in sorted(incidents, key=lambda incident: incident.number):
            if one.is_placed:
                self._near.put(one.incident_id, one.number, one.lat, one.lon)
            self.wait_for(one)
        found = {key[1:].decode(): _unpack_source(row) for key, row in rows.items() if key[:1] == _SOURCE_ROW}
        for name, source in sorted(found.items(), key=lambda item: item[1].touched):
            if source.incident_id in self._names:
                self._sources[name] = source
                self._names[source.incident_id].add(name)
                self._touched = max(self._touched, source.touched)

    def __contains__(self, incident_id: str) -> bool:
        """Whether an incident is called so."""
        return incident_id in self._incidents

    def __iter__(self) -> Iterator[IncidentMemory]:
        """All of them."""
        return iter(self._incidents.values())

    def get(self, incident_id: str) -> IncidentMemory | None:
        """An incident by its id."""
        return self._incidents.get(incident_id)

    def source(self, name: str) -> SourceMemory | None:
        """What a source said last of what it calls so."""
        return self._sources.get(name)

    def near(self, lat: float, lon: float) -> Iterator[IncidentMemory]:
        """Those within reach of a place, the nearest first."""
        return (self._incidents[near.incident_id] for near in self._near.find(lat, lon))

    def changed_rows(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call; None where nothing is remembered any more."""
        changed, self._changed = self._changed, {}
        rows: list[tuple[bytes, bytes | None]] = []
        for key, name in changed.items():
            known: IncidentMemory | SourceMemory | None = None
            if name is not None:
                known = self._incidents.get(name) if key[:1] == _INCIDENT_ROW else self._sources.get(name)
            rows.append((key, None if known is None else _pack(known)))
        return rows

    # ------------------------------------------------------------------ changes

    def next_number(self) -> int:
        """The number of the next incident."""
        self._number += 1
        return self._number - 1

    def add(self, incident: IncidentMemory) -> IncidentMemory | None:
        """Take an incident in; the one that has to go for it, if there are too many."""
        self._incidents[incident.incident_id] = incident
        self._names[incident.incident_id] = set()
        return next(iter(self._incidents.values())) if len(self._incidents) > self._most else None

    def touch(self, incident: IncidentMemory) -> None:
        """It was heard of."""
        self._touched = incident.touched = self._touched + 1
        self._incidents.move_to_end(incident.incident_id)

    def changed(self, incident: IncidentMemory) -> None:
        """Remember it as it is."""
        self._changed[_INCIDENT_ROW + incident.incident_id.encode()] = incident.incident_id
        self.wait_for(incident)

    def place(self, incident: IncidentMemory) -> None:
        """Have reports near it found to be of it."""
        incident.is_placed = True
        left_out = self._near.put(incident.incident_id, incident.number, incident.lat, incident.lon)
        if left_out is not None:
            self._incidents[left_out].is_placed = False
            self._changed[_INCIDENT_ROW + left_out.encode()] = left_out

    def displace(self, incident: IncidentMemory) -> None:
        """Have no more reports found to be of it."""
        incident.is_placed = False
        self._near.remove(incident.incident_id)

    def keep_source(self, name: str, source: SourceMemory) -> None:
        """Remember what a source said last."""
        known = self._sources.get(name)
        if known is not None and known.incident_id != source.incident_id:
            self._names[known.incident_id].discard(name)
        self._touched = source.touched = self._touched + 1
        self._sources[name] = source
        self._sources.move_to_end(name)
        self._names[source.incident_id].add(name)
        self._changed[_SOURCE_ROW + name.encode()] = name
        if len(self._sources) > self._most * _NAMES_EACH:
            first = next(iter(self._sources))
            self._names[self._sources.pop(first).incident_id].discard(first)
            self._changed[_SOURCE_ROW + first.encode()] = None

    def forget(self, incident: IncidentMemory) -> None:
        """Forget an incident with all that sources call it."""
        incident_id = incident.incident_id
        for name in sorted(self._names.pop(incident_id)):
            del self._sources[name]
            self._changed[_SOURCE_ROW + name.encode()] = None
        self._near.remove(incident_id)
        self._scheduled.pop(incident_id, None)
        del self._incidents[incident_id]
        self._changed[_INCIDENT_ROW + incident_id.encode()] = None

    # ------------------------------------------------------------------ time

    def wait_for(self, incident: IncidentMemory) -> None:
        """Give it back when something is due."""
        due_us, known = self._due_us(incident), self._scheduled.get(incident.incident_id)
        if known is None or due_us < known:
            self._scheduled[incident.incident_id] = due_us
            heapq.heappush(self._due, (due_us, incident.number, incident.incident_id))

    @property
    def next_due_us(self) -> float:
        """Nothing is due before."""
        return self._due[0][0] if self._due else inf

    def due(self, clock_us: int) -> Iterator[IncidentMemory]:
        """Those of which something is due, in the order of time; each is to be changed, or to be forgotten."""
        while self._due and self._due[0][0] <= clock_us:
            looked_us, number, incident_id = heapq.heappop(self._due)
            incident = self._incidents.get(incident_id)
            if incident is None or incident.number != number or self._scheduled.get(incident_id) != looked_us:
                continue
            del self._scheduled[incident_id]
            if self._due_us(incident) > looked_us:
                # it was touched since
                self.wait_for(incident)
            else:
                yield incident
