"""What should be: the rendered set of a unit."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from kedge.model.errors import Where
from kedge.model.ref import Ref
from kedge.model.source import Read

Place = tuple[str | int, ...]
"""Where in an object: names of fields, and numbers of items."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One desired object: `body` is its canonical JSON (sorted keys, no spaces), `digest` the body's sha256 in hex.

    `annotations` and `labels` are kept beside the body because decisions (waves, hooks, options) need nothing else.
    `generate_name` is set, and the ref's name empty, for hooks that let the API server choose. `holes` are the places
    whose value is not known yet: such a manifest is shown, and never sent.
    """

    ref: Ref
    api_version: str
    body: bytes
    digest: str
    annotations: tuple[tuple[str, str], ...] = ()
    generate_name: str = ""
    where: Where = Where()
    holes: tuple[Place, ...] = ()

    def annotation(self, key: str) -> str | None:
        for name, value in self.annotations:
            if name == key:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Desired:
    """A rendered set. `digest` covers refs and bodies, in order of ref. `reads` is the render's log of questions.

    `guessed`: some kind is not known yet, and was placed as most are. `holes` names the values of other units that are
    not there yet (`shop/db.endpoint`)."""

    manifests: tuple[Manifest, ...]
    digest: str
    renderer: str = ""
    reads: tuple[Read, ...] = ()
    notes: tuple[str, ...] = ()
    guessed: bool = False
    holes: tuple[str, ...] = ()


def digest_of(manifests: tuple[Manifest, ...]) -> str:
    """Digest of a rendered set: independent of the order in which a renderer emitted it."""
    lines = sorted(f"{m.ref.key}\0{m.generate_name}\0{m.digest}" for m in manifests)
    return sha256("\n".join(lines).encode()).hexdigest()
