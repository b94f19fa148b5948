"""One atomic write: what a turn remembers."""

from __future__ import annotations

from dataclasses import dataclass

from kedge.model.dossier import Dossier
from kedge.model.event import Event
from kedge.model.manifest import Manifest
from kedge.model.operation import Operation
from kedge.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Record:
    """One atomic write: the dossier's next state (guarded by its version), and what goes with it.

    `objects` are claims implied by `dossier.inventory`. `rendered` are manifests to keep as a blob
    under their set digest.
    """

    dossier: Dossier
    events: tuple[Event, ...] = ()
    plan: Plan | None = None
    operation: Operation | None = None
    rendered: tuple[str, tuple[Manifest, ...]] | None = None
    forget: bool = False
