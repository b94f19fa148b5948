"""What people do to a state: tried first, so that what is said will be done, is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

from kedge.cli.asking import Act, go, reason
from kedge.cli.client import Server
from kedge.cli.views import states
from kedge.cli.views.human import say
from kedge.cli.views.machine import Output
from kedge.model.errors import Invalid
from kedge.model.state import LARGEST_STATE


@dataclass(frozen=True, slots=True)
class Wish:
    """How a person wants it done."""

    act: Act
    force: bool = False
    break_glass: bool = False

    @classmethod
    def taken(cls, given: dict[str, Any], *, force: bool = False, break_glass: bool = False) -> Wish:
        return cls(Act.taken(given), force, break_glass)

    def body(self, why: str, **more: object) -> dict[str, object]:
        forced = {"force": True} if self.force else {}
        return {"reason": why, "breakGlass": self.break_glass, **forced, **more}


def pull(server: Server, path: str, number: int, why: str) -> None:
    found = server.post(f"{path}/pull", {"version": number, "reason": why})
    _write(str(found["content"]))
    say(f"{found['unit']}: version {found['version']['number']}, serial {found['version']['serial']}, secrets and all")


def _write(content: str) -> None:
    """Byte for byte: a terminal's encoding would change a state."""
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:
        sys.stdout.write(content)
    else:
        sys.stdout.flush()
        raw.write(content.encode())
        raw.flush()


def push(server: Server, path: str, file: BinaryIO, wish: Wish) -> None:
    """Raises Invalid for what is no text, or too large."""
    raw = file.read(LARGEST_STATE + 1)
    if len(raw) > LARGEST_STATE:
        raise Invalid(f"the state is larger than {LARGEST_STATE} bytes")
    try:
        content = raw.decode()
    except UnicodeDecodeError:
        raise Invalid("this is no state: it is not UTF-8 text", hint="it is what `tofu state pull` prints") from None
    why = reason(wish.act, "forced push") if wish.force or wish.break_glass else wish.act.reason
    _done(server, f"{path}/push", wish, wish.body(why, content=content))


def rollback(server: Server, path: str, to: int, wish: Wish, output: Output) -> None:
    newest = server.get(path)["version"]["number"]
    found = server.get(f"{path}/diff", old=newest, new=to)
    if output.for_people:
        states.differences(found)
    else:
        output.write(found, [item["address"] for item in found["items"]])
    why = reason(wish.act, "rollback of a state")
    body = wish.body(why or "tried", to=to, newest=newest)
    _done(server, f"{path}/rollback", wish, body)


def unlock(server: Server, path: str, wish: Wish) -> None:
    why = reason(wish.act, "forced unlock") if wish.force else wish.act.reason
    _done(server, f"{path}/unlock", wish, wish.body(why or ("tried" if wish.act.dry_run else "")))


def _done(server: Server, path: str, wish: Wish, body: dict[str, object]) -> None:
    tried = server.post(path, {**body, "dryRun": True})
    if not go(wish.act, f"do this to the state of {tried['unit']}: {tried['told']}", grave=True):
        return
    done = server.post(path, {**body, "dryRun": False})
    made = f"; it is version {done['version']['number']}" if done["version"] is not None else ""
    say(f"{done['unit']}: {done['told']}{made}")
