"""Who asks is told by the token that came along."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import ADMIN, serving
from trafficapp.settings import Settings, load_settings


@pytest.mark.parametrize("public_reads", [True, False])
async def test_who_asks(settings: Settings, redis_server: RedisServer, public_reads: bool) -> None:
    auth = {"public_reads": public_reads, "jwt_secret": tokens.SECRET}
    complete = load_settings(**{**settings.model_dump(exclude={"auth"}), "auth": auth})
    async with serving(complete, redis_server) as worker, aiohttp.ClientSession() as session:

        async def asked(headers: dict[str, str], status: int = 200) -> Any:
            async with session.get(worker.client.make_url("/api/caller"), headers=headers) as answer:
                assert answer.status == status
                return msgspec.json.decode(await answer.read())

        found = await asked(tokens.bearer(tokens.hs256("operator", exp=4102444790)))
        expected = {"name": "anna", "role": "operator", "authenticated": True, "expires_at": "2100-01-01T00:00:00Z"}
        assert found == expected
        assert await asked(ADMIN | {"X-Admin-User": "bo"}) == {
            **{"name": "bo", "role": "admin"},
            **{"authenticated": True, "expires_at": None},
        }
        nobody = await asked({}, 200 if public_reads else 401)
        assert not public_reads or (nobody["role"], nobody["authenticated"]) == ("viewer", False)
