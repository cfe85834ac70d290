"""Answers that are sent piece by piece, each made when the client has taken the one before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import hdrs, web

from web.guards.costs import client_of
from web.serving.context import CONTEXT

logger = logging.getLogger(__name__)

#: A client that takes nothing for this long has gone.
TAKE_WITHIN_SECONDS = 60.0

#: The turn in which a question is answered; what is sent piece by piece gives it back and has one of another kind.
TURN = web.RequestKey("turn", AsyncExitStack)


async def send_in_pieces(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes], what: str
) -> web.StreamResponse:
    """Send the pieces as the body, those of a client made one after the other; see `send`."""
    return await send(request, response, _in_turn(request, pieces), what)


async def send(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes], what: str
) -> web.StreamResponse:
    """Send the pieces as the body; a request for the head alone gets none.

    Args:
        request: what is answered.
        response: with its headers, not prepared.
        pieces: the body.
        what: the answer in words, for the log: ``an export of alerts``.

    Raises:
        ProblemError: 429, the client is sent enough already.
        ConnectionError: the client has gone, or a piece could not be made: without the last chunk the client knows
            that the answer is not whole.
    """
    if request.method == hdrs.METH_HEAD:
        return response
    async with _turn(request):
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            async for piece in pieces:
                async with asyncio.timeout(TAKE_WITHIN_SECONDS):
                    await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            raise
        except Exception as error:
            logger.warning("%s was broken off: %r", what, error)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(f"{what} was broken off") from error
    return response


@asynccontextmanager
async def _turn(request: web.Request) -> AsyncIterator[None]:
    """Hold a turn for as long as something is sent, instead of that in which the question was answered."""
    held = request.get(TURN)
    if held is None:
        yield
        return
    await held.aclose()
    async with request.config_dict[CONTEXT].costs.streams.turn(client_of(request)):
        yield


async def _in_turn(request: web.Request, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    making, client = request.config_dict[CONTEXT].costs.pieces, client_of(request)
    while True:
        async with making.turn(client):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece
