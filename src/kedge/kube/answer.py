"""What an API server said: an object, or a refusal; and which refusals are errors of ours.

Rules: 401 is Denied (the credential is bad for everything). 429, 5xx and answers that are no JSON are Unavailable. All
other refusals are values, because what they mean depends on the question: 404 may be good news, 403 on one object must
not hide its neighbours, 422 is a sentence for a person. So is the 500 by which the API server refuses to apply what
does not fit the kind's schema, and the one that hands on that its database takes no object so large.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.kube.transport import Response
from kedge.model.errors import Denied, KedgeError, Unavailable

MAX_TEXT = 1_000
TAIL = 300
READ = 16_000
"""Characters of a sentence in which quoted values are looked for."""
_IMMUTABLE = re.compile(
    r"field is immutable|immutable field|is immutable|may not change once set"
    r"|updates to \w+ spec for fields other than|updates may not change fields other than|updates to \w+ are forbidden"
    r"|cannot change roleRef|may not be changed|primary clusterIP can not be",
    re.IGNORECASE,
)
_MISFIT = re.compile(
    r"failed to (create typed patch object|convert new (typed )?object|convert to unversioned) \([^)]*Kind=[^)]*\)"
)
"""An unknown field, or a value that can not be one of its type: apimachinery's structured merge gives it no code."""
_TOO_LARGE = re.compile(r"etcdserver: request is too large|trying to send message larger than max")
"""What etcd, and the way to it, say of an object over their limits. A dry run never gets there."""
_QUOTED = re.compile(r"(Invalid value: [\[{]).{100,}?([\]}](?=: ))", re.DOTALL)
"""A whole value in the middle of a sentence, such as a Job's template with every field that Go knows."""
FOREIGN = "Foreign"
"""The reason of a refusal that is in nobody's words whom we know."""
_UNSERVED = "404 page not found"
"""What an API server says of a group that it does not serve."""
_WEBHOOK = "failed calling webhook"
_WEBHOOK_HINT = (
    "look at what serves the webhook: while it is down and may not be passed over, its kinds can not be written"
)
_RETRIABLE = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Status that is no success. `text` is the server's sentence, cut; `causes` its (field, message) pairs."""

    code: int
    reason: str
    text: str
    causes: tuple[tuple[str, str], ...] = ()
    retry_after: float | None = None

    @property
    def missing(self) -> bool:
        """What stands before a server answers 404 too, for everything: that says nothing of what there is."""
        return self.code == 404 and self.reason != FOREIGN

    @property
    def another(self) -> bool:
        """What was meant, by its uid, is not there: it is gone, or another one has its name."""
        return (self.code == 409 and "uid mismatch" in self.text) or (
            self.code in (409, 422) and any(field == "metadata.uid" for field, _ in self.causes)
        )

    @property
    def too_large(self) -> bool:
        """The cluster's database takes no object of this size: nothing but a smaller one would do."""
        return self.code == 500 and _TOO_LARGE.search(self.text) is not None

    @property
    def lasting(self) -> bool:
        """A 500 that is about what was sent, and not about the server."""
        return self.too_large or (self.code == 500 and _MISFIT.match(self.text) is not None)

    @property
    def from_webhook(self) -> bool:
        """An admission webhook did not answer: it has had its own time to do so."""
        return self.code >= 500 and _WEBHOOK in self.text

    @property
    def immutable(self) -> bool:
        """Only a replacement would do. The server gives no code for it, so its wordings are matched (as Flux does,
        but not every 422: most of those are mistakes in the manifest)."""
        if self.code not in (403, 422):
            return False
        return any(_IMMUTABLE.search(text) for text in (self.text, *(message for _, message in self.causes)))


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is the parsed body ({} for a refusal). `created` is true for 201."""

    code: int
    value: dict[str, Any]
    refusal: Refusal | None = None

    @property
    def created(self) -> bool:
        return self.code == 201


def read_answer(response: Response, what: str) -> Answer:
    """Parse an answer to `what` (for messages). Raises Denied and Unavailable by the rules above."""
    if 200 <= response.status < 300:
        return Answer(response.status, parse_object(response.body, what))
    refusal = read_refusal(response)
    if response.status == 404 and not refusal.missing:
        raise error_of(refusal, what)
    if response.status == 401 or response.status < 400 or (response.status in _RETRIABLE and not refusal.lasting):
        raise error_of(refusal, what)
    return Answer(response.status, {}, refusal)


def parse_object(body: bytes, what: str) -> dict[str, Any]:
    """JSON object of a body. Raises Unavailable for anything else: it did not come from an API server."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{what}: the answer is not JSON ({error}): is this address a Kubernetes API?") from error
    if not isinstance(value, dict):
        raise Unavailable(f"{what}: the answer is no JSON object: is this address a Kubernetes API?")
    return value


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_refusal(response: Response) -> Refusal:
    try:
        value = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        value = {}
    wait = _seconds(response.headers.get("retry-after", ""))
    if not isinstance(value, dict) or value.get("kind") != "Status":
        text = _cut(response.body[:MAX_TEXT].decode("utf-8", "replace").strip())
        known = text == _UNSERVED and response.status == 404
        return Refusal(response.status, "" if known else FOREIGN, strayed(response) or text or "no word", (), wait)
    refusal = refusal_of(value, response.status)
    if wait is None:
        return refusal
    return Refusal(refusal.code, refusal.reason, refusal.text, refusal.causes, wait)


def strayed(response: Response) -> str:
    """What a redirect says, "" for any other answer. It is not followed: the credential is for this server."""
    if not 300 <= response.status < 400:
        return ""
    place = _cut(response.headers.get("location", ""))[:200]
    return f"it sends us elsewhere ({place or 'nowhere in particular'}), and Kedge does not follow"


def refusal_of(status: Mapping[str, Any], code: int = 0) -> Refusal:
    """A Status object as a refusal; `code` wins over the one inside when given."""
    details = mapping(status.get("details"))
    causes = details.get("causes")
    found = tuple(
        (_cut(str(cause.get("field") or "")), _cut(str(cause.get("message") or "")))
        for cause in (causes if isinstance(causes, list) else [])[:20]
        if isinstance(cause, dict)
    )
    inside = status.get("code")
    number = code or (inside if isinstance(inside, int) else 500)
    wait = details.get("retryAfterSeconds")
    seconds = float(wait) if isinstance(wait, int) and 0 < wait < 3600 else None
    text = _cut(str(status.get("message") or status.get("reason") or f"HTTP {number}"))
    return Refusal(number, str(status.get("reason") or ""), text, found, seconds)


def error_of(refusal: Refusal, what: str) -> KedgeError:
    """The refusal as the error it is where no refusal was expected."""
    sentence = f"{what}: {refusal.text}"
    if refusal.code == 401:
        return Denied(sentence, hint="the API server does not accept the credential: renew it")
    if refusal.code == 403:
        return Denied(sentence, hint="grant the right to the account that Kedge uses in this cluster")
    hint = _WEBHOOK_HINT if refusal.from_webhook else ""
    if refusal.reason == FOREIGN and refusal.code < 500:
        hint = "look whether this address is that of a Kubernetes API"
    return Unavailable(f"{sentence} (HTTP {refusal.code})", hint=hint, retry_after=refusal.retry_after)


def _seconds(text: str) -> float | None:
    return min(float(text), 3600.0) if text.isdigit() and len(text) < 6 else None


def _cut(text: str) -> str:
    """Of a long text both ends: a server quotes the whole value that it refuses, and says why after it."""
    if MAX_TEXT < len(text) <= READ:
        text = _QUOTED.sub(r"\1…\2", text)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - TAIL - 3]} … {text[-TAIL:]}"
