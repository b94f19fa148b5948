"""What is known of kinds that Kedge was not built for: how healthy an object is, and what people may do to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any

from kedge.model.action import Action
from kedge.model.errors import Where
from kedge.model.health import Status


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One question to an object, and what a yes means."""

    when: Annotated[str, "CEL that is true or false; what cannot be evaluated, as a missing field, is false."] = ""
    status: Annotated[Status, "What an object is for which it is true."] = Status.HEALTHY
    message: Annotated[str, "CEL for the sentence that people read; by default the object's own words."] = ""


@dataclass(frozen=True, slots=True)
class HealthCase:
    """An object and what the rule must say of it; `kedge check` tries each."""

    name: Annotated[str, "What the case shows."] = ""
    object: Annotated[dict[str, Any], "The object, or what matters of it: apiVersion and kind may be left out."] = (
        field(default_factory=dict)
    )
    status: Annotated[Status, "What it must be."] = Status.HEALTHY
    message: Annotated[str, "Part of the sentence that it must get; empty means any."] = ""


@dataclass(frozen=True, slots=True)
class HealthRule:
    """How healthy objects of some kinds are, in CEL, and what people may do to them. The first check that holds
    decides; where none does, the conventions do that hold for every kind. Read from the admin root alone."""

    name: str
    kinds: Annotated[tuple[str, ...], "Globs over `group/Kind`, as `example.org/*`; core kinds are `Kind`."] = ()
    checks: Annotated[tuple[HealthCheck, ...], "Questions, in order; the first that holds decides."] = ()
    evenDeleting: Annotated[bool, "Also judge objects that are being deleted; otherwise they are Progressing."] = False
    evenStale: Annotated[
        bool, "Also judge objects whose newest generation no controller has looked at; otherwise they are Progressing."
    ] = False
    silent: Annotated[bool, "Nobody reports on these kinds: an object without a status is not waited for."] = False
    cases: Annotated[tuple[HealthCase, ...], "Objects, and what the rule must say of each."] = ()
    actions: Annotated[
        tuple[Action, ...], "What people may do to such objects with `kedge act`; goes before what Kedge brings."
    ] = ()
    where: Where = Where()

    @property
    def judges(self) -> bool:
        """Whether it says anything of health; one that only brings actions leaves that to others."""
        return bool(self.checks) or self.silent or self.evenDeleting or self.evenStale

    def covers(self, group: str, kind: str) -> bool:
        name = f"{group}/{kind}" if group else kind
        return any(fnmatchcase(name, glob) for glob in self.kinds)
