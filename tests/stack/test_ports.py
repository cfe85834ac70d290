from __future__ import annotations

import socket
from collections.abc import Iterator

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
