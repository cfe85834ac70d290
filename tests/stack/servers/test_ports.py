from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from trafficapp.stack import children, workers
from trafficapp.stack.servers import ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    port = free_port(room=2)
    with socket.create_server(("127.0.0.1", port)):
        yield port


def test_a_free_preferred_port_is_taken() -> None:
    free = free_port()
    assert ports.choose(free) == free


def test_another_port_when_the_preferred_one_is_in_use(taken_port: int) -> None:
    chosen = ports.choose(taken_port)
    assert chosen != taken_port
    assert ports.is_free(chosen)


def test_a_server_on_every_address_blocks_the_port() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - what is tested
        assert not ports.is_free(server.getsockname()[1])


def test_a_port_given_away_before_is_not_given_twice() -> None:
    first = ports.choose(0)
    assert ports.choose(first, taken=[first]) != first


def test_a_port_that_another_process_has_chosen_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    free = free_port()
    other = f"from trafficapp.stack.servers import ports; print(ports.choose({free}), flush=True); input()"
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", other], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == free
        # its server does not listen yet
        assert ports.is_free(free)
        assert ports.choose(free) != free
        process.kill()
    assert ports.choose(free) == free
    assert ports.choose(free) == free


def test_ports_stay_the_same_at_the_next_start(tmp_path: Path, taken_port: int) -> None:
    first = ports.RememberedPorts(tmp_path)
    port = first.choose("redis", taken_port)
    other = first.choose("kafka", free_port())
    assert first.taken == [f"port {taken_port} is taken, redis is on {port}"]
    second = ports.RememberedPorts(tmp_path)
    assert (second.choose("redis", taken_port), second.choose("kafka", 9092)) == (port, other)
    assert second.taken == []


def test_a_port_that_was_taken_meanwhile_is_told_and_the_new_one_kept(tmp_path: Path) -> None:
    port = ports.RememberedPorts(tmp_path).choose("kafka", free_port())
    with socket.create_server(("127.0.0.1", port)):
        second = ports.RememberedPorts(tmp_path)
        moved = second.choose("kafka", 9092)
    assert moved != port
    assert second.taken == [f"port {port} is taken, kafka is on {moved}"]
    assert ports.RememberedPorts(tmp_path).choose("kafka", 9092) == moved


def test_no_two_processes_have_one_port_and_that_is_not_told_as_taken(tmp_path: Path) -> None:
    preferred = free_port(room=2)
    remembered = ports.RememberedPorts(tmp_path)
    assert remembered.choose("one", preferred) != remembered.choose("two", preferred)
    assert remembered.taken == []


def test_two_that_keep_ports_in_one_folder_keep_each_others(tmp_path: Path) -> None:
    servers, workers = ports.RememberedPorts(tmp_path), ports.RememberedPorts(tmp_path)
    servers.keep("kafka", 9999)
    workers.keep("live", 6166)
    workers.forget(["live"])
    workers.keep("roads", 6167)
    kept = ports.RememberedPorts(tmp_path)
    assert [kept.get(name) for name in ("kafka", "live", "roads")] == [9999, None, 6167]


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"kafka": "9", "redis": 0, "live": 99999, "roads": true}'])
def test_what_cannot_be_read_is_not_remembered(tmp_path: Path, text: str) -> None:
    (tmp_path / ports.FILE_NAME).write_text(text)
    kept = ports.RememberedPorts(tmp_path)
    assert [kept.get(name) for name in ("kafka", "redis", "live", "roads")] == [None] * 4


def test_another_port_is_one_that_no_client_is_given(taken_port: int) -> None:
    preferred = free_port(room=2)
    with socket.create_server(("127.0.0.1", preferred)):
        assert preferred < ports.choose(preferred) <= preferred + ports.PORTS_TRIED


def test_what_a_killed_run_left_on_a_port_is_ended(tmp_path: Path) -> None:
    port = ports.RememberedPorts(tmp_path).choose("redis", free_port())
    code = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); print(1, flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as left:  # noqa: S603 - our own code
        assert left.stdout is not None
        left.stdout.readline()
        children.remember(tmp_path / "run" / "redis.pid", left.pid)
        again = ports.RememberedPorts(tmp_path)
        assert again.choose("redis", 6379) == port
        assert again.taken == []


def test_workers_have_the_same_ports_again_unless_another_is_asked_for(tmp_path: Path) -> None:
    first = free_port(room=400)
    with socket.create_server(("127.0.0.1", first + 1)):
        chosen = workers.choose_workers(2, first, ports.RememberedPorts(tmp_path))
    assert chosen[0].web_port == first
    assert chosen[1].web_port != first + 1
    for asked in (None, first):
        assert workers.choose_workers(2, asked, ports.RememberedPorts(tmp_path)) == chosen
    elsewhere = workers.choose_workers(2, first + 200, ports.RememberedPorts(tmp_path))
    assert [worker.web_port for worker in elsewhere[:3]] == [first + 200, first + 201, first + 300]


def test_what_was_chosen_is_let_go_at_the_end_without_a_word() -> None:
    code = f"from trafficapp.stack.servers import ports; print(ports.choose({(port := free_port())}))"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert (int(done.stdout), done.stderr) == (port, "")
