"""What becomes of reports and actions, worked out by looking at everything each time. Shares no code with the rules.

Lists and great circles in the place of cubes, heaps and rows; written from `docs/incidents.md` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import asin, cos, radians, sin, sqrt

SECOND = 1_000_000
MERGED_METRES, MERGED_US, REOPENED_US, REMEMBERED_US = 200.0, 600 * SECOND, 300 * SECOND, 3600 * SECOND
TRAFFIC = {"accident", "hazard", "breakdown", "road_closure", "heavy_traffic"}
GRAVEST_FIRST = [
    "accident",
    "fire",
    "hazard",
    "breakdown",
    "road_closure",
    "heavy_traffic",
    "medical",
    "theft",
    "other",
]
MINUTES = {
    **{"accident": 120, "fire": 240, "medical": 60, "hazard": 240, "road_closure": 1440},
    **{"breakdown": 120, "heavy_traffic": 60, "theft": 60, "other": 120},
}
LEVEL = {
    **{"accident": 4, "fire": 5, "medical": 4, "hazard": 3, "road_closure": 3},
    **{"breakdown": 2, "heavy_traffic": 2, "theft": 2, "other": 2},
}
CLASS = {1: "low", 2: "low", 3: "medium", 4: "high", 5: "critical"}
GOING_ON = ("reported", "verified", "responding")


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along the great circle."""
    a, b = radians(one[0]), radians(other[0])
    h = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other[1] - one[1]) / 2) ** 2
    return 2 * 6_371_008.8 * asin(sqrt(h))


@dataclass(frozen=True)
class Told:
    """What a report says."""

    kind: str
    place: tuple[float, float]
    time: int
    level: int | None

    @property
    def severity(self) -> int:
        return LEVEL[self.kind] if self.level is None else self.level

    @property
    def group(self) -> str:
        return "traffic" if self.kind in TRAFFIC else self.kind


@dataclass(eq=False)
class Claim:
    source: str
    kind: str
    level: int
    sure: bool
    over: bool = False


@dataclass
class Case:
    name: str
    place: tuple[float, float]
    group: str
    owner: str
    times: list[int]
    claims: list[Claim] = field(default_factory=list)
    state: str = "reported"
    verified: bool = False
    never_went_on: bool = False
    kind: str = "other"
    level: int = 1
    found: int | None = None
    closed: bool = False
    emergency: bool = False
    heard: int = 0
    ended: int = 0
    cleared: int | None = None
    by: str | None = None
    reports: int = 0
    units: list[str] = field(default_factory=list)

    def weigh(self) -> None:
        counted = [claim for claim in self.claims if not claim.over]
        counted = [claim for claim in counted if claim.sure] or counted
        if counted:
            self.kind = min((claim.kind for claim in counted), key=GRAVEST_FIRST.index)
            self.level = self.found or max(claim.level for claim in counted)
            self.closed = any(claim.kind == "road_closure" for claim in counted)
        if self.verified and CLASS[self.level] == "critical":
            self.emergency = True

    def facts(self) -> tuple[object, ...]:
        alerted = self.verified and self.state in GOING_ON and CLASS[self.level] in ("high", "critical")
        return (
            *(self.name, self.state, self.kind, self.level, self.closed, self.emergency, self.reports, self.place),
            *(min(self.times), max(self.times), self.by, tuple(self.units), alerted),
        )


@dataclass
class Said:
    """What a source said last of one of its incidents."""

    case: Case
    time: int
    over: bool
    claim: Claim | None
    recent: list[object]


class Oracle:
    """All cases."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.said: dict[str, Said] = {}
        #: Of each report: name of the case, and effect.
        self.effects: list[tuple[str, str]] = []

    def facts(self) -> dict[str, tuple[object, ...]]:
        return {case.name: case.facts() for case in self.cases}

    # ------------------------------------------------------------------ time

    def due(self, case: Case) -> int:
        if case.state in GOING_ON:
            minutes = MINUTES[case.kind] if case.verified else 30
            return case.heard + minutes * 60 * SECOND
        return case.ended + (REOPENED_US if case.state == "cleared" else REMEMBERED_US)

    def until(self, clock: int) -> None:
        while ripe := [case for case in self.cases if self.due(case) <= clock]:
            case = min(ripe, key=self.due)
            at = self.due(case)
            if case.state in GOING_ON:
                case.state, case.by, case.cleared, case.ended = "cleared", "expiry", at, at
            elif case.state == "cleared":
                case.state = "normal"
            else:
                self.cases.remove(case)
                self.said = {name: said for name, said in self.said.items() if said.case is not case}

    # ------------------------------------------------------------------ reports

    def report(self, source: str, own_id: str, told: Told, over: bool, record: int, clock: int) -> None:
        self.until(clock)
        name, content = f"{source}:{own_id}", (told, over)
        before = self.said.get(name)
        if before is not None and content in before.recent:
            return
        case, effect = self._over(name, told, before, record, clock) if over else self._on(name, told, before, record)
        said = self.said[name]
        said.recent = [*said.recent, content][-8:]
        case.reports += 1
        case.heard = max(case.heard, clock)
        self.effects.append((case.name, effect))

    def _on(self, name: str, told: Told, said: Said | None, record: int) -> tuple[Case, str]:
        case = said.case if said else None
        if case and said and told.time <= said.time and (said.over or case.state not in GOING_ON):
            return case, "late"
        if case and said and case.state in GOING_ON and said.claim is not None and said.claim in case.claims:
            case.times.append(told.time)
            if told.time < said.time:
                case.weigh()
                return case, "late"
            said.claim.kind, said.claim.level, said.claim.over = told.kind, told.severity, False
            said.time, said.over = told.time, False
            if case.owner == name:
                case.place = told.place
            case.weigh()
            return case, "updated"
        if case and case.state not in GOING_ON and not (self.again(case, record) or case.never_went_on):
            case = None
        case = case or self.same(told, record)
        effect = "merged"
        if case is None:
            case, effect = self.new(name, told), "opened"
        elif case.state not in GOING_ON:
            case.state, case.verified, case.claims, case.found = "reported", False, [], None
            case.cleared, case.by, case.never_went_on = None, None, False
            effect = "reopened"
        sure = not name.startswith("citizen")
        claim = Claim(name, told.kind, told.severity, sure)
        case.claims.append(claim)
        case.times.append(told.time)
        case.emergency = case.emergency or name.startswith("emergency")
        if sure:
            case.verified = True
            case.state = "verified" if case.state == "reported" else case.state
        case.weigh()
        self.said[name] = Said(case, told.time, False, claim, said.recent if said else [])
        return case, effect

    def _over(self, name: str, told: Told, said: Said | None, record: int, clock: int) -> tuple[Case, str]:
        if said is None:
            case = self.new(name, told)
            case.state, case.never_went_on, case.emergency = "normal", True, True
            case.kind, case.level, case.closed = told.kind, told.severity, told.kind == "road_closure"
            case.ended, case.cleared, case.by = clock, record, "emergency"
            self.said[name] = Said(case, told.time, True, None, [])
            return case, "kept"
        case = said.case
        if said.over or told.time < said.time:
            return case, "late"
        said.time, said.over = told.time, True
        if case.state in GOING_ON and said.claim in case.claims:
            others = [one for one in case.claims if one is not said.claim and one.source.startswith("emergency")]
            if any(not claim.over for claim in others):
                said.claim.over = True
                case.weigh()
            else:
                case.state, case.cleared, case.ended, case.by = "cleared", record, clock, "emergency"
        return case, "resolved"

    def same(self, told: Told, record: int) -> Case | None:
        near = [case for case in self.cases if case.group == told.group and not case.never_went_on]
        near = [case for case in near if metres(case.place, told.place) <= MERGED_METRES]
        on = [case for case in near if case.state in GOING_ON]
        on = [case for case in on if min(case.times) - MERGED_US <= told.time <= max(case.times) + MERGED_US]
        found = on or [case for case in near if self.again(case, record)]
        return min(found, key=lambda case: (metres(case.place, told.place), self.cases.index(case)), default=None)

    def again(self, case: Case, record: int) -> bool:
        if case.state not in ("cleared", "normal") or case.never_went_on or case.cleared is None:
            return False
        return record - case.cleared <= REOPENED_US

    def new(self, name: str, told: Told) -> Case:
        own_id = name.partition(":")[2]
        taken = own_id in [case.name for case in self.cases]
        case = Case(f"other than {own_id}" if taken else own_id, told.place, told.group, name, [told.time])
        self.cases.append(case)
        return case

    # ------------------------------------------------------------------ actions

    def act(self, name: str, action: str, level: int | None, unit: str | None, record: int, clock: int) -> None:
        self.until(clock)
        case = next((case for case in self.cases if case.name == name), None)
        if case is None:
            return
        allowed: tuple[str, ...] = {
            **{"confirm": ("reported",), "reject": ("reported",), "respond": GOING_ON, "clear": GOING_ON},
            **{"reopen": ("cleared", "normal"), "normal": ("cleared",)},
        }[action]
        if case.state not in allowed or (action == "reopen" and not self.again(case, record)):
            return
        case.found = level or case.found
        if action in ("confirm", "respond", "reopen"):
            for claim in case.claims:
                claim.sure = True
            case.verified = True
        if action == "reopen":
            case.cleared, case.by = None, None
        if action == "clear":
            case.cleared, case.by = record, "op"
        if action == "respond" and unit and unit not in case.units:
            case.units.append(unit)
        if action in ("clear", "reject", "normal"):
            case.ended = clock
        case.state = {
            **{"confirm": "verified", "reopen": "verified", "respond": "responding"},
            **{"clear": "cleared", "reject": "rejected", "normal": "normal"},
        }[action]
        case.weigh()
        case.heard = max(case.heard, clock)
