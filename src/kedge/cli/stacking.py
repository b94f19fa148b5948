"""A stack's folder planned without a server, by the machine's own OpenTofu or Terraform."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge.cli.comparing import KEY
from kedge.cli.rendering import Wish, spec_of
from kedge.engine.diff import diff
from kedge.engine.effects import effects
from kedge.engine.plan import Draft, make_plan
from kedge.model.change import Finding, Severity
from kedge.model.declaration import Stack, StackSpec, TargetSection
from kedge.model.errors import Invalid
from kedge.model.execution import Tool
from kedge.model.plan import Plan
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import StackTool, Unit

_CODE = (".tf", ".tofu", ".tf.json", ".tofu.json")


def is_stack(directory: Path) -> bool:
    """Whether a folder holds OpenTofu's or Terraform's code."""
    return directory.is_dir() and any(file.name.endswith(_CODE) for file in directory.iterdir())


def planned(directory: Path, wish: Wish) -> Plan:
    """The plan of a folder against its own state: that of `terraform.tfstate` in it, else that of its backend, else of
    nothing. Its effects are keyed locally: equal for equal plans, and no approval of anything.

    Raises Invalid for code or variables that do not fit, Unavailable where no tool is to be found."""
    from kedge.offline import offline_stacks, preferred_tool

    async def work() -> Plan:
        tool = _tool(wish, await preferred_tool() or Tool.OPENTOFU)
        async with offline_stacks() as house:
            manifest, shown = await house.plan(directory, tool, wish.name)
        found = [diff(pair, KEY) for pair in shown.pairs]
        changes = tuple(change for change in found if change is not None)
        unit = Unit(UnitName("offline", wish.name), "offline", SourceSpec("", ""), TargetSection(""), tool=tool)
        warned = tuple(Finding(Severity.WARNING, "stack", text) for text in shown.warned)
        draft = Draft(unit, None, manifest, changes, effects(changes), (), findings=warned)
        return make_plan(draft)

    return asyncio.run(work())


def _tool(wish: Wish, preferred: Tool) -> StackTool:
    """What the declaration says, and the variables of the command line over it."""
    spec = _declared(wish.declared, wish.unit) if wish.declared is not None else StackSpec()
    variables = {**spec.variables, **_variables(wish)}
    if _open(variables):
        raise Invalid(
            "an input of another unit is not known offline", hint="--set NAME=VALUE gives the variable a value"
        )
    return StackTool(
        name=spec.tool.name if wish.declared is not None else preferred,
        version=spec.tool.version,
        variables=json.dumps(variables, sort_keys=True),
        variable_files=spec.variableFiles,
        workspace=spec.workspace,
    )


def _variables(wish: Wish) -> Mapping[str, Any]:
    helm = spec_of(wish).helm
    return helm.values if helm is not None else {}


def _open(variables: Any) -> bool:
    if isinstance(variables, dict):
        return "$input" in variables or any(map(_open, variables.values()))
    return isinstance(variables, list) and any(map(_open, variables))


def _declared(file: Path, unit: str) -> StackSpec:
    from kedge.cli.objects import read_file
    from kedge.dialects.kedge import read

    raw, name = read_file(str(file))
    reading = read(raw, name)
    if reading.problems:
        raise Invalid("", problems=reading.problems)
    found: dict[str, StackSpec] = {}
    for one in reading.declarations:
        if isinstance(one, Stack):
            found |= {f"{one.name}@{env}": spec for env, spec in one.spec.environments} or {one.name: one.spec}
    if not unit and len(found) == 1:
        return next(iter(found.values()))
    if unit not in found:
        raise Invalid(
            f"which stack? {name} declares {', '.join(found) or 'none'}", hint="--unit NAME, or NAME@ENVIRONMENT"
        )
    return found[unit]
