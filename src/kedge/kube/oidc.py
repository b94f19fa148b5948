"""A cluster's tokens from an OpenID Connect provider, over HTTP alone: for this a kubeconfig's `exec` starts programs.

The provider is asked for its token endpoint (OpenID Connect Discovery 1.0), and that for a token: with a refresh token
(RFC 6749, 6.), or for the client itself (4.4), which shows its secret or a signed assertion (RFC 7523, 2.2: a projected
service account token, as workload identities of clouds want it). A token is kept until two thirds of its time are over.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from kedge import http
from kedge.kube.http_transport import told
from kedge.model.errors import Denied, Invalid, KedgeError, Unavailable
from kedge.ports import Clock

LIMIT = 256 * 1024
LONGEST = 32 * 1024
PATIENCE = 10.0
"""Seconds for each of the two questions."""
AGAIN = 15.0
"""Seconds after which a provider that gave nothing is asked again."""
UNSAID = 300.0
"""Seconds that a token is taken to last which does not say how long it does."""
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SHOWN = 300

Kept = Callable[[str, str], Awaitable[None]]
"""Told (name of the store's secret, its new value) where a provider hands out another refresh token at each use."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom to ask for which token. `secret`, `refresh` and `assertion` are "" where not used; `ca` is PEM text, `kept`
    the name of the store's secret that the refresh token is from. `use` is the answer's field: id_token, access_token.
    """

    issuer: str
    client: str
    secret: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    assertion: str = field(default="", repr=False)
    scopes: str = "openid"
    audience: str = ""
    ca: str = ""
    use: str = "id_token"
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """`again` is when to ask for the next, `ends` when it is over (monotonic seconds)."""

    text: str = field(repr=False)
    again: float
    ends: float
    refresh: str = field(default="", repr=False)


@dataclass(slots=True)
class Holding:
    token: Token | None = None
    error: KedgeError | None = None
    asked: float = 0.0
    grant: Grant | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Providers:
    """Tokens by grant, each asked for once."""

    def __init__(self, clock: Clock, kept: Kept | None = None) -> None:
        self._clock = clock
        self._kept = kept
        self._holdings: dict[Grant, Holding] = {}

    async def token(self, grant: Grant, refused: str = "") -> str:
        """A token that is good just now, another one than the cluster has `refused`: it may have been revoked long
        before its time. Raises Denied (the provider refuses, or the last token is over and there is no other), Invalid
        (its answer makes no sense) and Unavailable (there was no answer, and never a token)."""
        # An assertion is renewed in its file about once an hour: that alone is no reason for another token.
        held = self._holdings.setdefault(replace(grant, assertion=""), Holding())
        async with held.lock:
            now = self._clock.monotonic()
            good = held.token is not None and held.token.text != refused
            if held.token is not None and good and now < held.token.again:
                return held.token.text
            in_vain = held.error is not None or not good
            if held.token is None or not in_vain or held.grant != grant or now >= held.asked + AGAIN:
                await self._ask(held, grant)
            return self._left(held)

    async def _ask(self, held: Holding, grant: Grant) -> None:
        held.asked, held.grant, held.error = self._clock.monotonic(), grant, None
        last = held.token.refresh if held.token is not None else ""
        try:
            held.token = await exchanged(replace(grant, refresh=last or grant.refresh), self._clock)
        except KedgeError as error:
            held.error = error
            return
        if grant.kept and held.token.refresh and self._kept is not None:
            renewed = replace(grant, assertion="", refresh=held.token.refresh)
            self._holdings[renewed] = held
            await self._kept(grant.kept, held.token.refresh)

    def _left(self, held: Holding) -> str:
        """The token, or the one before while it lasts."""
        token, error = held.token, held.error
        if token is not None and self._clock.monotonic() < token.ends:
            return token.text
        if error is None or token is None:
            raise error or Unavailable("there is no token yet")
        raise Denied(f"the last token is over, and there is no other: {error}") from error


async def exchanged(grant: Grant, clock: Clock) -> Token:
    """A new token. Raises Denied, Invalid and Unavailable, without any of the secrets in their texts."""
    try:
        endpoint, methods = await _discovered(grant)
        status, answer = await _asked(grant, endpoint, _form(grant, methods), _basic(grant, methods))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        reason, hint = told(error)
        raise Unavailable(f"the OIDC provider {grant.issuer} gives no answer: {reason}", hint=hint) from error
    if status != 200:
        raise _refused(grant, status, answer)
    return _token(grant, answer, clock)


async def _discovered(grant: Grant) -> tuple[str, frozenset[str]]:
    """(token endpoint, how clients may show their secret)."""
    place = f"{grant.issuer.rstrip('/')}/.well-known/openid-configuration"
    status, found = await _exchange(grant, "GET", place)
    if status != 200:
        raise Unavailable(f"the OIDC provider {grant.issuer} answers HTTP {status} at {place}", hint=_moved(status))
    if found.get("issuer") != grant.issuer:
        said = str(found.get("issuer") or "nobody")[:_SHOWN]
        raise Invalid(f"the OIDC provider at {grant.issuer} says that it is {said}", hint="write the issuer as it does")
    endpoint = found.get("token_endpoint")
    if not isinstance(endpoint, str) or not _safe(endpoint, grant.issuer):
        raise Invalid(f"the OIDC provider {grant.issuer} names no token endpoint that begins with https://")
    methods = found.get("token_endpoint_auth_methods_supported")
    known = [method for method in methods if isinstance(method, str)] if isinstance(methods, list) else []
    return endpoint, frozenset(known or ["client_secret_basic"])


def _moved(status: int) -> str:
    return "it sends us elsewhere, and Kedge does not follow: write the issuer as it is" if 300 <= status < 400 else ""


def _safe(endpoint: str, issuer: str) -> bool:
    try:
        parts, home = urlsplit(endpoint), urlsplit(issuer)
    except ValueError:
        return False
    plain = parts.scheme == "http" and home.scheme == "http" and parts.hostname == home.hostname
    return bool((parts.scheme == "https" or plain) and parts.hostname and not parts.username and not parts.password)


def _form(grant: Grant, methods: frozenset[str]) -> dict[str, str]:
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh}
    if not grant.refresh:
        form = {"grant_type": "client_credentials"}
    form |= {"scope": grant.scopes} if grant.scopes else {}
    form |= {"audience": grant.audience} if grant.audience else {}
    if grant.assertion:
        return form | {
            "client_id": grant.client,
            "client_assertion_type": _ASSERTION,
            "client_assertion": grant.assertion,
        }
    if not grant.secret:
        return form | {"client_id": grant.client}
    return form if _in_header(methods) else form | {"client_id": grant.client, "client_secret": grant.secret}


def _basic(grant: Grant, methods: frozenset[str]) -> dict[str, str]:
    if not grant.secret or grant.assertion or not _in_header(methods):
        return {}
    # RFC 6749, 2.3.1: both are form-encoded before they are joined.
    pair = f"{quote(grant.client, safe='')}:{quote(grant.secret, safe='')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _in_header(methods: frozenset[str]) -> bool:
    return "client_secret_basic" in methods or "client_secret_post" not in methods


async def _asked(
    grant: Grant, endpoint: str, form: Mapping[str, str], headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    return await _exchange(grant, "POST", endpoint, data=dict(form), headers=dict(headers))


async def _exchange(grant: Grant, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """(status, the answer's JSON object, {} where it is none): bounded, and to this host alone."""
    home, host = urlsplit(grant.issuer).hostname or "", urlsplit(url).hostname or ""
    loopback = home in ("localhost", "::1") or home.startswith("127.")
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        http.session(ca=grant.ca or None, allow_loopback=loopback, limit=1, hosts=[host]) as session,
        session.request(method, url, timeout=timeout, allow_redirects=False, **more) as answer,
    ):
        raw = await http.read(answer, LIMIT)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    return answer.status, found if isinstance(found, dict) else {}


def _refused(grant: Grant, status: int, answer: Mapping[str, Any]) -> KedgeError:
    said = ": ".join(str(answer[key]) for key in ("error", "error_description") if answer.get(key))
    said = _shown(grant, said) or f"HTTP {status}"
    text = f"the OIDC provider {grant.issuer} gives the client {grant.client} no token: {said}"
    if status >= 500 or status == 429:
        return Unavailable(text)
    if answer.get("error") == "invalid_grant" and grant.refresh:
        return Denied(text, hint="the refresh token is over or was used: log in anew and store the new one")
    return Denied(text, hint=_moved(status) or "look at the client in the provider, and at what the Credential names")


def _shown(grant: Grant, text: str) -> str:
    """A provider's words for people: printable, short, and without what we sent."""
    for secret in (grant.secret, grant.refresh, grant.assertion):
        text = text.replace(secret, "…") if secret else text
    return "".join(letter for letter in text if letter.isprintable())[:_SHOWN]


def _token(grant: Grant, answer: Mapping[str, Any], clock: Clock) -> Token:
    text = answer.get(grant.use)
    if not isinstance(text, str) or not text:
        other = "access_token" if grant.use == "id_token" else "id_token"
        hint = f"it has an {other}: use: {_WORDS[other]}" if answer.get(other) else "look at the scopes: openid is one"
        raise Invalid(f"the OIDC provider {grant.issuer} answers without an {grant.use}", hint=hint)
    if len(text) > LONGEST or not text.isascii() or any(letter <= " " or letter == "\x7f" for letter in text):
        raise Invalid(f"the OIDC provider {grant.issuer} answers an {grant.use} that is no token")
    now, lasting = clock.monotonic(), _lasting(grant, text, answer, clock)
    refresh = answer.get("refresh_token")
    fresh = refresh if isinstance(refresh, str) and grant.refresh and len(refresh) <= LONGEST else ""
    return Token(text, now + lasting * 2 / 3, now + lasting, fresh if fresh != grant.refresh else grant.refresh)


_WORDS = {"id_token": "idToken", "access_token": "accessToken"}


def _lasting(grant: Grant, text: str, answer: Mapping[str, Any], clock: Clock) -> float:
    """Seconds; by the token's own claims where it has them, for those are what the API server reads."""
    claims = _claims(text)
    ends, made = claims.get("exp"), claims.get("iat")
    if isinstance(ends, int | float):
        lasting = ends - (made if isinstance(made, int | float) else clock.now())
        return max(0.0, min(float(lasting), 24 * 3600.0))
    said = answer.get("expires_in") if grant.use == "access_token" else None
    return max(0.0, min(float(said), 24 * 3600.0)) if isinstance(said, int | float) else UNSAID


def _claims(text: str) -> dict[str, Any]:
    """What a JWT says of itself, unverified: the API server judges it, we only want to know when it ends."""
    part = text.split(".")[1] if text.count(".") == 2 else ""
    try:
        found = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
