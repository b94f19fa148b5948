"""A unit that moves: its target, or the cluster behind its target's name, is another than where its objects are.

What becomes of them follows `onRemove`, and a person is asked unless it says keep or delete:

    another cluster by name        a removal over there first, then it is applied here (keep: they are left)
    another cluster behind a name  applied here, and they are left: nothing leads to them any more
    another namespace              applied there, and what is left behind is pruned last (keep: it is left)

A stack moves when its state does: to another kind of backend, or to another workspace of one. The tool knows nothing of
what it has made then, and makes it anew, so that a person is asked whatever the rule is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kedge.model.change import Act, Change
from kedge.model.declaration import OnRemove
from kedge.model.dossier import Dossier, Home
from kedge.model.errors import Invalid
from kedge.model.manifest import Desired
from kedge.model.operation import Owned
from kedge.model.ref import Ref, stack_ref
from kedge.model.unit import Unit


@dataclass(frozen=True, slots=True)
class Move:
    """`inventory` is what the plan goes on from. `asks` says why somebody has to agree to it, and `if_deleted` to the
    deletion of which objects (none named: to all of it), or only where anything changes at all (`if_changed`). `left`
    says what is left behind, "" for nothing."""

    inventory: tuple[Owned, ...]
    asks: str = ""
    left: str = ""
    if_deleted: frozenset[Ref] = frozenset()
    if_changed: bool = False

    def asked(self, changes: Sequence[Change]) -> str:
        """`asks`, where these changes are such that somebody has to agree to them."""
        if self.if_changed and not changes:
            return ""
        deleted = {change.ref for change in changes if change.act is Act.DELETE}
        return self.asks if not self.if_deleted or self.if_deleted & deleted else ""


def leaves(dossier: Dossier, unit: Unit) -> bool:
    """Whether the unit's objects are in another cluster than `unit` names, and have to go there first."""
    return unit.on_remove is not OnRemove.KEEP and _another(dossier, unit)


def refuse_another_kind(dossier: Dossier, unit: Unit) -> None:
    """Raises Invalid for a name that was an Application's and is a Stack's, or the other way, while something is owned
    under it: neither can compare, delete or keep what the other has made."""
    stack = unit.tool is not None
    own = stack_ref(dossier.name)
    others = sum(1 for entry in dossier.inventory if (entry.ref == own) is not stack)
    if others:
        was, now = ("an Application", "a Stack") if stack else ("a Stack", "an Application")
        what = _objects(others) if stack else "its resources"
        raise Invalid(
            f"{dossier.name} was {was} and owns {what} as such; it is declared as {now} now, and nothing is done",
            hint=f"declare it as {was} again; another name for the new one, or the old one removed before, is safe",
        )


def departed(dossier: Dossier, unit: Unit) -> Unit:
    """The unit as it was where its objects are: that is where it is removed."""
    if not _another(dossier, unit):
        return unit
    return replace(unit, target=replace(unit.target, cluster=dossier.cluster))


def elsewhere(before: Home, now: Home) -> bool:
    """Whether two homes are two clusters, as far as anybody can tell. A cluster whose address changed is the same one;
    so is one that was built anew behind its address: nothing is left anywhere then."""
    if not before.server or not now.server or _plain(before.server) == _plain(now.server):
        return False
    return not before.identity or before.identity != now.identity


def settled_in(before: Home, now: Home) -> Home:
    """What to remember: an identity that may not be read any more is still that of the same server."""
    same = _plain(before.server) == _plain(now.server)
    return replace(now, identity=before.identity) if same and not now.identity else now


def state_home(desired: Desired) -> Home:
    """Where the state of a stack is, by its rendered set: which kind of backend, and which workspace of it. Kedge's own
    has one state for each unit, whatever its workspace is called. Two of one kind are not told apart."""
    if not desired.manifests:
        return Home()
    body = json.loads(desired.manifests[0].body)
    backend, workspace = body["facts"].get("backend", ""), body["spec"].get("workspace", "")
    within = f", workspace {workspace}" if workspace not in ("", "default") else ""
    text = f"the backend {backend}{within}" if backend else "Kedge's own backend"
    return Home(text, text)


def place_of(home: Home, after: str = "") -> str:
    """Where a plan's effects are had: the cluster itself, whatever its address, or its address where it does not say
    who it is. `after` names the cluster to which a unit goes that is removed here."""
    return f"{home.identity or _plain(home.server)} {after}"


def move(dossier: Dossier, unit: Unit, now: Home) -> Move:
    """How a plan for `unit` goes on from where the dossier's objects are. `now` is the cluster that it names."""
    count = sum(1 for entry in dossier.inventory if not entry.hook)
    if not count:
        return Move(dossier.inventory)
    if unit.tool is not None:
        return _another_state(dossier, now)
    if _another(dossier, unit):
        left = f"{_objects(count)} in cluster {dossier.cluster}"
        return Move((), left=left)
    if elsewhere(dossier.home, now):
        return _behind_the_name(dossier, unit, now, count)
    if dossier.namespace and dossier.namespace != unit.target.namespace:
        return _namespace(dossier, unit)
    return Move(dossier.inventory)


def leaving(dossier: Dossier, unit: Unit) -> str:
    """Why a removal from another cluster is asked about, "" where the declaration allows it."""
    if unit.on_remove is OnRemove.DELETE:
        return ""
    count = _objects(len(dossier.inventory))
    return (
        f"its target moved from cluster {dossier.cluster} to {unit.target.cluster}: approving deletes its {count} in "
        f"{dossier.cluster}, then it is applied in {unit.target.cluster} (onRemove: keep leaves them there)"
    )


def _behind_the_name(dossier: Dossier, unit: Unit, now: Home, count: int) -> Move:
    name, before = unit.target.cluster, dossier.home.server
    left = f"{_objects(count)} at {before}"
    asks = (
        f"cluster {name} was {before} and is {now.server} now: approving applies it there, and leaves its "
        f"{_objects(count)} at {before} as they are, unmanaged"
    )
    return Move((), "" if unit.on_remove is OnRemove.KEEP else asks, left)


def _another_state(dossier: Dossier, now: Home) -> Move:
    before, after = dossier.home.server, now.server
    if not before or not after or before == after:
        return Move(dossier.inventory)
    asks = (
        f"its state was in {before} and is in {after} now: approving makes there whatever is not in it, and leaves "
        "what it has made as it is, unmanaged"
    )
    return Move(dossier.inventory, asks, f"what it has made, and its state in {before}", if_changed=True)


def _namespace(dossier: Dossier, unit: Unit) -> Move:
    before, after = dossier.namespace, unit.target.namespace
    there = [entry for entry in dossier.inventory if entry.ref.namespace == before and not entry.hook]
    if not there:
        return Move(dossier.inventory)
    if unit.on_remove is OnRemove.KEEP:
        rest = tuple(entry for entry in dossier.inventory if entry not in there)
        return Move(rest, left=f"{_objects(len(there))} in namespace {before}")
    asks = (
        f"its target moved from namespace {before} to {after}: approving deletes what it has in {before} once it is "
        f"healthy in {after} (onRemove: keep leaves it there)"
    )
    refs = frozenset(entry.ref for entry in there)
    return Move(dossier.inventory, asks if unit.on_remove is OnRemove.ASK else "", if_deleted=refs)


def _another(dossier: Dossier, unit: Unit) -> bool:
    return bool(dossier.inventory) and dossier.cluster not in ("", unit.target.cluster)


def _plain(server: str) -> str:
    return server.rstrip("/").lower()


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
