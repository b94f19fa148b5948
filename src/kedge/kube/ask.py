"""One request, kept within bounds: a place in the window, a deadline, patience with 429, and none with a cluster that
is away.

A 429 was not carried out, so it is asked again here, after the time the server names. What changes nothing, a read or
a dry run, is asked again after a lost connection and an answer that passes, too: an outage of a moment must not cost
a turn of many questions. A write is not: it may have been carried out, and only the caller knows whether that matters.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedge.kube.answer import Refusal, read_refusal, strayed
from kedge.kube.deadline import Deadlines
from kedge.kube.pulse import Pulse
from kedge.kube.transport import JSON, Lost, Response, Transport
from kedge.kube.window import Window
from kedge.model.errors import Unavailable
from kedge.ports import Clock, Entropy

DEADLINE = 30.0
MAX_PATIENCE = 20.0
TRIES = 4
TROUBLED = (429, 502, 503, 504)
PASSING = (429, 500, 502, 503, 504)


class Asker:
    """Requests to one cluster."""

    def __init__(self, transport: Transport, clock: Clock, entropy: Entropy, *, deadline: float = DEADLINE) -> None:
        self.transport = transport
        self.clock = clock
        self.entropy = entropy
        self.window = Window(clock)
        self.pulse = Pulse(clock)
        self.deadlines = Deadlines()
        self._deadline = deadline

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        """Raises Unavailable when no answer came in time, or the server wants to be left alone for longer than anybody
        waits here."""
        what, query, sent = f"{method} {path}", query or {}, {"accept": JSON, **(headers or {})}
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            self._refrain(what)
            async with self.window as started:
                self.pulse.admit(what)
                found = await self._once(method, path, query, sent, body)
            if isinstance(found, Lost):
                if last or self.pulse.away or not _harmless(method, query):
                    raise found
                await self.clock.sleep(self._pause(attempt, None))
                continue
            self._feel(found)
            if found.status < 500 and found.status != 429:
                self.window.succeeded()
            if found.status not in PASSING:
                return found
            refusal = read_refusal(found)
            wait = refusal.retry_after
            if found.status == 429:
                self.window.throttled(started, wait)
            if last or (wait or 0.0) > MAX_PATIENCE or not _passes(refusal, _harmless(method, query)):
                return found
            await self.clock.sleep(self._pause(attempt, wait))
        raise AssertionError("unreachable: the last try returns")

    def _refrain(self, what: str) -> None:
        """A server may ask to be left alone for an hour: nobody keeps a turn waiting for that."""
        wait = self.window.closed_for()
        if wait > MAX_PATIENCE:
            text = f"{what}: the server asked not to be asked again for {wait:.0f} s (HTTP 429)"
            raise Unavailable(text, retry_after=wait)

    def _feel(self, response: Response) -> None:
        if response.status < 300 and response.body[:64].lstrip().startswith(b"{"):
            self.pulse.answered()
        elif response.status < 300:
            self.pulse.troubled("what it answers is no JSON object: is this address a Kubernetes API?")
        elif response.status == 401:
            self.pulse.refused(f"the credential is not accepted: {read_refusal(response).text} (HTTP 401)")
        elif response.status in TROUBLED:
            self.pulse.troubled(f"{read_refusal(response).text} (HTTP {response.status})")
        elif response.status < 400 and (text := strayed(response)):
            self.pulse.troubled(f"{text} (HTTP {response.status})")
        elif response.status == 404 and not read_refusal(response).missing:
            self.pulse.troubled("its 404 is not that of a Kubernetes API")
        else:
            self.pulse.answered()

    def _pause(self, attempt: int, wait: float | None) -> float:
        """The server's time, or 0.25, 0.5, 1 s; spread: those who were refused together must not return together."""
        spread = 0.5 + self.entropy.uniform()
        return wait + 0.2 * spread if wait is not None else 0.25 * 2**attempt * spread

    async def _once(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response | Lost:
        """The answer, or how it was lost. One that is late is raised: nobody waits that long again."""
        try:
            with self.deadlines.within(self._deadline):
                return await self.transport.request(method, path, query, headers, body)
        except TimeoutError:
            hint = "look whether the API server is overloaded; it is asked again"
            late = Lost(f"{method} {path}", f"no answer within {self._deadline:.0f} s", hint=hint)
            self.pulse.lost(late)
            raise late from None
        except Lost as error:
            self.pulse.lost(error)
            return error


def _harmless(method: str, query: Mapping[str, str]) -> bool:
    return method == "GET" or "dryRun" in query


def _passes(refusal: Refusal, harmless: bool) -> bool:
    """Whether another try may well be answered otherwise. A 500 is also how an API server tells that what it was to
    apply does not fit, and that a webhook did not answer, which it may have waited ten seconds for: neither passes in
    a moment. Its database without a leader does, and is a 500, too."""
    return refusal.code == 429 or (harmless and not refusal.lasting and not refusal.from_webhook)
