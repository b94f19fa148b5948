"""Identities: of one object in a cluster, and of one unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

STACKS = "opentofu"
"""The group of a stack's resources and outputs: their name is their address."""

_GROUP = "kedge.dev"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Identity of one object. `namespace` is "" for cluster-scoped objects; the version is not part of identity."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def group_kind(self) -> tuple[str, str]:
        return self.group, self.kind

    @property
    def key(self) -> str:
        """Unambiguous text form, `group/Kind/namespace/name`; empty parts stay empty."""
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"

    def __str__(self) -> str:
        if self.group == STACKS:
            return self.name
        kind = f"{self.group}/{self.kind}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class UnitName:
    """Identity of a unit, written `project/name` or `project/name@environment`."""

    project: str
    name: str
    environment: str = ""

    def __str__(self) -> str:
        suffix = f"@{self.environment}" if self.environment else ""
        return f"{self.project}/{self.name}{suffix}"

    @classmethod
    def parse(cls, text: str) -> UnitName:
        """Read `project/name[@environment]`. Raises ValueError for anything else."""
        left, at, environment = text.partition("@")
        project, slash, name = left.partition("/")
        parts = (project, name, environment) if at else (project, name)
        if not slash or not all(_NAME.match(part) for part in parts):
            raise ValueError(f"“{text}” is not a unit name: write project/name or project/name@environment")
        return cls(project, name, environment)


def stack_ref(unit: UnitName | str) -> Ref:
    """The one object that a stack's unit owns: the stack itself. What is in it are its resources, by address."""
    return Ref(_GROUP, "Stack", "", str(unit))


def is_unit_name(text: str) -> bool:
    """Whether `UnitName.parse` would read it: what stands on an object may be anything."""
    try:
        UnitName.parse(text)
    except ValueError:
        return False
    return True


def is_name(text: str) -> bool:
    """Whether `text` is a DNS label, the form of every name Kedge itself gives out."""
    return bool(_NAME.match(text))
