"""An OpenID Connect provider on loopback, whose tokens a real API server believes: it signs with a key of its own."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Provider:
    """`lasting`: seconds of a token. `answer` makes what is sent instead of one; `asked` are the forms that came, with
    the authorization header; `refresh` is the refresh token that is good now, and `rotating` that each is good once."""

    issuer: str = ""
    subject: str = "kedge"
    client: str = "kubernetes"
    secret: str = "s3cret/with+signs"
    lasting: float = 600.0
    rotating: bool = False
    refresh: str = "refresh-0"
    answer: Callable[[], web.Response] | None = None
    document: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        stated = {"iss": self.issuer, "sub": self.subject, "aud": self.client, "iat": now, "exp": now + self.lasting}
        head = encoded(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "one"}).encode())
        body = encoded(json.dumps({**stated, "jti": secrets.token_hex(8), **claims}).encode())
        signature = self.key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        self.issued.append(f"{head}.{body}.{encoded(signature)}")
        return self.issued[-1]

    async def configuration(self, _: web.Request) -> web.Response:
        found = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint": f"{self.issuer}/token",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return web.json_response({**found, **self.document})

    async def keys(self, _: web.Request) -> web.Response:
        numbers = self.key.public_key().public_numbers()
        one = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one"}
        parts = {name: encoded(part.to_bytes((part.bit_length() + 7) // 8)) for name, part in _named(numbers)}
        return web.json_response({"keys": [{**one, **parts}]})

    async def give(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append({**form, "authorization": request.headers.get("authorization", "")})
        if self.answer is not None:
            return self.answer()
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if self.rotating:
            self.refresh = f"refresh-{len(self.asked)}"
        more = {"refresh_token": self.refresh} if form["grant_type"] == "refresh_token" else {}
        found = {"access_token": self.token(), "id_token": self.token(), "token_type": "Bearer", "expires_in": 5}
        return web.json_response({**found, **more})


def _named(numbers: rsa.RSAPublicNumbers) -> list[tuple[str, int]]:
    return [("n", numbers.n), ("e", numbers.e)]


@asynccontextmanager
async def providing(provider: Provider, tls: ssl.SSLContext, port: int = 0) -> AsyncIterator[Provider]:
    """Serves it, at `port` or any that is free, and fills in its issuer."""
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.configuration)
    app.router.add_get("/keys", provider.keys)
    app.router.add_post("/token", provider.give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        provider.issuer = provider.issuer or f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()
