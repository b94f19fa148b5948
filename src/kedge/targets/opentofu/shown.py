"""What `show -json` says of a saved plan → pairs, and what `output -json` says → outputs. Pure.

The text holds secrets in clear: nothing of it is stored or told but through the masks that it brings itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kedge.model.errors import Invalid
from kedge.model.manifest import Manifest
from kedge.model.output import Output
from kedge.model.pair import Planned
from kedge.model.ref import STACKS, Ref

_QUIET = (["no-op"], ["read"])


def pairs_of(shown: bytes, manifest: Manifest | None) -> tuple[Planned, ...]:
    """Every resource and output that the plan does not leave as it is, by address. `manifest` is the stack's.

    Raises Invalid for what is no plan, or one that ended in an error."""
    try:
        plan = orjson.loads(shown)
        if plan.get("errored"):
            raise Invalid("the plan ended in an error, and is of no use")
        found = [*_resources(plan, manifest), *_outputs(plan, manifest)]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise Invalid(
            "what the tool shows of its plan can not be read", hint="is it a version that we know?"
        ) from error
    return tuple(sorted(found, key=lambda pair: pair.ref))


def _resources(plan: Mapping[str, Any], manifest: Manifest | None) -> Iterator[Planned]:
    for entry in plan.get("resource_changes") or ():
        change = entry["change"]
        if entry.get("mode") == "data" or not _tells(entry, change):
            continue
        deposed = f" (deposed {entry['deposed']})" if entry.get("deposed") else ""
        ref = Ref(STACKS, entry["type"], "", f"{entry['address']}{deposed}")
        yield Planned(
            ref=ref,
            manifest=manifest,
            actions=tuple(change["actions"]),
            before=change.get("before"),
            after=change.get("after"),
            unknown=change.get("after_unknown", False),
            secret_before=change.get("before_sensitive", False),
            secret_after=change.get("after_sensitive", False),
            replaces=tuple(sorted(map(_path, change.get("replace_paths") or ()))),
            previous=entry.get("previous_address") or "",
            importing=str((change.get("importing") or {}).get("id", "")),
            why=entry.get("action_reason") or "",
        )


def _tells(entry: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    quiet = change["actions"] in _QUIET
    return not quiet or bool(entry.get("previous_address") or change.get("importing"))


def _outputs(plan: Mapping[str, Any], manifest: Manifest | None) -> Iterator[Planned]:
    for name, change in sorted((plan.get("output_changes") or {}).items()):
        if change["actions"] in _QUIET:
            continue
        yield Planned(
            ref=Ref(STACKS, "output", "", f"output.{name}"),
            manifest=manifest,
            actions=tuple(change["actions"]),
            before={"value": change.get("before")},
            after={"value": change.get("after")},
            unknown={"value": change.get("after_unknown", False)},
            secret_before={"value": change.get("before_sensitive", False)},
            secret_after={"value": change.get("after_sensitive", False)},
        )


def _path(steps: list[Any]) -> str:
    """`["ingress", 0, "port"]` → `ingress[0].port`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def outputs_of(text: bytes) -> tuple[Output, ...]:
    """What `output -json` says. Raises Invalid for anything else."""
    try:
        found = orjson.loads(text or b"{}")
        return tuple(
            Output(name, json.dumps(entry["value"], sort_keys=True), bool(entry.get("sensitive")))
            for name, entry in sorted(found.items())
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise Invalid("what the tool says of its outputs can not be read") from error
