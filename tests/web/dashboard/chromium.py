"""A browser that drives the dashboard, and what it saw that it should not have seen."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
NO_CHROMIUM = "no Chromium is installed (apt install chromium): the dashboard's pages were not opened"

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]
#: Without a graphics card the map is drawn by the processor, which takes most of the time of a test.
MAP = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
_NO_MAP = ["--disable-3d-apis"]
_AXE = Path(__file__).resolve().parents[3] / "build" / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
_SETTLED_WITHIN_MS = 60_000

#: What people may write, and what must never become more than a text.
MARKUP = '<img src=x onerror="window.markup=1"><b>bold</b>'
#: Rules of WCAG 2.2 A and AA, as axe names them.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@asynccontextmanager
async def browser(draws_maps: bool) -> AsyncIterator[Browser]:
    """A browser; one that draws no maps shows the tables beside them."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, *(MAP if draws_maps else _NO_MAP)]
        )
        yield started
        await started.close()


@dataclass
class Visit:
    """A page of a worker; `faults` are errors of the console, refusals of the policy, and requests to anybody else."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    async def go(self, where: str) -> None:
        """Open an address and wait until no panel waits for an answer."""
        await self.page.goto(f"{self.base}{where}")
        await self.settled()

    async def settled(self) -> None:
        await self.page.wait_for_selector("main[data-room] h1", state="attached")
        # a function to wait for would be made of a text, which the policy does not allow
        waiting = self.page.locator("[aria-busy=true]")
        await expect(waiting).to_have_count(0, timeout=_SETTLED_WITHIN_MS)

    async def text(self, selector: str) -> str:
        return (await self.page.inner_text(selector)).strip()

    async def unsuitable(self) -> list[str]:
        """Serious and critical findings of axe."""
        if not await self.page.evaluate("'axe' in window"):
            # the policy lets no script in that is not ours: this one comes by way of the debugger
            await self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        found: Any = await self.page.evaluate(
            "async (rules) => (await axe.run(document, {runOnly: rules, resultTypes: ['violations']})).violations"
            ".filter(({impact}) => impact === 'serious' || impact === 'critical')"
            ".flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}"
            " ${node.failureSummary}`))",
            _RULES,
        )
        return list(found)


def is_expected(told: ConsoleMessage) -> bool:
    """Whether a message is no fault; a camera that no forecast is made of is answered with 404, as it should be."""
    return told.type != "error" or "/api/predict/congestion" in told.location.get("url", "")


@asynccontextmanager
async def visit(started: Browser, base: str, **options: Any) -> AsyncIterator[Visit]:
    context: BrowserContext = await started.new_context(reduced_motion="reduce", **options)
    page = await context.new_page()
    seen = Visit(page, base.rstrip("/"))
    page.on("console", lambda told: None if is_expected(told) else seen.faults.append(f"{told.type}: {told.text}"))
    page.on("pageerror", lambda error: seen.faults.append(f"error: {error}"))
    page.on(
        "request",
        lambda asked: (
            None if asked.url.startswith((seen.base, "data:", "blob:")) else seen.faults.append(f"asks {asked.url}")
        ),
    )
    yield seen
    await context.close()


class Door:
    """A port that leads to a worker while it is open; closing it ends all connections through it."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in [*self._writers]:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._to)
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._writers -= {writer, back}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()
