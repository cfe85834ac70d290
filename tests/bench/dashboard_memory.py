"""What a page keeps, beside what its process has not given back yet.

A browser lets garbage lie while the machine has memory to spare: the memory of its process grows for hours without
anything being kept. So a debugger comes by for a second, has the garbage collected in the page and in its workers, and
asks what is left; it is gone again before the page goes on, since one that stays keeps what the page was told.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_ANSWER_SECONDS = 60.0
#: Until a target has told of all its workers.
_TOLD_SECONDS = 1.0


@dataclass(frozen=True)
class Kept:
    """What is left once the garbage is collected.

    Attributes:
        heap_mb: of JavaScript, of the page and its workers.
        nodes: of documents.
        listeners: of events.
    """

    heap_mb: float
    nodes: int
    listeners: int


async def kept(http: aiohttp.ClientSession, port: int) -> Kept:
    """Have the garbage of the only page collected, and say what is left.

    Args:
        http: asks.
        port: of the browser's debugger.
    """
    async with http.get(f"http://127.0.0.1:{port}/json/version") as answer:
        address = (await answer.json())["webSocketDebuggerUrl"]
    async with http.ws_connect(address, max_msg_size=0) as socket:
        debugger = _Debugger(socket)
        listening = asyncio.create_task(debugger.listen())
        try:
            targets = (await debugger.call("Target.getTargets"))["targetInfos"]
            (page,) = (one["targetId"] for one in targets if one["type"] == "page")
            session = (await debugger.call("Target.attachToTarget", targetId=page, flatten=True))["sessionId"]
            attach: dict[str, Any] = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
            await debugger.call("Target.setAutoAttach", session, **attach)
            await asyncio.sleep(_TOLD_SECONDS)
            heap_bytes = 0
            for one in dict.fromkeys([session, *debugger.attached]):
                # what the first round lets go may have held other things
                await debugger.call("HeapProfiler.collectGarbage", one)
                await debugger.call("HeapProfiler.collectGarbage", one)
                heap_bytes += (await debugger.call("Runtime.getHeapUsage", one))["usedSize"]
            counted = await debugger.call("Memory.getDOMCounters", session)
        finally:
            listening.cancel()
    return Kept(heap_bytes / 1e6, counted["nodes"], counted["jsEventListeners"])


@dataclass
class _Debugger:
    """Speaks the Chrome DevTools Protocol."""

    socket: aiohttp.ClientWebSocketResponse
    attached: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _asked: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Take in answers and what is told of workers."""
        async for message in self.socket:
            told = message.json()
            if "id" in told:
                self._asked.pop(told["id"]).set_result(told)
            elif told["method"] == "Target.attachedToTarget":
                self.attached.append(told["params"]["sessionId"])

    async def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Ask, and wait for the answer.

        Raises:
            RuntimeError: the browser refuses.
        """
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        question = {"id": number, "method": method, "params": parameters}
        await self.socket.send_json(question if session is None else question | {"sessionId": session})
        told = await asyncio.wait_for(answer, _ANSWER_SECONDS)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']['message']}")
        found: dict[str, Any] = told["result"]
        return found
