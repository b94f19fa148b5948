"""Bad days: a wrapper around ``handle`` that refuses, delays, loses and cuts, as a seeded source of chance decides.

The wrapper says what happens, it does not wait: whoever carries the answer (the HTTP front, a simulated transport)
sleeps for ``delay`` and breaks the connection where there is no response.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Problem, expired
from kedge.sandbox.selectors import Selection
from kedge.sandbox.watching import Watch
from kedge.sandbox.wire import Request, Response

Handle = Callable[[Request], Response]
Uniform = Callable[[], float]
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LOG = 10_000


class Fault(Enum):
    """What can go wrong. LOST_REPLY: it was done, and nobody hears of it. LOST_REQUEST: it never arrived."""

    LATENCY = "latency"
    CONFLICT = "409"
    THROTTLED = "429"
    BROKEN = "500"
    UNAVAILABLE = "503"
    LOST_REPLY = "lost reply"
    LOST_REQUEST = "lost request"
    DROPPED_WATCH = "dropped watch"
    EXPIRED_WATCH = "410"


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault and how often it strikes. ``path`` must be part of the path; ``seconds`` is the longest delay (and the
    Retry-After of 429); ``methods`` empty means every method the fault makes sense for."""

    fault: Fault
    chance: float
    seconds: float = 1.0
    path: str = ""
    methods: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: a response after ``delay`` seconds, or (None) a connection that breaks."""

    response: Response | None
    delay: float = 0.0
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Faults:
    """Wraps ``handle``. ``uniform`` answers in [0, 1); the same numbers make the same day. ``log`` keeps what
    struck."""

    handle: Handle
    rules: tuple[Rule, ...]
    uniform: Uniform
    enabled: bool = True
    log: list[tuple[Fault, str, str]] = field(default_factory=list)

    def meet(self, request: Request) -> Outcome:
        """Lets one request have its fate."""
        struck = [rule for rule in self.rules if self._strikes(rule, request)] if self.enabled else []
        for rule in struck:
            self._note(rule.fault, request)
        delay = sum(rule.seconds * self.uniform() for rule in struck if rule.fault is Fault.LATENCY)
        names = tuple(rule.fault for rule in struck)
        if Fault.LOST_REQUEST in names:
            return Outcome(None, delay, names)
        refusal = next((found for rule in struck if (found := _refusal(rule)) is not None), None)
        if refusal is not None:
            return Outcome(refusal.response(), delay, names)
        if Fault.EXPIRED_WATCH in names:
            return Outcome(_expired(), delay, names)
        response = self.handle(request)
        if Fault.LOST_REPLY in names:
            if isinstance(response.body, Watch):
                response.body.close()
            return Outcome(None, delay, names)
        if Fault.DROPPED_WATCH in names and isinstance(response.body, Watch):
            response.body.cut(after=1 + int(self.uniform() * 10))
        return Outcome(response, delay, names)

    def _strikes(self, rule: Rule, request: Request) -> bool:
        if rule.path not in request.path or (rule.methods and request.method not in rule.methods):
            return False
        if rule.fault in (Fault.DROPPED_WATCH, Fault.EXPIRED_WATCH) and not request.watching:
            return False
        if rule.fault is Fault.CONFLICT and request.method not in WRITES:
            return False
        return self.uniform() < rule.chance

    def _note(self, fault: Fault, request: Request) -> None:
        if len(self.log) < LOG:
            self.log.append((fault, request.method, request.path))


def _refusal(rule: Rule) -> Problem | None:
    if rule.fault is Fault.CONFLICT:
        told = "the object has been modified; please apply your changes to the latest version and try again"
        return Problem(409, "Conflict", f"Operation cannot be fulfilled: {told}")
    if rule.fault is Fault.THROTTLED:
        wait = max(1, round(rule.seconds))
        told = "the server has received too many requests and has asked us to try again later"
        return Problem(429, "TooManyRequests", told, {"retryAfterSeconds": wait}, {"retry-after": str(wait)})
    if rule.fault is Fault.BROKEN:
        return Problem(500, "InternalError", "Internal error occurred: the sandbox was told to fail here")
    if rule.fault is Fault.UNAVAILABLE:
        return Problem(503, "ServiceUnavailable", "the server is currently unable to handle the request")
    return None


def _expired() -> Response:
    watch = Watch(Kind("", "v1", "", "", False), None, Selection(), lambda stored: stored.raw, dict)
    watch.fail(expired("too old resource version").status())
    return Response(200, {"content-type": "application/json"}, watch)


def bad_day(chance: float = 0.02, longest: float = 0.5) -> tuple[Rule, ...]:
    """Every fault now and then."""
    return tuple(Rule(fault, chance, longest) for fault in Fault)
