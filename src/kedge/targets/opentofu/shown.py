"""What `show -json` says of a saved plan → pairs, and what `output -json` says → outputs. Pure.

The text holds secrets in clear: nothing of it is stored or told but through the masks that it brings itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.model.errors import Invalid
from kedge.model.manifest import Manifest
from kedge.model.output import Output
from kedge.model.pair import Planned
from kedge.model.ref import STACKS, Ref

_NAMED = 50
"""Addresses of cosmetic drift that are told."""
_WARNED = 20
"""Sentences of the tool, and of what the code itself checks, that are told."""
_LONGEST = 500
_QUIET = (["no-op"], ["read"])


@dataclass(frozen=True, slots=True)
class Shown:
    """`pairs`: every resource and output that the plan does not leave as it is, by address. `cosmetic`: addresses of
    what others have changed, and which leads to no change. `warned` are sentences: checks of the code's own that do not
    hold, and what the tool warns of."""

    pairs: tuple[Planned, ...]
    cosmetic: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def shown_of(shown: bytes, manifest: Manifest | None, problems: Sequence[str] = ()) -> Shown:
    """`manifest` is the stack's, `problems` are those of the plan's report.

    Raises Invalid for what is no plan, or one that ended in an error."""
    try:
        plan = orjson.loads(shown)
        if plan.get("errored"):
            raise Invalid("the plan ended in an error, and is of no use")
        found = [*_resources(plan, manifest), *_outputs(plan, manifest)]
        cosmetic = _cosmetic(plan) if found else _outside(plan)
        warned = _warned(plan, problems)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise Invalid(
            "what the tool shows of its plan can not be read", hint="is it a version that we know?"
        ) from error
    return Shown(tuple(sorted(found, key=lambda pair: pair.ref)), tuple(sorted(cosmetic)[:_NAMED]), warned)


def _warned(plan: Mapping[str, Any], problems: Sequence[str]) -> tuple[str, ...]:
    """The tool warns of a check as well, with its file and line: that is said once."""
    said = warnings_of(problems)
    checks = [f"{name}: {text}" for name, text in _failed(plan) if not any(text in other for other in said)]
    return tuple(dict.fromkeys((*(text[:_LONGEST] for text in checks), *said)))[:_WARNED]


def warnings_of(problems: Sequence[str]) -> tuple[str, ...]:
    """What is no error of what a report tells; a check that does not hold after an apply is said there, and only there
    until the next plan."""
    said = [text.removeprefix(_WARNING)[:_LONGEST] for text in problems if text.startswith(_WARNING)]
    return tuple(dict.fromkeys(said))[:_WARNED]


def _failed(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Address and message of every check that does not hold: of `check` blocks, conditions and outputs."""
    for check in plan.get("checks") or ():
        for instance in check.get("instances") or ():
            if (untold := _FAILED.get(instance["status"])) is not None:
                told = [problem["message"] for problem in instance.get("problems") or ()]
                for text in told or (untold,):
                    yield str(instance["address"]["to_display"]), " ".join(str(text).split())


_FAILED = {"fail": "it does not hold", "error": "it could not be evaluated"}
"""Checks that the tool says no more of, by their status: a message that would tell a secret, for one."""
_WARNING = "warning: "
"""How a report begins what is no error."""


def _outside(plan: Mapping[str, Any]) -> set[str]:
    """What the tool found otherwise than it had left it. Its word for that, drift, says nothing of whether it matters:
    providers tell of new tags, times and orders all the time."""
    entries = plan.get("resource_drift") or ()
    return {str(entry["address"]) for entry in entries if entry["change"]["actions"] not in _QUIET}


def _cosmetic(plan: Mapping[str, Any]) -> set[str]:
    """Of that what is neither changed back nor read by what changes."""
    changes = plan.get("resource_changes") or ()
    real = {str(entry["address"]) for entry in changes if entry["change"]["actions"] not in _QUIET}
    real |= {str(entry["resource"]) for entry in plan.get("relevant_attributes") or ()}
    return _outside(plan) - real


def _resources(plan: Mapping[str, Any], manifest: Manifest | None) -> Iterator[Planned]:
    outside = _outside(plan)
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
            outside=entry["address"] in outside,
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
