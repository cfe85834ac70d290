"""Tokens of every kind, good and forged, and the server of an identity provider."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SECRET = "a-secret-of-at-least-thirty-two-characters"  # noqa: S105 - of the tests only
ISSUER = "https://identity.example.org"
AUDIENCE = "traffic"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def claims(role: object = "viewer", **others: Any) -> dict[str, Any]:
    whose = {"iss": ISSUER, "aud": AUDIENCE}
    return {"sub": "anna", "role": role, "exp": time.time() + 600, **whose, **others}


def published_at(url: str) -> dict[str, Any]:
    """Settings of an identity provider."""
    return {"jwks_url": url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def hs256(role: object = "viewer", secret: str = SECRET, **others: Any) -> str:
    return jwt.encode(claims(role, **others), secret, "HS256")


def rs256(role: object = "viewer", kid: str | None = "rsa", key: Any = RSA_KEY, **others: Any) -> str:
    return jwt.encode(claims(role, **others), key, "RS256", headers={} if kid is None else {"kid": kid})


def es256(role: object = "viewer", **others: Any) -> str:
    return jwt.encode(claims(role, **others), EC_KEY, "ES256", headers={"kid": "ec"})


def unsigned(role: object = "admin") -> str:
    return jwt.encode(claims(role), None, "none")


def signed_with_public_key(role: object = "admin", kid: str = "rsa") -> str:
    """What who only knows the public key can make: HS256 with its PEM as the secret."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, claims(role)]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.digest(pem, text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def published() -> dict[str, Any]:
    rsa_key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
    ec_key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key()))
    return {"keys": [rsa_key | {"kid": "rsa", "use": "sig"}, ec_key | {"kid": "ec"}, {"kty": "oct", "k": "AAAA"}]}


@dataclass
class KeyServer:
    """Publishes keys; `url` is where."""

    url: str = ""
    asked: int = 0
    document: Any = field(default_factory=published)
    status: int = 200
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.answering.wait()
        return web.json_response(self.document, status=self.status)


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    keys = KeyServer()
    keys.answering.set()
    application = web.Application()
    application.router.add_get("/keys", keys.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        keys.url = str(server.make_url("/keys"))
        yield keys
