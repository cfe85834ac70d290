"""Who may what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import hdrs, web
from prometheus_client import Counter

from trafficapp.settings import Settings
from web.auth.callers import CALLER, MAX_NAME_CHARACTERS, Caller, CallerRole, caller_of, is_name
from web.auth.guesses import GuessedKeys
from web.auth.tokens import InvalidToken, JwtVerifier, KeysAway, StaticToken
from web.serving.problems import ProblemError, unavailable

__all__ = ["AUTHORITY", "SOCKET_PROTOCOLS", "Access", "Authority", "Caller", "CallerRole", "authorise", "caller_of"]

logger = logging.getLogger(__name__)

ADMIN_TOKEN_HEADER = "X-Admin-Token"  # noqa: S105 - a header's name
ADMIN_USER_HEADER = "X-Admin-User"

#: A browser cannot set headers of a WebSocket; it sends ``bearer`` and the token as protocols. A socket view offers
#: these, else the browser ends the connection.
SOCKET_PROTOCOLS = ("bearer",)

_CHALLENGE = "Bearer"
_UNSET = (
    "this needs a token, and none can be valid here: set ADMIN_API_KEY, TRAFFICAPP_AUTH__JWT_SECRET or "
    "TRAFFICAPP_AUTH__JWKS_URL"
)


class Access(Enum):
    """What an operation demands of its caller."""

    OPEN = "open"
    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"


#: The smallest role that has an access.
LEAST_ROLE = {
    Access.OPEN: CallerRole.NOBODY,
    Access.READ: CallerRole.VIEWER,
    Access.OPERATE: CallerRole.OPERATOR,
    Access.ADMINISTER: CallerRole.ADMIN,
}


class Authority:
    """Knows callers by their tokens.

    Args:
        settings: the static token, keys of JSON web tokens, whether reads are public.
        failed: counts tokens that were refused, by kind: ``key``, ``token``; ``held_up`` for keys that were not looked
            at.
        address_of: where a request comes from.
    """

    def __init__(
        self,
        settings: Settings,
        failed: Counter | None = None,
        address_of: Callable[[web.Request], str] = lambda request: request.remote or "unknown",
    ) -> None:
        self._failed, self._address_of = failed, address_of
        self._guessed = GuessedKeys(settings.auth)
        key = settings.admin.api_key
        self.public_reads = settings.auth.public_reads
        self.public_acknowledge = settings.auth.public_acknowledge
        self._public_places = settings.auth.public_places
        self._static = StaticToken(None if key is None else key.get_secret_value())
        self._jwt = JwtVerifier(settings.auth)

    @property
    def knows_tokens(self) -> bool:
        """Whether any token can be valid."""
        return self._static.is_configured or self._jwt.is_configured

    @property
    def public_places(self) -> bool:
        """Whether where people are is read like the rest: no token can be valid, or a setting says so."""
        return self._public_places or not self.knows_tokens

    async def caller(self, request: web.Request, is_socket: bool) -> Caller:
        """Who sends a request; without a token a viewer where reads are public, else nobody.

        Args:
            request: with headers; a token in the address is looked for on sockets only.
            is_socket: whether it wants to become a WebSocket.

        Raises:
            ProblemError: 401, the token is not valid; 400, the administrator's name is none; 429, too many guesses;
                503, keys are away.
        """
        static = request.headers.getall(ADMIN_TOKEN_HEADER, [])
        if static and not self._is_key(request, static[0] if len(static) == 1 else ""):
            raise _refused("the administrator's token is wrong")
        token = _bearer(request)
        if token is None and is_socket:
            token = _socket_token(request)
        if token is None and not static:
            return Caller("", CallerRole.VIEWER if self.public_reads else CallerRole.NOBODY, authenticated=False)
        if token is None or (not _is_jwt(token) and self._is_key(request, token)):
            return _administrator(request)
        # beside the administrator's token another one has to be valid, too
        try:
            caller = await self._caller_of_jwt(token)
        except ProblemError as error:
            if error.status == HTTPStatus.UNAUTHORIZED and _is_jwt(token):
                self._count("token")
            raise
        return _administrator(request) if static else caller

    def _is_key(self, request: web.Request, given: str) -> bool:
        """Whether it is the administrator's key; it is not even compared when too many wrong ones came.

        Raises:
            ProblemError: 429.
        """
        if not self._static.is_configured:
            return False
        address = self._address_of(request)
        try:
            self._guessed.check(address)
        except ProblemError:
            self._count("held_up")
            raise
        if self._static.matches(given):
            self._guessed.right(address)
            return True
        self._guessed.wrong(address)
        self._count("key")
        return False

    def _count(self, kind: str) -> None:
        if self._failed is not None:
            self._failed.labels(kind).inc()

    async def _caller_of_jwt(self, token: str) -> Caller:
        if not self._jwt.is_configured:
            raise _refused("the token is not valid" if self._static.is_configured else _UNSET)
        try:
            caller = await self._jwt.verify(token)
        except InvalidToken as error:
            raise _refused(str(error)) from None
        except KeysAway:
            raise unavailable("the server that publishes the keys of tokens") from None
        if self.public_reads and caller.role is CallerRole.NOBODY:
            return replace(caller, role=CallerRole.VIEWER)
        return caller


AUTHORITY = web.AppKey("authority", Authority)


async def identify(request: web.Request, access: Access, is_socket: bool = False) -> Caller:
    """Who sends a request, found out once a request; an open operation looks at no token.

    Raises:
        ProblemError: as `Authority.caller`.
    """
    known = request.get(CALLER)
    if known is None:
        if access is Access.OPEN:
            known = Caller("", CallerRole.NOBODY, authenticated=False)
        else:
            known = await request.config_dict[AUTHORITY].caller(request, is_socket)
        request[CALLER] = known
    return known


async def authorise(request: web.Request, access: Access, is_socket: bool = False) -> None:
    """Let a request pass, or refuse it; `caller_of` says afterwards who it is.

    Raises:
        ProblemError: 401 without a valid token, 403 when its role is too small.
    """
    caller = await identify(request, access, is_socket)
    least = LEAST_ROLE[access]
    if caller.role >= least:
        return
    if not caller.authenticated:
        knows_tokens = request.config_dict[AUTHORITY].knows_tokens
        detail = f"this needs the token of a caller with the role {least}" if knows_tokens else _UNSET
        raise ProblemError(HTTPStatus.UNAUTHORIZED, detail, {hdrs.WWW_AUTHENTICATE: _CHALLENGE})
    raise ProblemError(HTTPStatus.FORBIDDEN, f"this needs the role {least}; the token gives {caller.role}")


async def authorise_acknowledging(request: web.Request) -> None:
    """The same for acknowledging alerts, for which a setting may let callers without a token pass; a wrong one never.

    Raises:
        ProblemError: as `authorise`.
    """
    if request.config_dict[AUTHORITY].public_acknowledge:
        await identify(request, Access.OPERATE)
    else:
        await authorise(request, Access.OPERATE)


async def authorise_private(request: web.Request) -> None:
    """The same for what is private: where tokens are known, an operator's; without any it is read like the rest.

    Raises:
        ProblemError: as `authorise`.
    """
    await authorise(request, Access.READ if request.config_dict[AUTHORITY].public_places else Access.OPERATE)


async def may_know_private(request: web.Request) -> bool:
    """Whether a caller may know what is private, which a view leaves out for others."""
    caller = await identify(request, Access.READ)
    return request.config_dict[AUTHORITY].public_places or caller.role >= LEAST_ROLE[Access.OPERATE]


def warn_of_public_reads(settings: Settings) -> None:
    """Say it aloud when everybody on the network may read."""
    if not settings.auth.public_reads or _is_loopback(settings.web.host):
        return
    logger.warning(
        "everybody who reaches %s:%d may read: TRAFFICAPP_AUTH__PUBLIC_READS=false demands a token",
        settings.web.host,
        settings.web.port,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, {hdrs.WWW_AUTHENTICATE: f'{_CHALLENGE} error="invalid_token"'})


def _is_jwt(token: str) -> bool:
    """Whether it has the form of a JSON web token, which is no guess of the key: three parts, the first an object."""
    return token.count(".") == 2 and token.startswith("eyJ")


def _administrator(request: web.Request) -> Caller:
    name = request.headers.get(ADMIN_USER_HEADER, "admin")
    if not is_name(name):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"{ADMIN_USER_HEADER} must have 1 to {MAX_NAME_CHARACTERS} printable characters"
        )
    return Caller(name, CallerRole.ADMIN, authenticated=True, by_key=True)


def _bearer(request: web.Request) -> str | None:
    """The token of ``Authorization: Bearer``; other schemes belong to proxies in front of us."""
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(given) > 1:
        raise _refused("the header Authorization may be given once")
    scheme, _, token = given[0].partition(" ") if given else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else None


def _socket_token(request: web.Request) -> str | None:
    """``?access_token=TOKEN``, or the protocols ``bearer, TOKEN``."""
    given = request.query.getall("access_token", [])
    if len(given) > 1:
        raise _refused("access_token may be given once")
    if given:
        return given[0]
    offered = [part.strip() for part in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")]
    return offered[1] if len(offered) == 2 and offered[0] in SOCKET_PROTOCOLS else None
