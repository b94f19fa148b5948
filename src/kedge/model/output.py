"""Outputs: what one unit tells another."""

from __future__ import annotations

from dataclasses import dataclass, field

from kedge.model.ref import Ref


@dataclass(frozen=True, slots=True)
class Output:
    """`value` is canonical JSON text. A `sensitive` one is never shown and never in a rendered set."""

    name: str
    value: str = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class StateHead:
    """The newest version of a stack's state. `digest` moves with every change of its content; `resources` are the
    addresses of managed resources, in order. `execution` wrote it, "" where a person did."""

    unit: str
    lineage: str
    serial: int
    digest: str
    outputs: tuple[Output, ...] = ()
    resources: tuple[str, ...] = ()
    at: float = 0.0
    execution: str = ""


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """The field at `path` of a live object is the output `name`."""

    name: str
    ref: Ref
    path: str


@dataclass(frozen=True, slots=True)
class Published:
    """An output as it is remembered: `value` is "" where it is sensitive, `stamp` moves with it in any case."""

    name: str
    value: str
    stamp: str
    sensitive: bool = False
