"""Imports go one way, and the domain knows neither Faust nor a client."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "trafficapp", "agents", "web")

#: These put the parts together and may know all of them.
COMPOSITION_ROOTS = frozenset({"trafficapp", "trafficapp.application", "trafficapp.cli", "trafficapp.faust_models"})

#: What a package must not import.
FORBIDDEN = {
    "models": {"trafficapp", "agents", "web"},
    "trafficapp": {"agents", "web"},
    "agents": {"web"},
    "web": set[str](),
}

#: Modules of the domain, with everything below them.
DOMAIN = (
    *("models", "trafficapp.windows", "trafficapp.alerts", "trafficapp.windows.congestion", "trafficapp.windows.speed"),
    *("trafficapp.engine.state_rows", "trafficapp.topics", "trafficapp.roads", "trafficapp.forecast"),
    *("trafficapp.notifications", "trafficapp.engine.forgetting"),
)
ENGINES_AND_CLIENTS = frozenset(
    {
        *("faust", "mode", "aiokafka", "confluent_kafka", "asyncpg", "psycopg", "sqlalchemy", "alembic"),
        *("redis", "aiohttp", "rocksdict", "prometheus_client"),
    }
)
#: Parts of trafficapp that are clients themselves, or bring one along.
OUTER_PARTS = (
    *("trafficapp.application", "trafficapp.batching", "trafficapp.engine.finished", "trafficapp.engine.kafka"),
    *("trafficapp.engine.outbox", "trafficapp.stack", "trafficapp.engine.state", "trafficapp.stores"),
)

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


def imported(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports, wherever in it; for ``from a import b`` both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def domain() -> list[str]:
    return [name for name in SOURCES if below(name, DOMAIN)]


def test_the_packages_are_found() -> None:
    assert {"models.cameras.detections", "trafficapp.windows.partition", "agents.cameras.windows"} <= SOURCES.keys()
    assert {"trafficapp.windows.congestion", "trafficapp.windows.rules", "models"} <= set(domain())


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in COMPOSITION_ROOTS])
def test_imports_go_one_way(name: str) -> None:
    wrong = {found for found in imported(SOURCES[name]) if found.split(".")[0] in FORBIDDEN[name.split(".")[0]]}
    assert not wrong


@pytest.mark.parametrize("name", domain())
def test_the_domain_imports_neither_faust_nor_a_client(name: str) -> None:
    wrong = {
        found
        for found in imported(SOURCES[name])
        if found.split(".")[0] in ENGINES_AND_CLIENTS or below(found, OUTER_PARTS)
    }
    assert not wrong


@pytest.mark.parametrize(("name", "path"), SOURCES.items())
def test_a_module_is_named_for_its_subject_and_short(name: str, path: Path) -> None:
    assert VAGUE_NAMES.isdisjoint(name.split("."))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
