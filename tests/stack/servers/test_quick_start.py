"""What lets Kafka start quickly."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from trafficapp.stack.process_spec import ProcessSpec
from trafficapp.stack.servers import kafka, quick_start
from trafficapp.stack.servers.endpoints import Endpoints


def _java(folder: Path, release: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch()
    (folder / "release").write_text(release, encoding="utf-8")
    return java


def test_each_java_and_class_path_has_a_file_of_its_own(tmp_path: Path) -> None:
    java = _java(tmp_path / "a", 'JAVA_VERSION="25.0.2"\n')
    other = _java(tmp_path / "b", 'JAVA_VERSION="26"\n')
    places = {
        quick_start.cache_path(java, "one.jar", tmp_path),
        quick_start.cache_path(java, "two.jar", tmp_path),
        quick_start.cache_path(other, "one.jar", tmp_path),
    }
    assert len(places) == 3
    assert all(place is not None and place.parent == tmp_path for place in places)


@pytest.mark.parametrize(
    "release", ['JAVA_VERSION="21.0.4"\n', 'JAVA_VERSION="1.8.0_402"\n', "", "nothing of a version"]
)
def test_an_older_java_keeps_none(tmp_path: Path, release: str) -> None:
    assert quick_start.cache_path(_java(tmp_path, release), "one.jar", tmp_path) is None


def test_a_java_that_says_nothing_of_itself_keeps_none(tmp_path: Path) -> None:
    assert quick_start.cache_path(tmp_path / "bin" / "java", "one.jar", tmp_path) is None


def test_what_is_recorded_is_the_broker_as_it_starts_but_for_the_file(tmp_path: Path) -> None:
    plain = ["java", "-Xmx256m", "-cp", "one.jar", "kafka.Kafka", "properties"]
    cache = tmp_path / "classes-x.aot"
    spec = ProcessSpec("kafka", [plain[0], *quick_start.options(cache), *plain[1:]])
    recorded = quick_start.recording(spec, cache).command
    assert [one for one in recorded if not one.startswith(("-XX:AOT", "-Xlog:"))] == plain
    assert f"-XX:AOTCacheOutput={cache}" in recorded
    assert f"-XX:AOTCache={cache}" not in recorded


def test_old_files_of_others_go(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "a", "b", "c", "d", "e")):
        (tmp_path / f"classes-{name}.aot").touch()
        os.utime(tmp_path / f"classes-{name}.aot", (1_000 - age, 1_000 - age))
    (tmp_path / "kafka.jar").touch()
    quick_start.forget_others(tmp_path / "classes-e.aot")
    # the newest three, and the one that is asked for, however old it is
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"classes-{name}.aot" for name in ("new", "a", "b", "e")),
        "kafka.jar",
    }


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who has which file mapped is asked of Linux")
def test_the_broker_takes_the_file_that_was_prepared(stack: Endpoints) -> None:
    cache = kafka.quick_start_path()
    if cache is None or not cache.exists():
        pytest.skip("`trafficapp stack --prepare` made no file here; `make setup` runs it")
    assert stack.kafka_bootstrap_servers is not None
    port = int(stack.kafka_bootstrap_servers.rpartition(":")[2])
    (broker,) = {
        one.pid for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }
    assert broker is not None
    assert any(one.path == str(cache) for one in psutil.Process(broker).memory_maps(grouped=False))
