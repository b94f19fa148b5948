"""What a root declares, as it was read, and what that changes."""

from __future__ import annotations

from dataclasses import dataclass

from kedge.model.declaration import Cluster, Credential
from kedge.model.errors import Problem
from kedge.model.event import Event
from kedge.model.rule import HealthRule
from kedge.model.source import Revision
from kedge.model.unit import Unit


@dataclass(frozen=True, slots=True)
class Head:
    """The newest commit known of one (repository, ref). `checked` is when it was last asked; `problem` why not."""

    repository: str
    ref: str
    revision: Revision | None
    checked: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RootState:
    """What a root last declared. `complete` is false while problems stand: nothing is removed then."""

    name: str
    revision: Revision | None
    complete: bool
    problems: tuple[Problem, ...] = ()
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Enlistment:
    """A read of one root: all its units, and what else it declares.

    `head` is where it was read, to be remembered with it: a commit that changes a declaration and what it declares is
    never seen by halves."""

    state: RootState
    units: tuple[Unit, ...]
    clusters: tuple[Cluster, ...] = ()
    credentials: tuple[Credential, ...] = ()
    rules: tuple[HealthRule, ...] = ()
    events: tuple[Event, ...] = ()
    head: Head | None = None


@dataclass(frozen=True, slots=True)
class Enlisted:
    """What an enlistment changed, by unit name. `refused` are units whose name another root already declares."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
