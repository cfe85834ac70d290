from __future__ import annotations

import psutil

from trafficapp.settings import load_settings
from trafficapp.stores.postgres.behind import NICENESS, _lower
from trafficapp.stores.postgres.connection import create_pool


async def test_the_servers_process_for_a_connection_is_put_behind_others(database_url: str) -> None:
    settings = load_settings(postgres={"url": database_url}).postgres
    async with (
        create_pool(settings) as usual,
        create_pool(settings, is_behind=True) as behind,
        usual.acquire() as one,
        behind.acquire() as other,
    ):
        before = psutil.Process(one.get_server_pid()).nice()
        assert before < NICENESS, "run the tests with the usual priority"
        assert psutil.Process(other.get_server_pid()).nice() == NICENESS
        # a process of another client, one that is none of Postgres, one that is not there
        port = await one.fetchval("SELECT inet_client_port()")
        assert not _lower(other.get_server_pid(), port)
        assert not _lower(psutil.Process().pid, port)
        assert not _lower(2**22 + 1, port)
        assert psutil.Process(one.get_server_pid()).nice() == before
