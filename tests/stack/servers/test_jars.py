from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import jars

CONTENT = b"a jar"
JAR = jars.Jar("org.example", "thing", "1.2", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def download_of(content: bytes) -> jars.Download:
    def download(jar: jars.Jar, scratch: Path) -> Path:
        scratch.mkdir(parents=True)
        path = scratch / jar.file_name
        path.write_bytes(content)
        return path

    return download


def test_the_shipped_lock_names_the_broker_and_pins_every_jar() -> None:
    locked = jars.locked_jars()
    assert len(locked) == 46
    assert "org.apache.kafka:kafka_2.13:4.3.1" in {jar.coordinate for jar in locked}
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size_bytes > 0 for jar in locked)
    assert len({jar.file_name for jar in locked}) == 46


def test_a_verified_jar_arrives_whole_and_leaves_no_scratch(tmp_path: Path) -> None:
    arrived: list[int] = []
    jars.fetch([JAR], tmp_path, arrived.append, download_of(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.2.jar"]
    assert arrived == [len(CONTENT)]
    assert jars.missing([JAR], tmp_path) == []


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"org\.example:thing:1\.2 arrived with sha256 .* was not used"):
        jars.fetch([JAR], tmp_path, lambda size_bytes: None, download_of(b"a lie"))
    assert list(tmp_path.iterdir()) == []


def test_a_passing_failure_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "RETRY_AFTER_SECONDS", 0.01)
    attempts: list[Path] = []

    def second_time_lucky(jar: jars.Jar, scratch: Path) -> Path:
        attempts.append(scratch)
        if len(attempts) == 1:
            raise ConnectionError("reset by peer")
        return download_of(CONTENT)(jar, scratch)

    jars.fetch([JAR], tmp_path, lambda size_bytes: None, second_time_lucky)
    assert len(attempts) == 2
    assert jars.missing([JAR], tmp_path) == []


def test_without_network_the_person_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "RETRY_AFTER_SECONDS", 0.01)

    def offline(jar: jars.Jar, scratch: Path) -> Path:
        raise ConnectionError("network is unreachable")

    with pytest.raises(StackError, match=r"network is unreachable.*first start needs the network"):
        jars.fetch([JAR], tmp_path, lambda size_bytes: None, offline)


@pytest.mark.parametrize("line", ["a:b:1 size=3", "a:b size=3 sha256=" + "0" * 64, "a:b:1 size=x sha256=" + "0" * 64])
def test_a_line_of_another_form_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        jars.parse_lock("# comment\n" + line)
