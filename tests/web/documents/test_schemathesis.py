"""Generated requests against a worker behind which everything is there; the long form is ``make verify-api``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.verification.generated_requests import try_generated_requests
from tests.web.conftest import ADMIN_KEY, Worker
from trafficapp.stores.migrations import migrate


async def test_generated_requests(history_worker: Worker, database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrate, database_url)
    url = str(history_worker.client.make_url("")).rstrip("/")
    outcome = await try_generated_requests(
        url, ADMIN_KEY, tmp_path, examples=3, phases="examples,fuzzing,stateful", seed=20261121
    )
    assert outcome.complete, outcome.output
    assert not outcome.failures, outcome.output
    assert outcome.generated > 3 * outcome.operations
    assert outcome.operations > 20
