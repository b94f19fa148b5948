"""A dossier as the row of `units`: which columns the fleet page reads, and what a row still needs. Pure."""

from __future__ import annotations

from typing import Any

from kedge.model.dossier import Dossier, Sync
from kedge.model.health import Status
from kedge.model.unit import Unit
from kedge.store import codec

_SYNC = {Sync.SYNCED: 0, Sync.UNKNOWN: 1, Sync.OUT_OF_SYNC: 2}

VISIBLE = ("sync", "health", "commit", "waiting", "pinned", "suspended")
"""When one of these moves, the unit counts as changed."""


def in_force(dossier: Dossier) -> Unit:
    """The declaration that rules now: a pin's, else the one from Git."""
    return dossier.pin.unit if dossier.pin is not None else dossier.unit


def standing(health: Status, sync: Sync) -> int:
    """Lower is worse: by health first, then by sync. It is stored, and pages are chosen by it: another order needs a
    migration."""
    return -(health.rank * len(_SYNC) + _SYNC[sync])


def declaration_digest(unit: Unit) -> str:
    return unit.digest or codec.digest(codec.encode(unit, str(unit.name)))


def row_of(dossier: Dossier) -> dict[str, Any]:
    """Every column that follows from the dossier alone; not `changed`, `plan_digest` and `inventory`."""
    unit, shown, applied = dossier.unit, dossier.shown, dossier.applied
    target = in_force(dossier).target
    body, reads = codec.encode_dossier(dossier)
    row: dict[str, Any] = {
        "name": str(dossier.name),
        "project": dossier.name.project,
        "root": unit.root,
        "version": dossier.version,
        "digest": declaration_digest(unit),
        "standing": standing(shown.health.status, shown.sync),
        "sync": shown.sync.value,
        "health": shown.health.status.value,
        "why": plain(shown.why),
        "cluster": target.cluster,
        "namespace": target.namespace,
        "repository": plain(unit.source.repository),
        "ref": plain(unit.source.ref),
        "path": plain(unit.source.path),
        "commit": applied.known if applied else "",
        "author": plain(applied.author) if applied else "",
        "subject": plain(applied.subject) if applied else "",
        "verified": dossier.verified,
        "waiting": plain(dossier.operation.waiting) if dossier.operation else "",
        "pinned": int(dossier.pin is not None),
        "suspended": int(bool(dossier.suspended)),
        "labels": codec.encode(unit.labels, f"the labels of {dossier.name}") if unit.labels else "",
        "due": dossier.due,
        "removed": dossier.removed,
        "plan": dossier.plan.id if dossier.plan else "",
        "holds": " ".join(sorted(holds_of(dossier))),
        "reads": reads,
        "body": body,
    }
    row["search"] = _search(row, unit.labels)
    return row


def holds_of(dossier: Dossier) -> set[str]:
    """What must not be collected while the dossier stands, as `blob:DIGEST` and `plan:ID`."""
    blobs = {each.rendered for each in (dossier.rendering, dossier.pin, dossier.plan) if each is not None}
    plans = {approval.plan for approval in dossier.approvals} | ({dossier.plan.id} if dossier.plan else set())
    for operation in (dossier.operation, dossier.last):
        if operation is not None:
            blobs.add(operation.rendered)
            plans.add(operation.plan)
    return {f"blob:{each}" for each in blobs if each} | {f"plan:{each}" for each in plans if each}


def plain(text: str) -> str:
    """Without NUL, which PostgreSQL's text cannot hold."""
    return text.replace("\0", "")


def folded(text: str) -> str:
    """As the text filter compares: without regard to case, in any dialect."""
    return plain(text).casefold()


def _search(row: dict[str, Any], labels: tuple[tuple[str, str], ...]) -> str:
    parts = [row[key] for key in ("name", "cluster", "namespace", "repository", "path", "commit", "author", "subject")]
    return folded("\n".join([*parts, row["why"], *(f"{key}={value}" for key, value in labels)]))
