"""Admission of a stack's code: what it may run, and where its modules may be from. Pure, over what the code says.

A project's rules of kinds hold for resources too: `data/external` denies data sources that run a program,
`provisioner/local-exec` commands, `aws_iam_*` resources of these types (those are judged in the plan, where those of
modules from elsewhere are seen as well). What such a module reads and runs is fetched after this, so where something of
that is denied, none may be called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from kedge.model.change import Act, Change, Finding, Severity
from kedge.model.manifest import Desired
from kedge.model.ref import STACKS
from kedge.model.unit import Unit

_OPTION = re.compile(r"(?:\A|[=:/@ ])-|ext::|[\x00-\x20]|\.\.")


_UNSEEN = ("data/", "provisioner/")


def admit_stack(unit: Unit, desired: Desired) -> tuple[Finding, ...]:
    """An error for everything in the code that the project denies, for modules from where nothing allows, and for
    variables that nothing declares. To be asked before a plan is made: a plan runs code."""
    return tuple(found for manifest in desired.manifests for found in _judged(unit, json.loads(manifest.body)))


def _judged(unit: Unit, body: dict[str, Any]) -> list[Finding]:
    facts, given = body["facts"], body["spec"]["variables"]
    denies = f"project {unit.name.project} denies"
    found = []
    for kind in dict.fromkeys(facts.get("data") or ()):
        if denied := _denied(unit, f"data/{kind}"):
            found.append(Finding(Severity.ERROR, "admit/data", f"{denies} the data source {kind} ({denied})"))
    for one in facts.get("provisioners") or ():
        if denied := _denied(unit, f"provisioner/{one['source']}"):
            text = f"{_where(one)}: {denies} the provisioner {one['source']} ({denied})"
            found.append(Finding(Severity.ERROR, "admit/provisioner", text))
    declared = facts.get("variables") or ()
    for name in given:
        if name not in declared:
            text = f"the code declares no variable “{name[:60]}”, but {', '.join(declared[:20]) or 'none at all'}"
            found.append(Finding(Severity.ERROR, "admit/variable", text))
    for module in facts.get("remote") or ():
        refused = module_refused(unit, module["source"])
        if refused:
            text = f"{_where(module)}: the module {module['source']} {refused}"
            found.append(Finding(Severity.ERROR, "admit/module", text))
    return found


def admit_resources(unit: Unit, changes: Sequence[Change]) -> tuple[Finding, ...]:
    """An error for each resource of a denied type that the plan would create or change."""
    return tuple(_resources(unit, changes))


def _resources(unit: Unit, changes: Sequence[Change]) -> Iterator[Finding]:
    for change in changes:
        kind = change.ref.kind
        if (
            change.ref.group == STACKS
            and change.act not in (Act.DELETE, Act.FORGET)
            and (denied := _denied(unit, kind))
        ):
            text = f"project {unit.name.project} denies {change.ref} ({denied})"
            yield Finding(Severity.ERROR, "admit/resource", text, change.ref)


def _where(place: dict[str, Any]) -> str:
    return f"{place['file']}, line {place['line']}"


def _denied(unit: Unit, word: str) -> str:
    return next((glob for glob in unit.kinds.denied if fnmatchcase(word, glob)), "")


def module_refused(unit: Unit, source: str) -> str:
    """Why a module that is no path may not be called, "" where it may."""
    if _OPTION.search(source):
        return "holds an option for the program that would fetch it"
    allowed = unit.tool.modules if unit.tool is not None else ()
    if any(source.startswith(prefix) for prefix in allowed):
        denied = next((glob for glob in unit.kinds.denied if glob.startswith(_UNSEEN)), "")
        return f"can not be looked into before it runs, and the project denies {denied}" if denied else ""
    return "is from elsewhere, and the stack's `modules` do not name it"
