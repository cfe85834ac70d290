"""A costly question is passed on to the process for them, and its answer to whoever asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import hdrs, web

from web.auth.callers import caller_of
from web.costly import asked_by
from web.guards.costs import client_of
from web.serving.context import CONTEXT
from web.serving.pieces import send

#: Of a question, what the process need not know: secrets, and what is about a connection.
_NOT_PASSED_ON = frozenset(
    name.lower()
    for name in (
        *(hdrs.AUTHORIZATION, hdrs.COOKIE, hdrs.CONNECTION, hdrs.CONTENT_LENGTH, hdrs.EXPECT, hdrs.TRANSFER_ENCODING),
        *(hdrs.UPGRADE, hdrs.TE, hdrs.TRAILER, hdrs.KEEP_ALIVE, "X-Admin-Token", asked_by.HEADER),
    )
)
#: Of an answer, what this worker says itself.
_SAID_ANEW = frozenset(
    name.lower()
    for name in (hdrs.CONNECTION, hdrs.CONTENT_LENGTH, hdrs.DATE, hdrs.KEEP_ALIVE, hdrs.SERVER, hdrs.TRANSFER_ENCODING)
)


async def forward(request: web.Request, what: str) -> web.StreamResponse:
    """Answer a question that was let pass as the process for costly ones does.

    Args:
        request: the question; who left is no longer answered there, either.
        what: the answer in words, for the log.

    Raises:
        ProblemError: 503, the process does not answer.
        ConnectionError: see `web.serving.pieces.send`.
    """
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
    headers[asked_by.HEADER] = asked_by.told(caller_of(request), client_of(request))
    process = request.config_dict[CONTEXT].costly_process
    async with process.ask(request.method, request.raw_path, headers) as answer:
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _SAID_ANEW]
        if hdrs.TRANSFER_ENCODING in answer.headers:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            response.headers.extend(kept)
            return await send(request, response, _pieces(answer), what)
        body = await _whole(answer)
    response = web.Response(status=answer.status, reason=answer.reason, body=body)
    response.headers.popall(hdrs.CONTENT_TYPE, None)
    response.headers.extend(kept)
    if request.method == hdrs.METH_HEAD and hdrs.CONTENT_LENGTH in answer.headers:
        # of the body that a GET would have
        response.headers[hdrs.CONTENT_LENGTH] = answer.headers[hdrs.CONTENT_LENGTH]
    return response


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.read()
    except aiohttp.ClientError as error:
        raise ConnectionResetError("an answer was broken off") from error


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for piece in answer.content.iter_any():
        yield piece
        # a file that comes as quickly as it is taken would leave nobody else a turn
        await asyncio.sleep(0)
