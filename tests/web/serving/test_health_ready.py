from __future__ import annotations

from tests.web.conftest import Worker


async def test_ready_follows_the_partitions_and_live_does_not(worker: Worker) -> None:
    answers = []
    for is_ready in (False, True, False):
        worker.context.is_ready = lambda is_ready=is_ready: is_ready  # type: ignore[misc]
        live = await worker.client.get("/health/live")
        ready = await worker.client.get("/health/ready")
        assert (live.status, await live.json()) == (200, {"status": "live"})
        answers.append(ready.status)
        assert ready.content_type == ("application/json" if is_ready else "application/problem+json")
        assert ("Retry-After" in ready.headers) is not is_ready
    assert answers == [503, 200, 503]
    # what is away elsewhere restarts nobody
    assert (await (await worker.client.get("/health")).json())["kafka"] == "unreachable"
