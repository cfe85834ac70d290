"""Tokens: the static one of an administrator, and JSON web tokens (RFC 7519)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from trafficapp.settings import AuthSettings
from web.auth.callers import MAX_NAME_CHARACTERS, Caller, CallerRole, is_name
from web.auth.jwks import KeysAway, PublishedKeys, VerifyingKey

#: How far the clock of whoever signs may be off.
LEEWAY_SECONDS = 10

#: Where Keycloak puts the roles of a realm.
_KEYCLOAK_ROLES = "realm_access.roles"

_HS256 = "HS256"
#: Later ends are as good as this one, which is that of the year 9999.
_LAST_SECOND = 253_402_300_799


class InvalidToken(Exception):
    """A token is none of ours, has ended or says nothing usable. The message names the reason, never the token."""


class JwtVerifier:
    """Verifies JSON web tokens.

    The algorithm follows from the key, never from the token: the secret is for HS256 only, a published RSA key for
    RS256, a published P-256 key for ES256. So ``none`` is refused, and a public key never serves as a secret.

    Args:
        settings: keys and demanded claims.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()
        self._published = None if settings.jwks_url is None else PublishedKeys(settings.jwks_url)

    @property
    def is_configured(self) -> bool:
        """Whether any JSON web token can be valid."""
        return self._secret is not None or self._published is not None

    async def verify(self, token: str) -> Caller:
        """Who a token stands for.

        Raises:
            InvalidToken: it is not valid.
            KeysAway: its key cannot be fetched now.
        """
        key, algorithm = await self._key_for(token)
        settings = self._settings
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=settings.jwt_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("the token has expired") from None
        except jwt.MissingRequiredClaimError as error:
            raise InvalidToken(f"the token lacks the claim {error.claim}") from None
        except jwt.InvalidIssuerError:
            raise InvalidToken("the token was issued by somebody else or for somebody else") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            raise InvalidToken("the token is not valid") from None
        if settings.jwt_audience is not None:
            _check_audience(claims, settings.jwt_audience)
        name = claims["sub"]
        expires_at = min(int(claims["exp"]), _LAST_SECOND) + LEEWAY_SECONDS
        if not is_name(name):
            raise InvalidToken(f"the claim sub must have 1 to {MAX_NAME_CHARACTERS} printable characters")
        role = CallerRole.largest(_roles(claims, settings.role_claim))
        return Caller(name, role, authenticated=True, expires_at=float(expires_at))

    async def _key_for(self, token: str) -> tuple[Any, str]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise InvalidToken("the token is no JSON web token") from None
        if header.get("alg") == _HS256:
            if self._secret is None:
                raise InvalidToken("tokens signed with a secret are not accepted here")
            return self._secret, _HS256
        key_id = header.get("kid")
        published: VerifyingKey | None = None
        if self._published is not None and (key_id is None or isinstance(key_id, str)):
            published = await self._published.key(key_id)
        if published is None:
            raise InvalidToken("the token was signed with no key that is known here")
        return published.key, published.algorithm


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Demand that a token is for an audience, or was issued to it: the ``aud`` of Keycloak's is ``account``.

    Raises:
        InvalidToken: it is for somebody else, and was issued to somebody else.
    """
    aud, azp = claims.get("aud"), claims.get("azp")
    if aud is None and azp is None:
        raise InvalidToken("the token lacks the claim aud")
    if audience not in (aud if isinstance(aud, list) else [aud]) and azp != audience:
        raise InvalidToken("the token was issued by somebody else or for somebody else")


def _roles(claims: Mapping[str, Any], claim: str) -> list[object]:
    """Names of roles; a token that lacks the usual claim may have Keycloak's."""
    if claim == AuthSettings.model_fields["role_claim"].default and claim not in claims:
        claim = _KEYCLOAK_ROLES
    return role_names(claims, claim)


class StaticToken:
    """The administrator's token from the environment."""

    def __init__(self, token: str | None) -> None:
        self._token = _digest(token) if token else None

    @property
    def is_configured(self) -> bool:
        """Whether there is one."""
        return self._token is not None

    def matches(self, token: str) -> bool:
        """Compare in a time that tells nothing, not even of the length."""
        return self._token is not None and hmac.compare_digest(_digest(token), self._token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def role_names(claims: Mapping[str, Any], claim: str) -> list[object]:
    """What a claim says of roles: one or a list; ``realm_access.roles`` names a claim within a claim."""
    found: Any = claims.get(claim)
    if found is None and "." in claim:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return list(found) if isinstance(found, list) else [found]


def mint(settings: AuthSettings, subject: str, role: CallerRole, hours: float) -> str:
    """A token signed with the secret of the settings, for sites without an identity provider.

    Raises:
        ValueError: there is no secret, or the subject cannot name anybody.
    """
    if settings.jwt_secret is None:
        raise ValueError("set TRAFFICAPP_AUTH__JWT_SECRET, at least 32 characters: tokens are signed with it")
    if not is_name(subject):
        raise ValueError(f"the subject must have 1 to {MAX_NAME_CHARACTERS} printable characters")
    now = datetime.now(UTC)
    claims: dict[str, Any] = {"sub": subject, "iat": now, "exp": now + timedelta(hours=hours)}
    if settings.jwt_issuer is not None:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience is not None:
        claims["aud"] = settings.jwt_audience
    claims[settings.role_claim] = str(role)
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm=_HS256)


__all__ = ["InvalidToken", "JwtVerifier", "KeysAway", "StaticToken", "mint", "role_names"]
