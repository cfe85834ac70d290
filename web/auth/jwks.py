"""Public keys of an identity provider, as it publishes them (JWKS, RFC 7517)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

logger = logging.getLogger(__name__)

#: After a fetch the next one waits this long, whatever key ids tokens name.
FETCH_EVERY_SECONDS = 30.0
#: After a fetch that failed.
FETCH_AGAIN_SECONDS = 5.0
#: Keys are fetched anew after this time, so that a withdrawn one ends.
KEEP_SECONDS = 600.0

_ANSWER_WITHIN_SECONDS = 5.0
_MAX_BYTES = 256 * 1024
_LEAST_RSA_BITS = 2048


class KeysAway(Exception):
    """The keys cannot be fetched, so that nothing can be said of a token."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the only algorithm that it is for."""

    key: RSAPublicKey | EllipticCurvePublicKey
    algorithm: str


class PublishedKeys:
    """Keys by their ids, fetched when they are first needed and kept.

    Args:
        url: where they are published.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str | None, VerifyingKey] = {}
        self._fetched_at: float | None = None
        self._next_fetch_at = 0.0
        self._fetching = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None) -> VerifyingKey | None:
        """The key of an id, or None when there is none; without an id, the only key.

        A known key is given at once, whatever the endpoint does; when it is old, it is fetched anew meanwhile.

        Raises:
            KeysAway: it is not known, and the endpoint does not answer.
        """
        found = self._find(key_id)
        if found is not None:
            if self._is_old():
                self._refresh_meanwhile()
            return found
        await self._refresh()
        found = self._find(key_id)
        if found is None and (self._fetched_at is None or self._is_old()):
            raise KeysAway
        return found

    def _find(self, key_id: str | None) -> VerifyingKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _is_old(self) -> bool:
        return self._fetched_at is not None and time.monotonic() - self._fetched_at > KEEP_SECONDS

    def _refresh_meanwhile(self) -> None:
        if time.monotonic() >= self._next_fetch_at and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        async with self._fetching:
            if time.monotonic() < self._next_fetch_at:
                return
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
                    keys = usable_keys(await _fetch(self._url))
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                # a key that was good stays good: whoever is logged in goes on working
                self._next_fetch_at = time.monotonic() + FETCH_AGAIN_SECONDS
                logger.warning("the keys of tokens cannot be fetched from %s: %r", self._url, error)
                return
            self._keys, self._fetched_at = keys, time.monotonic()
            self._next_fetch_at = self._fetched_at + FETCH_EVERY_SECONDS


def usable_keys(document: Mapping[str, Any]) -> dict[str | None, VerifyingKey]:
    """The keys of a JWKS document that verify RS256 or ES256; all others are passed over.

    Raises:
        ValueError: it is no JWKS document.
    """
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise ValueError("the document has no list of keys")
    keys: dict[str | None, VerifyingKey] = {}
    for entry in listed:
        if isinstance(entry, dict) and entry.get("use", "sig") == "sig":
            key = _verifying_key(entry)
            if key is not None:
                name = entry.get("kid")
                keys[name if isinstance(name, str) else None] = key
    return keys


def _verifying_key(entry: dict[str, Any]) -> VerifyingKey | None:
    try:
        if entry.get("kty") == "RSA" and entry.get("alg", "RS256") == "RS256":
            key = RSAAlgorithm.from_jwk(entry)
            if isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
                return VerifyingKey(key, "RS256")
        elif entry.get("kty") == "EC" and entry.get("alg", "ES256") == "ES256":
            point = ECAlgorithm.from_jwk(entry)
            if isinstance(point, EllipticCurvePublicKey) and isinstance(point.curve, SECP256R1):
                return VerifyingKey(point, "ES256")
    except (InvalidKeyError, ValueError, TypeError, KeyError) as error:
        logger.warning("a published key cannot be read: %r", error)
    return None


async def _fetch(url: str) -> Mapping[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
        response.raise_for_status()
        if response.status != 200:
            raise ValueError(f"the answer has status {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise ValueError(f"the answer is larger than {_MAX_BYTES} bytes")
    document = msgspec.json.decode(bytes(body))
    if not isinstance(document, dict):
        raise ValueError("the answer is no JSON object")
    return document
