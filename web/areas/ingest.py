"""``/ws``: readings of area counters in, an answer to each; and vehicles to those who only listen.

Two kinds of clients share the address, and nothing but what they do tells them apart: counters send and read an answer
to each message, the map of the transit system sends nothing and is told of vehicles. So a new client is listened to for
a moment before it is told of any: a counter that sends at once reads its answer first, as it expects.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TypeAlias

import msgspec
from aiohttp import web

from models.areas.messages import IngestAnswer
from models.cameras.detections import Rejected
from trafficapp.areas.feeds import AREA_INCOMING
from trafficapp.areas.literals import json_of_literal
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from web.areas.deliveries import Deliveries, TooManyWaiting
from web.areas.pace import Pace
from web.auth.callers import CallerRole, caller_of
from web.feeds.socket import DocumentFeed
from web.serving.limits import LIMITER
from web.serving.operations import Operation, Tag
from web.sockets.clients import SocketClient, SocketClients
from web.sockets.subscription import Tasks
from web.sockets.windows import SOCKET_ERRORS

#: What its counters are counted under.
NAME = "area-ingest"

_WRONG, _NOT_STORED, _FORBIDDEN = "Invalid message format", "Not stored", "Not allowed"

_encode = msgspec.json.Encoder().encode

#: An answer, or what it depends on: the answer if all goes well, Kafka's word, and until when that is waited for.
_Answer: TypeAlias = "IngestAnswer | tuple[IngestAnswer, asyncio.Future[None], float]"


class AreaIngest:
    """The route, its clients, and the way to Kafka.

    Args:
        settings: of the process.
        telemetry: of the process.
        outbox: of the worker.
        vehicles: what clients are told that send nothing; None tells them nothing.
    """

    def __init__(
        self, settings: Settings, telemetry: Telemetry, outbox: Outbox, vehicles: DocumentFeed | None = None
    ) -> None:
        areas = settings.areas
        self.vehicles = vehicles
        self.settings = areas
        # what is somewhat too long is answered, what is far too long is cut off
        self.clients = SocketClients("/ws", settings, telemetry, 2 * areas.ingest_message_bytes)
        self.deliveries = Deliveries(outbox, AREA_INCOMING.topic_in(settings))
        self.pace = Pace(areas.ingest_messages_per_second, areas.ingest_burst)
        self._decoder = FeedDecoder(AREA_INCOMING, settings)
        self._outcomes = telemetry.feed_messages
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to send."""
        self._tasks.start(self.deliveries.run())

    async def stop(self) -> None:
        """Stop sending."""
        await self._tasks.stop()

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Readings of area counters in, an answer to each; vehicles to who only listens.

        A client sends readings as on the topic `traffic_data`, one a message: JSON, or the same as a literal of Python
        (`{'label': None}`). Each is answered in order: `{"status": "accepted", ...}` once Kafka has it, or
        `{"error": "Invalid message format", "reason": ..., "detail": ...}` with the reason that a dead letter would
        have. The error `Not stored` means that Kafka did not take it in time: it may be sent again, since the same
        reading counts once. Who sends faster than the settings allow is read more slowly.

        A client that has sent nothing is told of vehicles from the second second on, one a message; once it has sent
        something, it hears answers only. A client that reads too slowly or answers no pings is cut with 1013, one that
        sends a message of more than twice the longest that is read with 1009.
        """
        visit = _Visit(self, request)
        return await self.clients.serve(request, visit.attend, visit.leave, visit.hear)

    def judge(self, data: str | bytes, may_send: bool) -> _Answer:
        """Look at a message, and hand it in if it is a reading."""
        try:
            answer = self._handed_in(data, may_send)
        except Rejected as error:
            answer = IngestAnswer(error=_WRONG, reason=error.reason, detail=error.detail)
        except TooManyWaiting:
            answer = _not_stored("too many messages wait for Kafka")
        self._outcomes.labels(NAME, answer.reason if isinstance(answer, IngestAnswer) else "accepted").inc()
        return answer

    def operations(self) -> list[Operation]:
        """What this view answers."""
        return [
            Operation(
                f"GET {self.clients.route}",
                self.live,
                Tag.LIVE,
                IngestAnswer,
                errors=SOCKET_ERRORS,
                websocket=True,
            )
        ]

    def _handed_in(self, data: str | bytes, may_send: bool) -> _Answer:
        if not may_send:
            return IngestAnswer(error=_FORBIDDEN, reason="forbidden", detail="readings need a token of an operator")
        value = data.encode() if isinstance(data, str) else data
        most = self.settings.ingest_message_bytes
        if len(value) > most:
            raise Rejected("too_large", f"the message has {len(value):,} bytes, and {most:,} are read")
        now_us = time.time_ns() // 1000
        try:
            accepted = self._decoder.check(None, value, now_us)
        except Rejected as error:
            if error.reason != "not_json" or not (text := _text(data)):
                raise
            value = json_of_literal(text)
            accepted = self._decoder.check(None, value, now_us)
        reading = accepted.message
        # by its stream, so that readings of a stream keep their order
        done = self.deliveries.send(reading.stream_id.encode(), value)
        answer = IngestAnswer(status="accepted", stream_id=reading.stream_id, timestamp=reading.timestamp)
        return answer, done, time.monotonic() + self.settings.ingest_answer_seconds


class _Visit:
    """One client: listens to what it says, and answers in order."""

    def __init__(self, ingest: AreaIngest, request: web.Request) -> None:
        caller = caller_of(request)
        self._ingest = ingest
        self._who = request.config_dict[LIMITER].client(request, caller)
        self._may_send = not ingest.settings.ingest_needs_token or caller.role >= CallerRole.OPERATOR
        self._answers: deque[_Answer] = deque()
        self._spoke, self._more, self._less = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def attend(self, client: SocketClient) -> None:
        """Tell of vehicles until the client says something; then answer."""
        await self._tell_until_it_speaks(client)
        while True:
            while self._answers:
                await client.put(await _told(self._answers[0]))
                self._answers.popleft()
                self._less.set()
            self._more.clear()
            await self._more.wait()

    def leave(self, client: SocketClient) -> None:
        """The client is gone; what it sent is sent on."""
        if self._ingest.vehicles is not None:
            self._ingest.vehicles.leave(client)

    async def hear(self, client: SocketClient, data: str | bytes) -> None:
        """Take a message; waits while the client is too fast, or too many of its messages wait for Kafka."""
        if not self._spoke.is_set():
            client.want_answers_only()
            self._spoke.set()
        if (seconds := self._ingest.pace.take(self._who)) > 0:
            await asyncio.sleep(seconds)
        while len(self._answers) >= self._ingest.settings.ingest_unanswered:
            self._less.clear()
            await self._less.wait()
        self._answers.append(self._ingest.judge(data, self._may_send))
        self._more.set()

    async def _tell_until_it_speaks(self, client: SocketClient) -> None:
        vehicles = self._ingest.vehicles
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ingest.settings.listen_seconds):
                await self._spoke.wait()
        if vehicles is not None and not self._spoke.is_set():
            with vehicles.wanted():
                telling = asyncio.create_task(vehicles.join(client, snapshot=True))
                try:
                    await self._spoke.wait()
                finally:
                    telling.cancel()
                    await asyncio.gather(telling, return_exceptions=True)
                    vehicles.leave(client)
        else:
            await self._spoke.wait()


def _text(data: str | bytes) -> str:
    """What a message says as text; nothing when it is none."""
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return ""


async def _told(answer: _Answer) -> bytes:
    if isinstance(answer, IngestAnswer):
        return _encode(answer)
    accepted, done, until = answer
    # waiting for it does not cancel it: who sends and leaves at once has sent
    await asyncio.wait({done}, timeout=max(0.0, until - time.monotonic()))
    if not done.done():
        done.cancel()
        return _encode(_not_stored("Kafka did not acknowledge the message in time"))
    if done.cancelled():
        return _encode(_not_stored("the worker stops"))
    if (error := done.exception()) is not None:
        return _encode(_not_stored(f"Kafka did not take the message: {error}"))
    return _encode(accepted)


def _not_stored(why: str) -> IngestAnswer:
    return IngestAnswer(error=_NOT_STORED, reason="unavailable", detail=f"{why}; send it again")
