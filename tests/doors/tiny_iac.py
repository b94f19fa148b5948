"""A tiny OpenTofu as plain values: code, cloud, state, what a plan says of them and what each change of it does.

The code is JSON. A text in it may hold `${var.NAME}` and `${TYPE.NAME.ATTRIBUTE}` of a resource whose address comes
before; the cloud makes up `id`, `note` (which others change at will) and `secret` (sensitive) of whatever is made. A
`disk` whose `kind` changes, and a `null_resource` whose `trigger` does, can only be replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.doors.statefiles import statefile

MAIN = "main.json"
FORCING = {"disk": "kind", "null_resource": "trigger"}
MADE_UP = ("id", "note", "secret")
_ASKED = re.compile(r"\$\{([^}]+)\}")


class Refused(Exception):
    """What the tool says where it can not plan, or not apply."""


@dataclass(frozen=True, slots=True)
class Value:
    """`later`: known after the apply. `secret`: made of what is sensitive."""

    value: Any = None
    later: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """`variables` are defaults by name. `broken` is what a plan of it ends with."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    broken: str = ""


def code_of(text: bytes) -> Code:
    """Raises ValueError, TypeError for what is none."""
    return Code(**json.loads(text))


@dataclass(slots=True)
class Thing:
    """What stands in the cloud. `unit` and `address` say who made it, for the story."""

    id: str
    unit: str
    address: str
    attributes: dict[str, Any]


@dataclass(slots=True)
class Cloud:
    """`told(act, thing, execution)` hears of every change, `execution` "" where other hands made it."""

    things: dict[str, Thing] = field(default_factory=dict)
    told: Callable[[str, Thing, str], None] = lambda act, thing, execution: None
    secret: str = "secret"
    count: int = 0

    def make(self, unit: str, address: str, wanted: Mapping[str, Any], execution: str = "") -> Thing:
        self.count += 1
        made_up = {"id": f"i-{self.count}", "note": "new", "secret": f"{self.secret}-{self.count}"}
        thing = Thing(made_up["id"], unit, address, {**wanted, **made_up})
        self.things[thing.id] = thing
        self.told("create", thing, execution)
        return thing

    def change(self, id: str, wanted: Mapping[str, Any], execution: str = "") -> Thing:
        if id not in self.things:
            raise Refused(f"there is no {id}")
        thing = self.things[id]
        kept = {name: thing.attributes[name] for name in MADE_UP}
        thing.attributes = {**wanted, **kept} if execution else {**thing.attributes, **wanted}
        self.told("update", thing, execution)
        return thing

    def drop(self, id: str, execution: str = "") -> None:
        thing = self.things.pop(id, None)
        if thing is not None:
            self.told("delete", thing, execution)


@dataclass(slots=True)
class State:
    """`lineage` is "" for one that was never written. `secret` are names of attributes by address: what was made of
    something sensitive stays so, whatever the code says later."""

    serial: int = 0
    lineage: str = ""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    secret: dict[str, list[str]] = field(default_factory=dict)

    def text(self) -> bytes:
        return statefile(
            self.serial,
            *(
                _kept(address, self.resources[address], self.secret.get(address, []))
                for address in sorted(self.resources)
            ),
            outputs={name: {**output, "type": "string"} for name, output in sorted(self.outputs.items())},
            lineage=self.lineage,
        )


def _kept(address: str, attributes: Mapping[str, Any], secret: Sequence[str]) -> dict[str, Any]:
    type, _, name = address.partition(".")
    marks = [[{"type": "get_attr", "value": each}] for each in secret]
    instance = {"schema_version": 0, "attributes": dict(attributes), "sensitive_attributes": marks}
    return {"mode": "managed", "type": type, "name": name, "provider": "tiny", "instances": [instance]}


def state_of(text: bytes | None) -> State:
    if not text:
        return State()
    whole = json.loads(text)
    outputs = {
        name: {key: value for key, value in output.items() if key != "type"}
        for name, output in whole["outputs"].items()
    }
    instances = {f"{each['type']}.{each['name']}": each["instances"][0] for each in whole["resources"]}
    resources = {address: dict(each["attributes"]) for address, each in instances.items()}
    secret = {
        address: [mark[0]["value"] for mark in each["sensitive_attributes"]]
        for address, each in instances.items()
        if each["sensitive_attributes"]
    }
    return State(whole["serial"], whole["lineage"], outputs, resources, secret)


@dataclass(frozen=True, slots=True)
class Given:
    """The code, with what it is given: variables, and the names of those that are sensitive."""

    code: Code
    variables: Mapping[str, Any] = field(default_factory=dict)
    secret: Collection[str] = ()

    def value(self, raw: Any, known: Mapping[str, Mapping[str, Value]]) -> Value:
        """Raises Refused for what is asked for and is not there."""
        if not isinstance(raw, str):
            return Value(raw)
        parts = [self._asked(name, known) for name in _ASKED.findall(raw)]
        secret = any(part.secret for part in parts)
        if any(part.later for part in parts):
            return Value(None, True, secret)
        texts = iter(str(part.value) for part in parts)
        return Value(_ASKED.sub(lambda _: next(texts), raw), False, secret)

    def _asked(self, name: str, known: Mapping[str, Mapping[str, Value]]) -> Value:
        head, _, rest = name.partition(".")
        if head == "var":
            if rest not in self.code.variables:
                raise Refused(f"there is no variable {rest}")
            return Value(self.variables.get(rest, self.code.variables[rest]), secret=rest in self.secret)
        address, _, attribute = name.rpartition(".")
        if address not in known:
            raise Refused(f"there is no resource {address}")
        return known[address].get(attribute, Value(""))


def refreshed(state: State, cloud: Cloud) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Resources as they are by now, and what of them is otherwise than the state has it."""
    found, drift = {}, []
    for address, before in sorted(state.resources.items()):
        thing = cloud.things.get(before["id"])
        after = dict(thing.attributes) if thing is not None else None
        if after is not None:
            found[address] = after
        if after != before:
            acts = ("update",) if after is not None else ("delete",)
            drift.append(_entry(address, acts, before, after, secret=_marks(state, address)))
    return found, drift


def _marks(state: State, address: str) -> dict[str, bool]:
    return {"secret": True} | {name: True for name in state.secret.get(address, ())}


def planned(given: Given, state: State, cloud: Cloud, *, destroy: bool = False) -> dict[str, Any]:
    """What `show -json` says of a plan. Raises Refused."""
    if given.code.broken and not destroy:
        raise Refused(given.code.broken)
    there, drift = refreshed(state, cloud)
    wanted = {} if destroy else given.code.resources
    known: dict[str, dict[str, Value]] = {}
    changes = []
    for address in sorted({*there, *wanted}):
        before = there.get(address)
        if address not in wanted:
            changes.append(_entry(address, ("delete",), before, None, secret=_marks(state, address)))
            continue
        values = {name: given.value(raw, known) for name, raw in wanted[address].items()}
        entry, known[address] = _resource(address, before, values)
        if before is not None:
            entry["change"]["before_sensitive"] = _marks(state, address)
        changes.append(entry)
    outputs = {} if destroy else {name: _output(given, name, known) for name in given.code.outputs}
    return {
        "format_version": "1.2",
        "resource_changes": changes,
        "resource_drift": drift,
        "output_changes": dict(_output_changes(state, outputs, given)),
    }


def _resource(
    address: str, before: dict[str, Any] | None, values: dict[str, Value]
) -> tuple[dict[str, Any], dict[str, Value]]:
    after = {name: value.value for name, value in values.items() if not value.later}
    later = {name: True for name, value in values.items() if value.later}
    secret = {"secret": True} | {name: True for name, value in values.items() if value.secret}
    kept = {name: before[name] for name in MADE_UP} if before is not None else {}
    if before is not None and not later and {**after, **kept} == before:
        return _entry(address, ("no-op",), before, before, secret=secret), _known(before, values)
    forcing = FORCING.get(address.partition(".")[0], "")
    same = before is not None and before.get(forcing) == after.get(forcing) and forcing not in later
    if before is not None and same:
        entry = _entry(address, ("update",), before, {**after, **kept}, later, secret)
        return entry, {**values, **_known(kept, {})}
    actions = ("create",) if before is None else ("delete", "create")
    entry = _entry(address, actions, before, after, later | dict.fromkeys(MADE_UP, True), secret)
    if before is not None:
        entry["change"]["replace_paths"] = [[forcing]]
    return entry, {**values, **{name: Value(None, True, name == "secret") for name in MADE_UP}}


def _known(attributes: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Value]:
    found = {name: Value(value, secret=name == "secret") for name, value in attributes.items()}
    return {**found, **values}


def _output(given: Given, name: str, known: Mapping[str, Mapping[str, Value]]) -> Value:
    output = given.code.outputs[name]
    found = given.value(output["value"], known)
    if found.secret and not output.get("sensitive"):
        raise Refused(f"output {name} refers to sensitive values")
    return found


def _output_changes(state: State, outputs: Mapping[str, Value], given: Given) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in sorted({*state.outputs, *outputs}):
        before, after = state.outputs.get(name), outputs.get(name)
        secret = bool(given.code.outputs.get(name, {}).get("sensitive"))
        was_secret = bool(before is not None and before.get("sensitive"))
        if after is None:
            actions = ["delete"]
        elif before is None:
            actions = ["create"]
        else:
            same = not after.later and (before["value"], was_secret) == (after.value, secret)
            actions = ["no-op"] if same else ["update"]
        yield (
            name,
            {
                "actions": actions,
                "before": before["value"] if before is not None else None,
                "after": after.value if after is not None else None,
                "after_unknown": after is not None and after.later,
                "before_sensitive": was_secret or secret,
                "after_sensitive": secret,
            },
        )


def _entry(
    address: str, actions: tuple[str, ...], before: Any, after: Any, later: Any = None, secret: Any = None
) -> dict[str, Any]:
    hidden = {"secret": True} if secret is None else secret
    change = {
        "actions": list(actions),
        "before": before,
        "after": after,
        "after_unknown": later or {},
        "before_sensitive": hidden if before is not None else False,
        "after_sensitive": hidden if after is not None else False,
    }
    return {"address": address, "type": address.partition(".")[0], "mode": "managed", "change": change}


def deeds(shown: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """What a plan would do, real values and all: kind, act, and the whole of it as text. For whoever judges plans."""
    found = [(entry["address"], entry["change"]) for entry in shown["resource_changes"]]
    found += [(f"output.{name}", change) for name, change in shown["output_changes"].items()]
    told = ("actions", "before", "after", "after_unknown")
    return tuple(
        (address, "+".join(change["actions"]), json.dumps([change[name] for name in told], sort_keys=True))
        for address, change in found
        if change["actions"] != ["no-op"]
    )


def turns(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The changes in the order in which they are made: what goes first, the last of it before the others."""
    changes = [entry for entry in shown["resource_changes"] if entry["change"]["actions"] != ["no-op"]]
    gone = [entry for entry in changes if entry["change"]["actions"] == ["delete"]]
    return [*reversed(gone), *(entry for entry in changes if entry not in gone)]


def carry_out(entry: Mapping[str, Any], given: Given, state: State, cloud: Cloud, who: tuple[str, str]) -> None:
    """Make one change of a plan in the cloud, and write it into the state. `who` is unit and execution. Raises Refused
    where the cloud does."""
    (unit, execution), address, change = who, entry["address"], entry["change"]
    if "delete" in change["actions"]:
        cloud.drop(change["before"]["id"], execution)
        state.resources.pop(address, None)
    if change["actions"] == ["delete"]:
        return
    known = {name: _known(attributes, {}) for name, attributes in state.resources.items()}
    wanted = {name: given.value(raw, known).value for name, raw in given.code.resources[address].items()}
    if change["actions"] == ["update"]:
        thing = cloud.change(change["before"]["id"], wanted, execution)
    else:
        thing = cloud.make(unit, address, wanted, execution)
    state.resources[address] = dict(thing.attributes)
    state.secret[address] = sorted(change["after_sensitive"])


def concluded(given: Given, shown: Mapping[str, Any], state: State, *, destroy: bool) -> None:
    """What an apply writes at its end beside its changes: what the plan had refreshed, and the outputs."""
    for entry in shown["resource_changes"]:
        if entry["change"]["actions"] == ["no-op"]:
            state.resources[entry["address"]] = dict(entry["change"]["after"])
    for entry in shown["resource_drift"]:
        gone = entry["change"]["actions"] == ["delete"]
        if gone and state.resources.get(entry["address"]) == entry["change"]["before"]:
            del state.resources[entry["address"]]
    known = {address: _known(attributes, {}) for address, attributes in state.resources.items()}
    names = () if destroy else tuple(given.code.outputs)
    state.outputs = {name: {"value": _value(given, name, known), **_marked(given.code.outputs[name])} for name in names}


def _value(given: Given, name: str, known: Mapping[str, Mapping[str, Value]]) -> Any:
    return given.value(given.code.outputs[name]["value"], known).value


def _marked(output: Mapping[str, Any]) -> dict[str, Any]:
    return {"sensitive": True} if output.get("sensitive") else {}
