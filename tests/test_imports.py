"""Imports go one way, and the domain knows neither Faust nor a client."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.source_code import tree_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "trafficapp", "agents", "web")

#: These put the parts together and may know all of them.
COMPOSITION_ROOTS = frozenset({"trafficapp", "trafficapp.application", "trafficapp.cli"})

#: What a package must not import.
FORBIDDEN = {
    "models": {"trafficapp", "agents", "web"},
    "trafficapp": {"agents", "web"},
    "agents": {"web"},
    "web": set[str](),
}

#: Modules of the domain, with everything below them.
DOMAIN = (
    *("models", "trafficapp.windows", "trafficapp.alerts", "trafficapp.roads", "trafficapp.forecast"),
    *("trafficapp.notifications", "trafficapp.analytics", "trafficapp.topics", "trafficapp.movement"),
    "trafficapp.quality",
    *("trafficapp.areas.reading", "trafficapp.areas.literals", "trafficapp.transit", "trafficapp.riders"),
    *("trafficapp.fleet", "trafficapp.incidents", "trafficapp.weather", "trafficapp.city", "trafficapp.matching"),
    *("trafficapp.congestion", "trafficapp.alarms", "trafficapp.measures"),
    *("trafficapp.geocoding.addresses", "trafficapp.geocoding.offline_places"),
    *(
        "trafficapp.timetables",
        "trafficapp.still_cameras",
        "trafficapp.engine.state_rows",
        "trafficapp.engine.forgetting",
        "trafficapp.privacy.pseudonyms",
        "trafficapp.privacy.letters",
    ),
)
ENGINES_AND_CLIENTS = frozenset(
    {
        *("faust", "mode", "aiokafka", "confluent_kafka", "asyncpg", "psycopg", "sqlalchemy", "alembic"),
        *("redis", "aiohttp", "rocksdict", "prometheus_client"),
    }
)
#: Parts of trafficapp that are clients themselves, or bring one along; of the engine these the domain may use.
OUTER_PARTS = (
    *("trafficapp.application", "trafficapp.batching", "trafficapp.engine", "trafficapp.stack", "trafficapp.stores"),
)
PURE_PARTS_OF_THE_ENGINE = ("trafficapp.engine.state_rows", "trafficapp.engine.forgetting", "trafficapp.engine.faults")

#: What serves all subjects of its floor, and therefore imports none of them.
SHARED_ROOMS = (
    *("trafficapp.engine", "trafficapp.batching", "trafficapp.settings", "trafficapp.stores.postgres"),
    *(
        "trafficapp.stores.redis",
        "trafficapp.stores.feeds",
        "agents.feeds",
        "agents.rules",
        "web.guards",
        "web.serving",
        "web.auth",
        "web.feeds",
    ),
)
#: The subjects of a floor, below it.
FLOORS = ("trafficapp.stores", "trafficapp", "agents", "web")
SUBJECTS = frozenset(
    {
        "alarms",
        *("windows", "cameras", "alerts", "roads", "forecast", "notifications", "administration", "analytics"),
        *("areas", "transit", "riders", "fleet", "movement", "quality", "incidents", "weather", "still_cameras"),
        *(
            "timetables",
            "reports",
            "simulation",
            "sources",
            "training",
            "upkeep",
            "geocoding",
            "city",
            "matching",
            "privacy",
            "congestion",
            "measures",
        ),
    }
)
MOST_MODULES_IN_A_ROOM = 20
#: A log to which each change of the tables adds a file; nobody looks for anything in it.
GROWING_ROOMS = frozenset({"trafficapp/stores/migrations/versions"})

VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "misc"})
MAX_LINES = 500


def sources() -> dict[str, Path]:
    """Every module of the packages, by name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = sources()


@cache
def imports_in(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """What a file imports, wherever in it."""
    tree = tree_of(path)
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def imported(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports; for ``from a import b`` both a and a.b."""
    for node in imports_in(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_imported(name: str) -> set[str]:
    """The modules of ours that a module imports itself; a package counts only when something of its own is taken."""
    found = set()
    for node in imports_in(SOURCES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in SOURCES else str(node.module) for module in full}
    return (found & SOURCES.keys()) - {name}


def subject_of(name: str) -> str | None:
    """Floor and subject of a module, such as ``trafficapp.stores.alerts``; None for what serves them all."""
    for floor in FLOORS:
        if below(name, (floor,)) and name != floor:
            subject = name.removeprefix(f"{floor}.").split(".")[0]
            return f"{floor}.{subject}" if subject in SUBJECTS else None
    return None


def below(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def domain() -> list[str]:
    return [name for name in SOURCES if below(name, DOMAIN)]


def test_the_packages_are_found() -> None:
    assert {"models.cameras.detections", "trafficapp.windows.partition", "agents.cameras.windows"} <= SOURCES.keys()
    assert {"trafficapp.windows.congestion", "trafficapp.windows.rules", "models"} <= set(domain())


def test_imports_go_one_way() -> None:
    assert not {
        (name, found)
        for name in SOURCES.keys() - COMPOSITION_ROOTS
        for found in imported(SOURCES[name])
        if found.split(".")[0] in FORBIDDEN[name.split(".")[0]]
    }


def test_the_domain_imports_neither_faust_nor_a_client() -> None:
    assert not {
        (name, found)
        for name in domain()
        for found in imported(SOURCES[name])
        if found.split(".")[0] in ENGINES_AND_CLIENTS
        or (below(found, OUTER_PARTS) and not below(found, PURE_PARTS_OF_THE_ENGINE))
    }


def test_modules_are_named_for_their_subjects_and_are_short() -> None:
    assert not {name for name in SOURCES if VAGUE_NAMES & {*name.split(".")}}
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in SOURCES.items()}
    assert not {name: count for name, count in lines.items() if count > MAX_LINES}


def test_what_serves_all_subjects_imports_none_of_them() -> None:
    wrong = set()
    for name in SOURCES:
        if below(name, SHARED_ROOMS):
            floor = next(floor for floor in FLOORS if below(name, (floor,)))
            subjects = {module: subject_of(module) for module in modules_imported(name)}
            wrong |= {(name, module) for module, of in subjects.items() if of and of.rpartition(".")[0] == floor}
    assert not wrong


def test_there_are_no_circles() -> None:
    """Modules can be put in an order in which each imports only those before it."""
    waiting = {name: modules_imported(name) for name in SOURCES}
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting


def test_no_room_is_crowded() -> None:
    rooms = Counter(path.parent.relative_to(ROOT) for path in SOURCES.values() if path.name != "__init__.py")
    crowded = {str(room): count for room, count in rooms.items() if count > MOST_MODULES_IN_A_ROOM}
    assert crowded.keys() <= GROWING_ROOMS
