"""What a command or a worker does not need is not loaded for it: that is most of what its start would cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CLIENTS = ("aiokafka", "asyncpg", "confluent_kafka", "redis")
_NUMBERS = ("numpy", "scipy", "shapely", "pyarrow", "onnxruntime")


@pytest.mark.parametrize(
    ("loaded", "without"),
    [
        ("trafficapp.commands.set_up", (*_CLIENTS, *_NUMBERS, "faust", "rich", "web", "agents")),
        ("trafficapp.commands.inspection_commands", (*_CLIENTS, *_NUMBERS, "faust", "rich", "web", "agents")),
        ("trafficapp.topics", (*_CLIENTS, *_NUMBERS, "faust", "rich", "web", "agents")),
        ("trafficapp.feeds.declared", (*_CLIENTS, "scipy", "shapely", "pyarrow", "onnxruntime", "faust", "web")),
        ("trafficapp.commands.shapes", (*_CLIENTS, *_NUMBERS, "faust", "rich", "web", "agents")),
        ("trafficapp.forecast.artifacts.artifact", ("pyarrow",)),
        ("trafficapp.app", (*_NUMBERS, "confluent_kafka", "prometheus_client", "agents", "trafficapp.feeds.declared")),
        ("trafficapp.app", ("scipy", "shapely", "pyarrow", "onnxruntime", "rich", "web", "torch")),
    ],
)
def test_loading_one_does_not_load_what_it_does_not_need(loaded: str, without: tuple[str, ...]) -> None:
    module, _, attribute = loaded.rpartition(".")
    load = f"from {module} import app" if attribute == "app" else f"import {loaded}"
    found = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", f"import sys; {load}; print(*sys.modules)"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert loaded in found or attribute == "app"
    assert not [one for one in without if one in found]


@pytest.mark.parametrize("role", ["streams", "history", "site"])
def test_a_worker_that_serves_loads_no_files_of_training(role: str) -> None:
    found = subprocess.run(  # noqa: S603 - our own words
        [
            sys.executable,
            "-c",
            "import sys; from trafficapp.application import create_app; from trafficapp.settings import load_settings; "
            f"create_app(load_settings(worker={{'role': {role!r}}})).web; print(*sys.modules)",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "web.application" in found
    assert not {"pyarrow", "scipy", "onnxruntime", "torch", "rich"} & set(found)


def test_the_web_server_has_views_whoever_asks_for_it_first() -> None:
    """A worker of Faust asks for it before it starts the application."""
    asked = "import sys; from trafficapp import app; app.web; print(len(app.run_readers), *sys.modules)"
    readers, *found = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", asked], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "web.application" in found
    assert int(readers) > 0
