"""Every kind, and every change of it: tried (dry runs, so that each meets the same object) by every kind of write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.conformance.catalog import SAMPLES, Object
from tests.conformance.generate import FINALIZERS, LABELS, OWNERS, merged
from tests.conformance.program import APPLY, MERGE, STRATEGIC, Program, Step

ANYBODY: tuple[Any, ...] = (
    *({"metadata": {"labels": labels}} for labels in LABELS),
    *({"metadata": {"finalizers": finalizers}} for finalizers in FINALIZERS),
    *({"metadata": {"ownerReferences": owners}} for owners in OWNERS),
    *({"metadata": {"annotations": {"note": note}}} for note in ("x", None, 7)),
    {"metadata": {"name": "renamed"}},
    {"metadata": {"uid": "other"}},
    {"metadata": {"resourceVersion": "1"}},
    {"metadata": {"generation": 77}},
    {"metadata": {"namespace": "elsewhere"}},
    {"strange": {"field": 1}},
)
"""What may be asked of any kind: mostly of metadata."""
WAYS = ("merge", "strategic", "put", "apply", "create")


@dataclass(frozen=True, slots=True)
class Tried:
    """A kind's object `body` in the collection `where`, to be changed in many ways."""

    where: str
    body: Object

    def step(self, way: str, change: Object, turn: int) -> Step:
        """One change, tried in one way; what is created has a name of its own."""
        name = self.body["metadata"]["name"]
        path = f"{self.where}/{name}?dryRun=All"
        if way == "create":
            fresh = merged(merged(self.body, {"metadata": {"name": f"{name}-{turn}"}}), change)
            return Step("POST", f"{self.where}?dryRun=All", fresh)
        if way == "put":
            return Step("PUT", path, merged(self.body, change))
        if way == "apply":
            return Step("PATCH", f"{path}&fieldManager=ann&force=true", merged(self.body, change), APPLY)
        return Step("PATCH", path, change, MERGE if way == "merge" else STRATEGIC)


def program_of_kind(number: int, *, all_ways: bool, mark: str = "m") -> Program:
    """All that is tried with the kind of this number in the catalogue; else each change in one of the ways, in turns.

    `mark` begins the names that are the program's own."""
    sample, program = SAMPLES[number], Program(number)
    space = f"{mark}{number}"
    program.add(Step("POST", "/api/v1/namespaces", {"metadata": {"name": space}}))
    account = {"metadata": {"name": "default"}}
    program.add(Step("POST", f"/api/v1/namespaces/{space}/serviceaccounts", account))
    inner = f"/namespaces/{space}" if sample.namespaced else ""
    tried = Tried(f"{sample.base}{inner}/{sample.plural}", sample.made("one" if sample.namespaced else f"{space}-one"))
    program.add(Step("POST", tried.where, tried.body))
    for turn, change in enumerate((*sample.changes, *sample.broken, *ANYBODY)):
        for way in WAYS if all_ways else (WAYS[(turn + number) % len(WAYS)],):
            program.add(tried.step(way, change, turn))
    return program
