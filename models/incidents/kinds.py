"""The words of incidents: sources, kinds, classes of severity, steps of the life of an incident."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta

#: Who reports: the incident desk, the emergency desk, citizens.
Source: TypeAlias = Literal["desk", "emergency", "citizen"]

Kind: TypeAlias = Literal[
    "accident", "fire", "hazard", "breakdown", "road_closure", "heavy_traffic", "medical", "theft", "other"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: From 1, hardly worth a word, to 5.
Level: TypeAlias = Annotated[int, Meta(ge=1, le=5)]
SeverityClass: TypeAlias = Literal["low", "medium", "high", "critical"]

#: ``rejected`` is the end of what an operator found untrue; the others follow one another.
Lifecycle: TypeAlias = Literal["reported", "verified", "responding", "cleared", "normal", "rejected"]
OPEN_STATES: frozenset[Lifecycle] = frozenset({"reported", "verified", "responding"})

#: What an operator can do.
ActionWord: TypeAlias = Literal["confirm", "reject", "respond", "clear", "reopen", "normal"]

#: In which states of an incident an action means something.
POSSIBLE_IN: dict[ActionWord, frozenset[Lifecycle]] = {
    "confirm": frozenset({"reported"}),
    "reject": frozenset({"reported"}),
    "respond": OPEN_STATES,
    "clear": OPEN_STATES,
    "reopen": frozenset({"cleared", "normal"}),
    "normal": frozenset({"cleared"}),
}

#: Kinds that one event on a road may be reported as: reports of them are merged. Others are merged with their own kind.
TRAFFIC_KINDS: frozenset[Kind] = frozenset({"accident", "hazard", "breakdown", "road_closure", "heavy_traffic"})

#: Of a merged incident, the first of these that was reported is what it is.
RANK: dict[str, int] = {kind: rank for rank, kind in enumerate(KINDS)}

#: Words of desks that mean a kind, letters only.
_WORDS: dict[str, Kind] = {
    **{word: "accident" for word in ("accident", "crash", "collision", "trafficaccident", "caraccident")},
    **{word: "fire" for word in ("fire", "vehiclefire", "carfire", "explosion")},
    **{word: "hazard" for word in ("hazard", "flood", "flooding", "spill", "debris", "obstacle", "landslide")},
    **{word: "breakdown" for word in ("breakdown", "vehiclebreakdown", "brokendown", "stalledvehicle")},
    **{word: "road_closure" for word in ("roadclosure", "roadclosed", "closure", "roadblock")},
    **{word: "heavy_traffic" for word in ("heavytraffic", "trafficjam", "congestion")},
    **{word: "medical" for word in ("medical", "medicalemergency", "injury")},
    **{word: "theft" for word in ("theft", "robbery", "burglary", "vehicletheft", "cartheft")},
}
_NO_LETTERS = re.compile(r"[^a-z]+")


def kind_of(word: str) -> Kind:
    """What a word of a desk means; ``other`` for words that nobody thought of."""
    kind = _WORDS.get(word)
    return kind or _WORDS.get(_NO_LETTERS.sub("", word.lower()), "other")


def group_of(kind: Kind) -> str:
    """With what reports of a kind are merged."""
    return "traffic" if kind in TRAFFIC_KINDS else kind
