"""The worker behind an open page is killed and started again, as `trafficapp up` does it."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import time
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession
from confluent_kafka import Producer
from playwright.async_api import Browser, Page, expect

from models.alerts import encode_alert_event
from models.timestamps import rfc3339
from tests.agents.test_live import worker
from tests.ports import free_port
from tests.stores.alerts.alert_messages import alert_event
from tests.stores.redis.redis_server import RedisServer
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import visit
from trafficapp.engine.kafka import create_topics
from trafficapp.settings import Settings, load_settings
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.topics import ALERTS, declared_topics

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

RUN = secrets.token_hex(3)
LIVE = '.badge[data-state="live"], .badge[data-state="standing"]'
WITHIN_MS = 60_000


def said(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


async def up(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers."""
    async with ClientSession() as session:
        for _ in range(300):
            assert process.poll() is None, said(log)
            try:
                async with session.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                    if answer.ok:
                        return
            except ClientError:
                pass
            await asyncio.sleep(0.2)
    raise AssertionError(f"it is not ready: {said(log)}")


def tell(settings: Settings, *names: str) -> None:
    """Alerts as the alerts' worker sends them."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "partitioner": "murmur2_random"})
    now = rfc3339(time.time_ns() // 1000)
    for name in names:
        made = alert_event(
            f"{RUN}-{name}", f"{RUN}-{name}", title=f"{RUN} {name}", since=now, triggered_at=now, updated_at=now
        )
        producer.produce(ALERTS, encode_alert_event(made), made.camera_id)
    assert producer.flush(30) == 0


async def titles(page: Page) -> list[str]:
    """Of our alerts in the list of open ones."""
    listed = await page.locator(".pick.alert b").all_inner_texts()
    return sorted(title for title in listed if title.startswith(RUN))


async def test_the_page_says_so_and_catches_up_with_every_alert_once(
    stack: Endpoints, redis_server: RedisServer, migrated: str, plain: Browser, tmp_path: Path
) -> None:
    settings = load_settings(
        app_id=f"dash-{RUN}",
        kafka={"bootstrap_servers": stack.kafka_bootstrap_servers},
        redis={"url": redis_server.url},
    )
    await create_topics(settings, declared_topics(settings))
    endpoints = Endpoints(stack.kafka_bootstrap_servers, migrated, redis_server.url)
    port = free_port()
    log = tmp_path / f"{port}.log"
    with worker(settings, endpoints, tmp_path, port) as process:
        await up(port, process, log)
        tell(settings, "before")
        async with visit(plain, f"http://127.0.0.1:{port}", locale="en-GB") as seen:
            await seen.go("/#/alerts")
            await seen.page.wait_for_selector(LIVE)
            await seen.page.locator(".pick.alert", has_text=f"{RUN} before").wait_for(timeout=WITHIN_MS)
            await seen.page.evaluate("window.sameDocument = true")
            process.kill()
            process.wait()
            await seen.page.locator('.banner[data-kind="lost"]').first.wait_for()
            await seen.page.wait_for_selector('.badge[data-state="lost"]')
            meanwhile = [f"meanwhile-{number:02}" for number in range(25)]
            tell(settings, *meanwhile)
            with worker(settings, endpoints, tmp_path, port) as again:
                await up(port, again, log)
                await seen.page.locator(".pick.alert", has_text=meanwhile[-1]).wait_for(timeout=WITHIN_MS)
                await seen.page.wait_for_selector(LIVE, timeout=WITHIN_MS)
                tell(settings, "after")
                await seen.page.locator(".pick.alert", has_text=f"{RUN} after").wait_for(timeout=WITHIN_MS)
                assert await titles(seen.page) == sorted(f"{RUN} {name}" for name in ["after", "before", *meanwhile])
                await expect(seen.page.locator('.banner[data-kind="lost"]')).to_have_count(0)
                assert await seen.page.evaluate("window.sameDocument")
                assert not [fault for fault in seen.faults if "ERR_" not in fault]
