"""Every error becomes ``application/problem+json``."""

from __future__ import annotations

import http.client
import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from models.problem import CONTENT_TYPE, Problem, encode_problem

logger = logging.getLogger(__name__)

_KEPT_HEADERS = (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE, hdrs.UPGRADE)


class ProblemError(Exception):
    """A view refuses or cannot answer.

    Attributes:
        status: the HTTP status.
        detail: what exactly is wrong, for a person.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def unavailable(what: str, retry_after_seconds: int = 2) -> ProblemError:
    """503: a server behind us is away."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"{what} does not answer; try again shortly",
        {hdrs.RETRY_AFTER: str(retry_after_seconds)},
    )


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, instance: str = ""
) -> web.Response:
    """An error answer."""
    title = http.client.responses.get(status, "Error")
    problem = Problem(title=title, status=status, detail=detail, instance=instance)
    response = web.Response(status=status, body=encode_problem(problem), content_type=CONTENT_TYPE)
    response.headers.update(headers or {})
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what views and aiohttp raise into problem documents."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_response(error.status, error.detail, error.headers)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        kept = {str(name): error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
        return problem_response(error.status, _detail(request, error), kept)
    except ConnectionResetError:
        raise
    except Exception:
        occurrence = f"urn:uuid:{uuid.uuid4()}"
        logger.exception("%s %s failed (%s)", request.method, request.rel_url.path, occurrence)
        detail = "the fault is ours; the log has more under the instance named here"
        return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, detail, instance=occurrence)


def _detail(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound):
        return f"there is nothing at {request.rel_url.path}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return (
            f"{request.method} is not for {request.rel_url.path}; allowed: {', '.join(sorted(error.allowed_methods))}"
        )
    return error.text or error.reason
