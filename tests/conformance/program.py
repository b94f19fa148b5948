"""A program: requests in their order, each of which may quote what an earlier one was answered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
SHORT = {JSON: "", MERGE: " merge", STRATEGIC: " strategic", JSON_PATCH: " json", APPLY: " apply"}
QUOTE = re.compile(r"\{(\d+)\.([\w.]+)\}")
END = "zz-end"
"""The object whose coming ends the reading of a watch."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `{3.metadata.uid}` in path and body stands for that field of the fourth step's answer.

    `watched` reads events until the object called END has come; `until` asks again until this condition is true.
    """

    method: str
    path: str
    body: Any = None
    content: str = JSON
    accept: str = JSON
    watched: bool = False
    until: str = ""

    def told(self) -> str:
        body = "" if self.body is None else " " + shortened(self.body)
        form = "" if self.accept == JSON else f" as {self.accept.rpartition('=')[2]}"
        more = f" until {self.until}" if self.until else ""
        return f"{self.method}{SHORT.get(self.content, ' ' + self.content)} {self.path}{body}{form}{more}"


def shortened(body: Any, length: int = 600) -> str:
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return text if len(text) <= length else f"{text[:length]}…({len(text)})"


@dataclass
class Program:
    """`custom` programs bring kinds of their own: they need the part of the control plane that serves these."""

    seed: int
    custom: bool = False
    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> int:
        """Its number, to be quoted."""
        self.steps.append(step)
        return len(self.steps) - 1

    def story(self) -> str:
        return "\n".join(f"{number:3} {step.told()}" for number, step in enumerate(self.steps))


def quoted(value: Any, answers: list[Any]) -> Any:
    """The value with every quotation resolved; what was not answered is quoted as `none`."""
    if isinstance(value, str):
        return QUOTE.sub(lambda match: _looked(answers, int(match[1]), match[2]), value)
    if isinstance(value, list):
        return [quoted(item, answers) for item in value]
    if isinstance(value, dict):
        return {key: quoted(item, answers) for key, item in value.items()}
    return value


def _looked(answers: list[Any], number: int, path: str) -> str:
    found = answers[number]
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return "none" if found is None else str(found)
