"""Every operation x every kind of caller, from the list of operations, so that none is forgotten."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import ADMIN, ADMIN_KEY, Worker, serving
from trafficapp.settings import Settings, load_settings
from web.auth.access import Access
from web.serving.operations import OPERATIONS, Operation

REFUSED, TOO_SMALL, LET_IN = 401, 403, 0


def callers() -> dict[str, tuple[dict[str, str], tuple[int, int, int, int]]]:
    """By kind: headers, and what follows for public reads, guarded reads, operators' and admins' operations."""
    return {
        "no token": ({}, (LET_IN, REFUSED, REFUSED, REFUSED)),
        "viewer": (tokens.bearer(tokens.rs256("viewer")), (LET_IN, LET_IN, TOO_SMALL, TOO_SMALL)),
        "operator": (tokens.bearer(tokens.hs256("operator")), (LET_IN, LET_IN, LET_IN, TOO_SMALL)),
        "admin": (tokens.bearer(tokens.es256(["other", "admin"])), (LET_IN, LET_IN, LET_IN, LET_IN)),
        "static token": (ADMIN, (LET_IN, LET_IN, LET_IN, LET_IN)),
        "static token as bearer": (tokens.bearer(ADMIN_KEY), (LET_IN, LET_IN, LET_IN, LET_IN)),
        "no known role": (tokens.bearer(tokens.hs256("king")), (LET_IN, TOO_SMALL, TOO_SMALL, TOO_SMALL)),
        **{
            name: (headers, (REFUSED, REFUSED, REFUSED, REFUSED))
            for name, headers in {
                "expired": tokens.bearer(tokens.hs256("admin", exp=time.time() - 60)),
                "alg=none": tokens.bearer(tokens.unsigned()),
                "wrong secret": tokens.bearer(tokens.hs256("admin", secret="x" * 40)),
                "wrong key": tokens.bearer(tokens.rs256("admin", key=tokens.rsa.generate_private_key(65537, 2048))),
                "unknown key": tokens.bearer(tokens.rs256("admin", kid="other")),
                "public key as secret": tokens.bearer(tokens.signed_with_public_key()),
                "wrong static token": {"X-Admin-Token": ADMIN_KEY + "x"},
                "static token, then a wrong one": ADMIN | {"X-Admin-Token": ADMIN_KEY[:-1]},
            }.items()
        },
    }


#: What is open to everybody, and what changes nothing although it is no GET.
OPEN = {
    *("/health", "/health/live", "/health/ready", "/api/health", "/metrics"),
    *("/openapi.json", "/asyncapi.json", "/api/dashboard/settings"),
}
READING_POSTS = {"/route/recommend"}
#: Whoever may read may report what he saw.
REPORTS = {"/api/incidents/report"}


def expected(operation: Operation, outcomes: tuple[int, int, int, int], public_reads: bool) -> int:
    if operation.access is Access.OPEN:
        return LET_IN
    public, guarded, operate, administer = outcomes
    read = public if public_reads else guarded
    return {Access.READ: read, Access.OPERATE: operate, Access.ADMINISTER: administer}[operation.access]


@pytest.fixture(params=[True, False], ids=["reads are public", "reads are guarded"])
async def guarded_worker(
    settings: Settings, redis_server: RedisServer, request: pytest.FixtureRequest
) -> AsyncIterator[Worker]:
    async with tokens.key_server() as keys:
        auth = {"public_reads": request.param, "jwt_secret": tokens.SECRET, **tokens.published_at(keys.url)}
        auth |= FREE_GUESSES
        complete = load_settings(**{**settings.model_dump(exclude={"auth", "limits"}), "auth": auth, "limits": FREE})
        async with serving(complete, redis_server) as worker:
            yield worker


FREE = {"requests_per_second": 1e6, "burst": 1_000_000}
FREE_GUESSES = {"wrong_keys_per_minute": 1e6, "wrong_keys_per_minute_in_all": 1e6}


async def test_every_operation_for_every_caller(guarded_worker: Worker) -> None:
    operations = guarded_worker.client.app[OPERATIONS]
    public_reads = guarded_worker.context.settings.auth.public_reads
    faults, known = [], callers()
    async with aiohttp.ClientSession() as session:
        for operation in operations:
            url = guarded_worker.client.make_url(re.sub(r"\{[^}]*\}", "1", operation.path))
            for name, (headers, outcomes) in known.items():
                wanted = expected(operation, outcomes, public_reads)
                async with session.request(operation.method, url, headers=headers) as response:
                    status = response.status if response.status in (REFUSED, TOO_SMALL) else LET_IN
                    challenge = response.headers.get("WWW-Authenticate", "")
                if status != wanted or (status == REFUSED) != challenge.startswith("Bearer"):
                    faults.append(f"{operation.method} {operation.path}, {name}: {response.status}, not {wanted}")
    assert not faults
    assert len(operations) > 10


async def test_nothing_is_more_open_than_meant(worker: Worker) -> None:
    operations = worker.client.app[OPERATIONS]
    assert {operation.path for operation in operations if operation.access is Access.OPEN} <= OPEN
    writes = [operation for operation in operations if operation.method != "GET"]
    assert {operation.path for operation in writes if operation.access is Access.READ} <= READING_POSTS | REPORTS
    known = {re.sub(r"\{(\w+):[^}]*\}", r"{\1}", operation.path) for operation in operations}
    pages = {resource.canonical for resource in worker.client.app.router.resources()} - known
    assert all(re.fullmatch(r"/|/roads|/static/.*|/docs(/.*)?", page) for page in pages), pages
