"""The forms an object can be shown in: as it is, its metadata only, or as a row of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.sandbox import columns
from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Problem
from kedge.sandbox.store import Stored
from kedge.sandbox.versions import listed, served_raw
from kedge.sandbox.wire import Object, Request

AS = re.compile(r"(?:^|;)\s*as=(\w+)")
META = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class View:
    """How to show one kind. ``form`` is "", Table or PartialObjectMetadata."""

    cluster: Cluster
    kind: Kind
    form: str = ""
    include: str = "Metadata"

    def one(self, stored: Stored) -> bytes:
        if self.form == "Table":
            return orjson.dumps(self.table([stored], {"resourceVersion": stored.meta["resourceVersion"]}))
        return self.partial(stored) if self.form else served_raw(self.kind, stored)

    def many(self, items: Sequence[Stored], meta: Object) -> Any:
        """A list as a payload for ``answer``: bytes that are ready are put in as they are."""
        if self.form == "Table":
            return self.table(items, meta)
        if self.form:
            rows = [orjson.Fragment(self.partial(stored)) for stored in items]
            return {"kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": meta, "items": rows}
        head = orjson.dumps({"kind": self.kind.list_kind, "apiVersion": self.kind.api_version, "metadata": meta})
        return head[:-1] + b',"items":[' + b",".join(listed(self.kind, stored) for stored in items) + b"]}"

    def event(self) -> Callable[[Stored], bytes]:
        """How a watch shows its objects."""
        if self.form == "Table":
            return Rows(self)
        return self.partial if self.form else lambda stored: served_raw(self.kind, stored)

    def mark(self, meta: Object) -> Object:
        """A bookmark in this form."""
        if self.form == "PartialObjectMetadata":
            return {"kind": self.form, "apiVersion": META, "metadata": meta}
        plain = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": meta}
        if self.form != "Table":
            return plain
        nameless = Stored({**plain, "metadata": {**meta, "name": ""}}, 0)
        shown = self.table([nameless], {"resourceVersion": meta["resourceVersion"]})
        row = {**shown["rows"][0], "object": self._within(Stored(plain, 0))}
        return {**shown, "columnDefinitions": None, "rows": [row]}

    def partial(self, stored: Stored) -> bytes:
        return orjson.dumps({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": stored.meta})

    def table(self, items: Sequence[Stored], meta: Object) -> Object:
        named, cells = columns.printer(self.kind)
        now = self.cluster.now()
        rows = [{"cells": cells(stored.obj, now), "object": self._within(stored)} for stored in items]
        return {"kind": "Table", "apiVersion": META, "metadata": meta, "columnDefinitions": named, "rows": rows}

    def _within(self, stored: Stored) -> Any:
        if self.include == "None":
            return None
        return orjson.Fragment(served_raw(self.kind, stored) if self.include == "Object" else self.partial(stored))


@dataclass(slots=True)
class Rows:
    """The events of a watch as tables of one row: only the first says what the columns are."""

    view: View
    begun: bool = False

    def __call__(self, stored: Stored) -> bytes:
        table = self.view.table([stored], {"resourceVersion": stored.meta["resourceVersion"]})
        if self.begun:
            table["columnDefinitions"] = None
        self.begun = True
        return orjson.dumps(table)


def view_of(cluster: Cluster, kind: Kind, request: Request) -> View:
    """By the Accept header; the first form that is known wins. Raises Problem (406) where none is."""
    accept = request.headers.get("accept", "") or "*/*"
    for choice in accept.split(","):
        media = choice.partition(";")[0].strip()
        if media not in ("application/json", "application/*", "*/*"):
            continue
        form = AS.search(choice)
        if form is None:
            return View(cluster, kind)
        if form[1] == "Table":
            return View(cluster, kind, "Table", request.query.get("includeObject", "Metadata"))
        if form[1].startswith("PartialObjectMetadata"):
            return View(cluster, kind, "PartialObjectMetadata")
    told = "only the following media types are accepted: application/json"
    raise Problem(406, "NotAcceptable", told, {})
