"""Generated requests against a worker behind which everything is there; the long form is ``make verify-api``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.verification.generated_requests import try_generated_requests
from tests.web.conftest import ADMIN_KEY, Worker
from trafficapp.engine.kafka import create_topics
from trafficapp.feeds.declared import FEEDS
from trafficapp.incidents.feeds import CITIZEN_REPORTS, OPERATOR_ACTIONS
from trafficapp.stores.migrations import migrate
from trafficapp.topics import declared_topics

SENT = frozenset({CITIZEN_REPORTS, OPERATOR_ACTIONS})


async def test_generated_requests(history_worker: Worker, database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrate, database_url)
    settings = history_worker.context.settings
    # what people send through the API goes there
    await create_topics(settings, [topic for topic in declared_topics(settings, FEEDS) if topic.name in SENT])
    url = str(history_worker.client.make_url("")).rstrip("/")
    outcome = await try_generated_requests(
        url, ADMIN_KEY, tmp_path, examples=3, phases="examples,fuzzing,stateful", seed=20261121
    )
    assert outcome.complete, outcome.output
    assert not outcome.failures, outcome.output
    assert outcome.generated > 3 * outcome.operations
    assert outcome.operations > 20
