"""From a seed to a program: a namespace, some objects in it, and what several people do to them."""

# ruff: noqa: E501  (tables)
from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.conformance.catalog import SAMPLES, Object, Sample, definition, widget
from tests.conformance.program import APPLY, END, JSON, JSON_PATCH, MERGE, STRATEGIC, Program, Step

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MANAGERS = ("ann", "bob", "kedge")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
LABELS: tuple[Any, ...] = (
    {"tier": "a"},
    {"tier": None},
    {"tier": "no way!"},
    {"": "x"},
    {"example.com/part": "b"},
    {"a": 1},
)
FINALIZERS: tuple[Any, ...] = (["example.com/wait"], [], ["nodomain"], ["example.com/wait", "example.com/more"])
OWNERS: tuple[Any, ...] = (
    [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-2222-3333-4444-555555555555"}],
    [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}],
)
LISTS = (
    "labelSelector=tier%3Da", "labelSelector=tier", "labelSelector=!tier", "labelSelector=tier+in+(a,b)", "limit=1",
    "labelSelector=tier%3D%3D%3D", "labelSelector=a+b", "labelSelector=tier%3Dno+way", "fieldSelector=metadata.name%3Done",
    "fieldSelector=spec.absurd%3D1", "resourceVersion=0", "resourceVersion=99999999", "resourceVersionMatch=Exact",
    "resourceVersion=0&resourceVersionMatch=Exact", "resourceVersion=0&resourceVersionMatch=NotOlderThan",
    "resourceVersion=x", "limit=-1", "limit=x", "continue=nonsense", "resourceVersion=1&resourceVersionMatch=Never",
    "watch=1&sendInitialEvents=true", "watch=1&resourceVersion=x", "watch=1&resourceVersionMatch=NotOlderThan",
    "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
)  # fmt: skip
OPTIONS = (
    "dryRun=All", "dryRun=Some", "fieldValidation=Strict", "fieldValidation=Ignore", "fieldValidation=Odd",
    "fieldManager=" + "m" * 129, "fieldManager=" + quote("tab\there"), "force=true", "fieldManager=ann",
)  # fmt: skip
DELETES: tuple[Any, ...] = (
    None, {"propagationPolicy": "Background"}, {"propagationPolicy": "Foreground"}, {"propagationPolicy": "Orphan"},
    {"propagationPolicy": "Sideways"}, {"gracePeriodSeconds": 0}, {"dryRun": ["All"]}, {"dryRun": ["Some"]},
    {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}, {"preconditions": {"resourceVersion": "1"}},
    {"orphanDependents": True}, {"gracePeriodSeconds": -1}, {"propagationPolicy": "Orphan", "orphanDependents": True},
)  # fmt: skip


@dataclass
class Writer:
    """One program being written. `answered` holds the number of the last step that showed an object."""

    program: Program
    chance: random.Random
    space: str
    names: list[tuple[Sample, str]] = field(default_factory=list)
    answered: dict[tuple[str, str], int] = field(default_factory=dict)

    def collection(self, sample: Sample) -> str:
        inner = f"/namespaces/{self.space}" if sample.namespaced else ""
        return f"{sample.base}{inner}/{sample.plural}"

    def name(self, sample: Sample, name: str) -> str:
        """Cluster-wide names are the program's own."""
        return name if sample.namespaced else f"{self.space}-{name}"

    def step(self, method: str, path: str, body: Any = None, content: str = JSON, **more: Any) -> int:
        return self.program.add(Step(method, path, body, content, **more))

    def options(self, *usual: str, odds: float = 0.25) -> str:
        picked = [*usual]
        if self.chance.random() < odds:
            picked.append(self.chance.choice(OPTIONS))
        return ("?" + "&".join(picked)) if picked else ""

    def changed(self, sample: Sample, name: str, change: Any) -> Object:
        return merged(sample.made(name), change)

    def change(self, sample: Sample) -> Any:
        """Mostly of the kind's own fields, else of the metadata that every object has."""
        if sample.changes and self.chance.random() < 0.65:
            return self.chance.choice(sample.changes)
        pick = self.chance.random()
        if pick < 0.4:
            return {"metadata": {"labels": self.chance.choice(LABELS)}}
        if pick < 0.6:
            return {"metadata": {"annotations": {"note": self.chance.choice(["x", None, 7])}}}
        if pick < 0.8:
            return {"metadata": {"finalizers": self.chance.choice(FINALIZERS)}}
        if pick < 0.9:
            return {"metadata": {"ownerReferences": self.chance.choice(OWNERS)}}
        return self.chance.choice(
            [{"metadata": {"name": "renamed"}}, {"metadata": {"uid": "other"}}, {"metadata": {"resourceVersion": "1"}},
             {"metadata": {"managedFields": [{}]}}, {"metadata": {"managedFields": []}}, {"kind": "Other"},
             {"apiVersion": "v9"}, {"metadata": {"generation": 77}}, {"metadata": {"namespace": "elsewhere"}},
             {"metadata": {"creationTimestamp": None}}, {"strange": {"field": 1}}]
        )  # fmt: skip

    def create(self, sample: Sample, name: str) -> None:
        body = sample.made(self.name(sample, name))
        pick = self.chance.random()
        if sample.broken and pick < 0.2:
            self.step("POST", self.collection(sample), merged(body, self.chance.choice(sample.broken)))
        elif pick < 0.3:
            self.step("POST", self.collection(sample), merged(body, self.change(sample)))
        elif pick < 0.35:
            odd = self.chance.choice(["", "UPPER", "a_b", "x" * 260, "a/b", "-a"])
            self.step("POST", self.collection(sample), {**body, "metadata": {"name": odd}})
        elif pick < 0.4:
            generated = {key: item for key, item in body["metadata"].items() if key != "name"}
            prefix = self.name(sample, "drawn-")
            self.step("POST", self.collection(sample), {**body, "metadata": {**generated, "generateName": prefix}})
        labels = {"tier": self.chance.choice("ab"), **(body["metadata"].get("labels") or {})}
        body["metadata"] = {**body["metadata"], "labels": labels}
        if self.chance.random() < 0.3:
            path = self.object_path(sample, name) + f"?fieldManager={self.chance.choice(MANAGERS)}"
            self.answered[sample.kind, name] = self.step("PATCH", path, body, APPLY)
        else:
            path = self.collection(sample) + self.options(odds=0.1)
            self.answered[sample.kind, name] = self.step("POST", path, body)
        self.names.append((sample, name))

    def object_path(self, sample: Sample, name: str) -> str:
        return f"{self.collection(sample)}/{self.name(sample, name)}"

    def act(self) -> None:
        sample, name = self.chance.choice(self.names)
        doer = self.chance.choice(ACTIONS)
        doer(self, sample, name)

    def merge(self, sample: Sample, name: str) -> None:
        self.step("PATCH", self.object_path(sample, name) + self.options(), self.change(sample), MERGE)

    def strategic(self, sample: Sample, name: str) -> None:
        self.step("PATCH", self.object_path(sample, name) + self.options(), self.change(sample), STRATEGIC)

    def json_patch(self, sample: Sample, name: str) -> None:
        path, value = leaf(self.change(sample), self.chance)
        op = self.chance.choice(["add", "replace", "test", "remove", "copy", "odd"])
        body = [{"op": op, "path": path, "value": value, "from": "/metadata/name"}]
        self.step("PATCH", self.object_path(sample, name) + self.options(odds=0.1), body, JSON_PATCH)

    def put(self, sample: Sample, name: str) -> None:
        body = self.changed(sample, self.name(sample, name), self.change(sample))
        number = self.answered[sample.kind, name]
        if self.chance.random() < 0.6:
            number = self.step("GET", self.object_path(sample, name))
        if self.chance.random() < 0.8:
            body = merged(body, {"metadata": {"resourceVersion": f"{{{number}.metadata.resourceVersion}}"}})
        self.step("PUT", self.object_path(sample, name) + self.options(), body)

    def apply(self, sample: Sample, name: str) -> None:
        body = sample.made(self.name(sample, name))
        pick = self.chance.random()
        if pick < 0.7:
            body = merged(body, self.change(sample))
        elif pick < 0.8:
            body = {key: body[key] for key in ("apiVersion", "kind", "metadata")}
        manager = f"fieldManager={self.chance.choice(MANAGERS)}"
        force = [[], [], ["force=true"], ["force=false"]][self.chance.randrange(4)]
        usual = [manager, *force] if self.chance.random() < 0.95 else force
        self.step("PATCH", self.object_path(sample, name) + self.options(*usual, odds=0.15), body, APPLY)

    def apply_new(self, sample: Sample, name: str) -> None:
        odd = self.chance.choice([{}, {"resourceVersion": "1"}, {"uid": "11111111-2222-3333-4444-555555555555"}])
        body = merged(sample.made(self.name(sample, "fresh")), {"metadata": odd})
        self.step("PATCH", self.object_path(sample, "fresh") + "?fieldManager=ann&dryRun=All", body, APPLY)

    def read(self, sample: Sample, name: str) -> None:
        accept = self.chance.choice([JSON, JSON, PARTIAL, TABLE])
        self.answered[sample.kind, name] = self.step("GET", self.object_path(sample, name))
        self.step("GET", self.object_path(sample, name), accept=accept)

    def list(self, sample: Sample, name: str) -> None:
        base = self.collection(sample)
        query = self.chance.choice(LISTS)
        if not sample.namespaced and "fieldSelector" not in query:
            query += f"&fieldSelector=metadata.name%3D{self.name(sample, name)}"
        number = self.step("GET", f"{base}?{query}")
        if query == "limit=1":
            self.step("GET", f"{base}?limit=5&continue={{{number}.metadata.continue}}")

    def scale(self, sample: Sample, name: str) -> None:
        path = self.object_path(sample, name) + "/scale"
        replicas = self.chance.choice([2, 5, 0, -1, "x"])
        number = self.step("GET", path)
        if not sample.scale or self.chance.random() < 0.5:
            self.step("PATCH", path, {"spec": {"replicas": replicas}}, MERGE)
        else:
            meta = {"name": name, "namespace": self.space, "resourceVersion": f"{{{number}.metadata.resourceVersion}}"}
            self.step("PUT", path, {"metadata": meta, "spec": {"replicas": replicas}})
        self.step("GET", self.object_path(sample, name))

    def status(self, sample: Sample, name: str) -> None:
        path = self.object_path(sample, name) + "/status"
        change = {"status": sample.status or {"phase": "x"}}
        if self.chance.random() < 0.5:
            self.step("PATCH", path, change, MERGE)
        else:
            body = {"apiVersion": sample.made(name)["apiVersion"], "kind": sample.kind, **change}
            self.step("PATCH", f"{path}?fieldManager=bob", body, APPLY)

    def delete(self, sample: Sample, name: str) -> None:
        if sample.plural == "namespaces":
            return
        self.step("DELETE", self.object_path(sample, name), self.chance.choice(DELETES))
        self.step("GET", self.object_path(sample, name))
        if self.chance.random() < 0.5:
            self.step("POST", self.collection(sample), sample.made(self.name(sample, name)))

    def wrong(self, sample: Sample, name: str) -> None:
        path, body = self.object_path(sample, name), sample.made(self.name(sample, name))
        bad = [
            ("POST", path, body, JSON), ("PUT", self.collection(sample), body, JSON), ("PATCH", path, body, "text/plain"),
            ("PATCH", path, [], MERGE), ("PATCH", path, {}, JSON_PATCH), ("POST", self.collection(sample), "{", JSON),
            ("POST", self.collection(sample), [], JSON), ("GET", path + "/nothing", None, JSON),
            ("GET", path + "-absent", None, JSON), ("PUT", path + "-absent", body, JSON), ("DELETE", path + "-absent", None, JSON),
            ("PATCH", path + "-absent", {}, MERGE), ("PATCH", path, {**body, "metadata": {"name": "b"}}, APPLY),
            ("PATCH", path + "?fieldManager=a", {"metadata": {}}, APPLY),
            ("POST", self.collection(sample), {**body, "kind": "Other"}, JSON), ("POST", self.collection(sample), body, JSON),
            ("POST", self.collection(sample), {**body, "apiVersion": "v9"}, JSON),
            ("POST", self.collection(sample), {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}, JSON),
            ("POST", self.collection(sample).replace(self.space, "absent"), merged(body, {"metadata": {"name": "x"}}), JSON),
        ]  # fmt: skip
        method, where, what, content = self.chance.choice(bad)
        self.step(method, where, what, content)

    def watch(self, sample: Sample, since: int) -> None:
        """Everything that became of a kind since the program began, closed by an object made for it."""
        if not sample.namespaced:
            return
        last = sample.made(END)
        last["metadata"]["labels"] = {**(last["metadata"].get("labels") or {}), "tier": "a"}
        self.step("POST", self.collection(sample), last)
        more = self.chance.choice(["", "", "&labelSelector=tier%3Da", "&allowWatchBookmarks=true"])
        path = f"{self.collection(sample)}?watch=1&resourceVersion={{{since}.metadata.resourceVersion}}{more}"
        self.step("GET", path, watched=True)
        initial = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        self.step("GET", f"{self.collection(sample)}?{initial}", watched=True)


ACTIONS = (
    Writer.merge, Writer.merge, Writer.strategic, Writer.json_patch, Writer.put, Writer.put, Writer.apply, Writer.apply,
    Writer.apply, Writer.apply_new, Writer.read, Writer.list, Writer.list, Writer.scale, Writer.status, Writer.delete,
    Writer.wrong,
)  # fmt: skip


def merged(target: Any, change: Any) -> Any:
    """A merge patch that keeps what it sets to null: a null is sent, too."""
    if not isinstance(target, dict) or not isinstance(change, dict):
        return change
    return {**target, **{key: merged(target.get(key), value) for key, value in change.items()}}


def leaf(change: Any, chance: random.Random) -> tuple[str, Any]:
    """A JSON pointer into a change, and what is there."""
    path = ""
    while isinstance(change, dict) and change:
        key = chance.choice(sorted(change))
        path, change = f"{path}/{key.replace('/', '~1')}", change[key]
    return path, change


def program_of(seed: int) -> Program:
    """The same for the same seed, everywhere. Every eighth brings a kind of its own."""
    chance = random.Random(seed)
    program = Program(seed, custom=seed % 8 == 0)
    writer = Writer(program, chance, f"p{seed}")
    # round after round every kind has its turn
    samples = [SAMPLES[(seed * 3 + turn) % len(SAMPLES)] for turn in range(3)]
    if program.custom:
        group = f"p{seed}.example.com"
        samples = [widget(group)]
        path = f"{CRDS}/widgets.{group}"
        program.add(Step("POST", CRDS, definition(group)))
        program.add(Step("GET", path, until="Established"))
        program.add(Step("GET", f"/apis/{group}/v1", until="served"))
    since = program.add(Step("POST", "/api/v1/namespaces", {"metadata": {"name": writer.space}}))
    if not program.custom:
        account = {"metadata": {"name": "default"}}
        program.add(Step("POST", f"/api/v1/namespaces/{writer.space}/serviceaccounts", account))
    else:
        program.add(Step("GET", writer.collection(samples[0]), until="served"))
    for sample in samples:
        for name in ("one", "two")[: 1 + chance.randrange(2)]:
            writer.create(sample, name)
    for _ in range(22):
        writer.act()
    writer.watch(samples[0], since)
    program.add(Step("DELETE", writer.collection(samples[-1]) + f"?labelSelector=tier%3Da,space%3D{writer.space}"))
    if samples[-1].namespaced:
        program.add(Step("DELETE", writer.collection(samples[-1])))
    return program
