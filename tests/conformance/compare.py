"""Two answers to one step, and where they differ: values that a server makes up count by when they first appear."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.program import Program, Step
from tests.conformance.servers import Answer

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS = re.compile(r"10\.96\.\d+\.\d+")
AGE = re.compile(r"\d+s")
MOUNT = re.compile(r"kube-api-access-[a-z0-9]{5}")
ABSENT = "(absent)"


@dataclass
class Made:
    """A server's own values by where and in which order they were met: the same words on either server.

    `seen` holds for each sort (of a port, an address, the uid of one name) what was met, and what it is called.
    """

    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    place: str = ""

    def name(self, sort: str, value: Any) -> str:
        known = self.seen.setdefault(sort, {})
        return known.setdefault(str(value), f"{sort}#{len(known) + 1}")

    def plain(self, value: Any, key: str = "") -> Any:
        """The value with what the server made replaced."""
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self.plain(item, key) for item in value]
        if key == "nodePort" and value and 30000 <= value <= 32767:
            return self.name("port", value)
        return self._text(value) if isinstance(value, str) else value

    def _text(self, value: str) -> str:
        if STAMP.fullmatch(value):
            return "time" if value > "2026" else value  # what a program wrote is older
        if ADDRESS.fullmatch(value):
            return self.name("address", value)
        if AGE.fullmatch(value):
            return "age"
        if MOUNT.fullmatch(value):
            return "kube-api-access"
        for word, symbol in self.words.items():
            value = value.replace(word, symbol)
        return value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        meta = value.get("metadata")
        if isinstance(meta, dict) and meta.get("creationTimestamp"):
            drawn = meta.get("generateName")
            if drawn and str(meta.get("name", "")).startswith(drawn):
                self.words.setdefault(meta["name"], self.name(f"{drawn} drawn ", meta["name"]))
            named = self.words.get(meta.get("name", ""), meta.get("name", ""))
            self.words.setdefault(meta.get("uid", "?"), self.name(f"uid of {self.place}/{named} ", meta.get("uid")))
        made = {key: self.plain(item, key) for key, item in value.items()}
        if "columnDefinitions" in made:
            for column in made["columnDefinitions"] or ():
                column.pop("description", None)  # sentences of the server's own
        if made.get("resourceVersion") and "uid" in made:
            made["resourceVersion"] = self.name(f"version of {made['uid']} ", made["resourceVersion"])
        elif made.get("resourceVersion"):
            made["resourceVersion"] = "some"  # a list's
        if "continue" in made:
            made.pop("continue")
            if value["continue"]:
                made["continue"] = "some"
        return made


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two answers to a step part: `path` is `code`, `warned`, or dotted within the body."""

    number: int
    step: Step
    path: str
    real: Any
    sandbox: Any
    told: str = ""

    def line(self) -> str:
        shown = [json.dumps(side)[:160] for side in (self.real, self.sandbox)]
        more = f"   ({self.told})" if self.told else ""
        return f"step {self.number}: {self.path}: real {shown[0]}, sandbox {shown[1]}{more}"


def differences(program: Program, real: list[Answer], sandbox: list[Answer]) -> Iterator[Difference]:
    """All of them, in the program's order."""
    ours, theirs = Made(), Made()
    for number, (step, left, right) in enumerate(zip(program.steps, real, sandbox, strict=True)):
        told = "; ".join(f"{name}: {text}" for name, text in (("real", said(left)), ("sandbox", said(right))) if text)
        one, other = reduced(step, left, theirs), reduced(step, right, ours)
        if left.code != right.code:
            yield Difference(number, step, "code", left.code, right.code, told)
            continue
        if left.warned != right.warned:
            yield Difference(number, step, "warned", left.warned, right.warned, told)
        for path, here, there in parted(one, other, ""):
            yield Difference(number, step, path, here, there, told)


def said(answer: Answer) -> str:
    body = answer.body
    return str(body.get("message", ""))[:900] if answer.code >= 400 and isinstance(body, dict) else ""


def reduced(step: Step, answer: Answer, made: Made) -> Any:
    """The answer as far as it is compared: of an error everything but its sentences."""
    made.place = place(step.path)
    body = made.plain(answer.body)
    if answer.code >= 400 and isinstance(body, dict):
        details = dict(body.get("details") or {})
        causes = [f"{item.get('reason')} {item.get('field')}" for item in details.pop("causes", None) or ()]
        return {"reason": body.get("reason"), "details": details, "causes": sorted(set(causes))}
    if isinstance(body, dict):
        for shown in (body, *(body.get("items") or ())):
            meta = shown.get("metadata") if isinstance(shown, dict) else None
            if isinstance(meta, dict) and meta.get("managedFields"):
                meta["managedFields"] = by_owner(meta["managedFields"])
    return body


def by_owner(entries: list[Any]) -> dict[str, Any]:
    return {" ".join(str(item.get(key, "")) for key in ("manager", "operation", "subresource")): item
            for item in entries}  # fmt: skip


def parted(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """(path, left, right) of everything that differs."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({**left, **right}):
            yield from parted(left.get(key, ABSENT), right.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from parted(one, other, f"{path}[{index}]")
    elif left != right or type(left) is not type(right):
        yield path, left, right


def place(path: str) -> str:
    """The collection that a path lies in, or is."""
    parts = path.partition("?")[0].split("/")
    core = 3 if parts[1] == "api" else 4
    return "/".join(parts[: core + 3 if parts[core:][:1] == ["namespaces"] and len(parts) > core + 2 else core + 1])
