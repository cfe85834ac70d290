from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trafficapp.stack import ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_preferred_port_is_taken(taken_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
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
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    other = f"from trafficapp.stack import ports; print(ports.choose({free}), flush=True); input()"
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
