"""Admission of a stack's code: what it may run, and where its modules may be from. Pure, over what the code says.

A project's rules of kinds hold for resources too: `data/external` denies data sources that run a program,
`provisioner/*` commands, `aws_iam_*` resources of these types (those are judged in the plan).
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

from kedge.model.change import Finding, Severity
from kedge.model.manifest import Desired
from kedge.model.unit import Unit

_OPTION = re.compile(r"(?:\A|[=:/@ ])-|ext::|[\x00-\x20]|\.\.")


def admit_stack(unit: Unit, desired: Desired) -> tuple[Finding, ...]:
    """An error for everything in the code that the project denies, and for modules from where nothing allows."""
    return tuple(
        finding for manifest in desired.manifests for finding in _judged(unit, json.loads(manifest.body)["facts"])
    )


def _judged(unit: Unit, facts: dict[str, Any]) -> list[Finding]:
    said = [
        *(("admit/data", f"data/{kind}", f"the data source {kind}") for kind in dict.fromkeys(facts.get("data") or ())),
        *(("admit/command", "provisioner/command", f"the commands of {name}") for name in facts.get("commands") or ()),
    ]
    found = []
    for rule, word, text in said:
        denied = next((glob for glob in unit.kinds.denied if fnmatchcase(word, glob)), "")
        if denied:
            found.append(Finding(Severity.ERROR, rule, f"project {unit.name.project} denies {text} ({denied})"))
    for module in facts.get("remote") or ():
        refused = module_refused(unit, module["source"])
        if refused:
            where = f"{module['file']}, line {module['line']}"
            found.append(Finding(Severity.ERROR, "admit/module", f"{where}: the module {module['source']} {refused}"))
    return found


def module_refused(unit: Unit, source: str) -> str:
    """Why a module that is no path may not be called, "" where it may."""
    if _OPTION.search(source):
        return "holds an option for the program that would fetch it"
    allowed = unit.tool.modules if unit.tool is not None else ()
    if any(source.startswith(prefix) for prefix in allowed):
        return ""
    return "is from elsewhere, and the stack's `modules` do not name it"
