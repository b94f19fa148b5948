"""What people do to a running object beside Git: pause, promote, run now, renew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from kedge.model.ref import Ref

Fields = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One act on objects of a kind, as data: a patch, or an object that is made. No code.

    In texts `${now}`, `${unix}`, `${stamp}`, `${name}`, `${short}`, `${namespace}`, `${uid}` and `${actor}` stand for
    what they say; `{$copy: a.b}` in place of a value stands for the object's own."""

    name: Annotated[str, "The word that people write: `kedge act UNIT KIND/NAME WORD`."] = ""
    does: Annotated[str, "What it does, as the end of “it will …”."] = ""
    when: Annotated[str, "CEL over the live object: whether it can be done now; empty means always."] = ""
    hindrance: Annotated[str, "Why it can not be done while `when` is false."] = ""
    patch: Annotated[dict[str, Any], "Merge patch of the object."] = field(default_factory=dict)
    status: Annotated[dict[str, Any], "Merge patch of its status."] = field(default_factory=dict)
    condition: Annotated[dict[str, Any], "A condition that its status gets, in place of the one of its type."] = field(
        default_factory=dict
    )
    create: Annotated[dict[str, Any], "An object that is made beside it."] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Possible:
    """An action that an object's kind knows. `hindrance`: why it can not be done now, "" when it can."""

    ref: Ref
    action: str
    does: str
    hindrance: str = ""


@dataclass(frozen=True, slots=True)
class Doing:
    """An action that somebody asks for."""

    ref: Ref
    action: str
    actor: str


@dataclass(frozen=True, slots=True)
class Done:
    """What an action came to: `fields` of the object that it sets, each a path of keys."""

    follows: str
    fields: Fields = ()
