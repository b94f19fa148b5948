"""The built-in state backend: `kedge.ports.States` for the road, and the calls of the tool's `http` backend."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5, sha256

import msgspec

from kedge.engine import states
from kedge.engine.statefile import read_state, renumbered, state_digest
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.execution import StateAccess
from kedge.model.installation import Installation
from kedge.model.output import StateHead
from kedge.model.state import Origin, StateChange, StateFacts, StateGrant, StateLock, StateText
from kedge.ports import Clock, StateStore

LARGEST_INFO = 16 * 1024
"""Bytes of what a tool says of itself when it takes a lock."""
_WORD = 200
_LOOKED = 100


class _Info(msgspec.Struct):
    """The tool's own Lock Info, as far as people are told of it."""

    ID: str
    Operation: str = ""
    Who: str = ""


@dataclass(frozen=True, slots=True)
class StateBackend:
    """`address` answers the URL of Kedge's own server, "" while there is none. `over` tells whether an execution is
    proven to be over."""

    store: StateStore
    installation: Installation
    clock: Clock
    address: Callable[[], str]
    over: Callable[[str], bool] = lambda execution: False

    async def head(self, unit: str) -> StateHead | None:
        found = await self.store.head(unit)
        if found is None:
            return None
        version, text = found
        return StateHead(
            unit,
            version.lineage,
            version.serial,
            version.digest,
            text.outputs,
            text.resources,
            version.at,
            version.execution,
        )

    async def grant(self, unit: str, execution: str, *, write: bool) -> StateAccess:
        base = self.address()
        if not base:
            raise Unavailable("Kedge's own server is not up: no state can be reached through it")
        token = self._token(unit, execution, write=write)
        digest, now = _digest(token), self.clock.now()
        await self.store.turn(unit, execution, lambda facts: states.grant(facts, execution, digest, now, writes=write))
        return StateAccess(f"{base}/state/{unit}", execution, token)

    async def revoke(self, execution: str) -> None:
        known = await self.store.granted(execution)
        if known is not None:
            now = self.clock.now()
            await self.store.turn(known.unit, execution, lambda facts: states.revoke(facts, now))

    async def bring_home(self, unit: str, execution: str, content: bytes) -> None:
        text, now = await self.named(await self.store.facts(unit), content), self.clock.now()
        try:
            await self.store.turn(unit, execution, lambda facts: states.bring_home(facts, text, now), text)
        except Conflict as error:
            known = await self.store.granted(execution)
            if known is None or known.unit != unit or known.base is None:
                raise
            raise Conflict(f"{error}; {await self._left(unit, execution, text)}") from error

    async def _left(self, unit: str, execution: str, text: StateText) -> str:
        """Keep it for a person, once. Answers what they are told."""
        kept = await self.store.versions(unit, limit=_LOOKED)
        same = [v for v in kept if (v.origin, v.execution, v.digest) == (Origin.LEFT, execution, text.digest)]
        if not same:
            now = self.clock.now()
            change = await self.store.turn(
                unit, execution, lambda facts: states.leave_behind(facts, text, execution, now), text
            )
            same = [change.version] if change.version is not None else []
        number = same[0].number if same else 0
        return f"it is kept as version {number}: kedge state diff {unit}, kedge state rollback {unit} {number}"

    async def admitted(self, unit: str, execution: str, token: str) -> StateGrant | None:
        """The grant that a token opens; None for any that is not known, over, or another unit's."""
        known = await self.store.granted(execution[:_WORD])
        right = hmac.compare_digest(known.token if known is not None else "", _digest(token))
        if known is None or not right or known.ended is not None or known.unit != unit:
            return None
        return None if self.over(execution) else known

    async def read(self, unit: str) -> bytes | None:
        newest = (await self.store.facts(unit)).there
        return await self.store.content(unit, newest.number) if newest is not None else None

    async def lock(self, grant: StateGrant, info: bytes) -> StateLock:
        """Raises Locked (with who holds it), Conflict, Denied, Invalid."""
        wish = _lock(grant, info, self.clock.now())
        change = await self.store.turn(grant.unit, grant.execution, lambda facts: states.lock(facts, wish))
        return change.lock or wish

    async def unlock(self, grant: StateGrant, info: bytes) -> None:
        """`info` is what the lock was taken with, or nothing (as `force-unlock` sends it)."""
        id, now = _info(info).ID if info.strip() else "", self.clock.now()
        await self.store.turn(grant.unit, grant.execution, lambda facts: states.unlock(facts, id, now))

    async def write(self, grant: StateGrant, id: str, content: bytes, checksum: bytes = b"") -> None:
        """`checksum` is the MD5 of the content, where the tool sent one. Raises Conflict, Denied, Invalid."""
        text, now = await self.text(content, checksum), self.clock.now()

        def decide(facts: StateFacts) -> StateChange:
            return states.write(facts, id, text, now)

        await self.store.turn(grant.unit, grant.execution, decide, text)

    async def delete(self, grant: StateGrant, id: str) -> None:
        now = self.clock.now()
        empty = StateText(0, "", states.EMPTY)
        await self.store.turn(grant.unit, grant.execution, lambda facts: states.delete(facts, id, now), empty)

    async def text(self, content: bytes, checksum: bytes = b"") -> StateText:
        """Raises Invalid for what is no state, or not what was sent."""
        key = self.installation.effects_key

        def read() -> StateText:
            if checksum and md5(content, usedforsecurity=False).digest() != checksum:
                raise Invalid("the state did not arrive as it was sent: its MD5 differs")
            return read_state(content, key)

        return await self.store.beside(read, len(content))

    async def named(self, facts: StateFacts, content: bytes) -> StateText:
        """A state that may lack a lineage. A tool that found no backend to ask writes `errored.tfstate` so: then it
        goes on as the state that is there, or as a new one."""
        key = self.installation.effects_key

        def read() -> StateText:
            text = read_state(content, key, nameless=True)
            if text.lineage:
                return text
            there = facts.there
            if there is None:
                lineage = state_digest(content, key)[:32]
                return read_state(renumbered(content, states.next_serial(facts), lineage), key)
            same = read_state(renumbered(content, there.serial, there.lineage), key)
            if same.digest == there.digest:
                return same
            return read_state(renumbered(content, states.next_serial(facts), there.lineage), key)

        return await self.store.beside(read, len(content))

    def _token(self, unit: str, execution: str, *, write: bool) -> str:
        """The same again for the same execution, also after a restart, and stored nowhere."""
        key = sha256(b"kedge state token\0" + self.installation.effects_key).digest()
        of = "\0".join((self.installation.id, unit, execution, "write" if write else "read"))
        return hmac.new(key, of.encode(), sha256).hexdigest()


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _lock(grant: StateGrant, info: bytes, now: float) -> StateLock:
    told = _info(info)
    return StateLock(
        grant.unit, told.ID, grant.execution, told.Who[:_WORD], told.Operation[:_WORD], now, 0, info.decode()
    )


def _info(raw: bytes) -> _Info:
    if len(raw) > LARGEST_INFO:
        raise Invalid(f"a lock of {len(raw)} bytes is too long")
    try:
        raw.decode()
        told = msgspec.json.decode(raw, type=_Info)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("this is no lock: a JSON object with an ID is wanted") from None
    if not 0 < len(told.ID) <= _WORD:
        raise Invalid(f"the ID of a lock has 1 to {_WORD} characters")
    return told
