"""Values of other units in the places where a declaration wants them (`{$input: NAME}`). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from kedge.model.declaration import ValueType
from kedge.model.errors import Invalid
from kedge.model.output import Published
from kedge.model.unit import Input, RenderSpec, SecretInput, Unit

MARK = "$input"
_KINDS: dict[ValueType, tuple[type, ...]] = {
    ValueType.STRING: (str,),
    ValueType.NUMBER: (int, float),
    ValueType.BOOL: (bool,),
    ValueType.LIST: (list,),
    ValueType.MAP: (dict,),
}


def missing(unit: Unit, known: Mapping[str, Published]) -> str:
    """The first input whose value nobody knows yet, as a sentence; "" when all are there. `known` is by the input's
    name."""
    hole = next((given for given in unit.inputs if given.name not in known), None)
    return f"waits for {hole}, which is not there yet" if hole is not None else ""


def filled(unit: Unit, known: Mapping[str, Published]) -> Unit:
    """The unit with each value in its places. Of a sensitive one only that it moved: a stack is given it when its tool
    begins, and it is in no rendered set.

    Raises Invalid for a value of another type than is wanted, a name that is no input, a sensitive value outside of a
    stack's variables."""
    if not unit.inputs:
        return unit
    wanted = {given.name: given for given in unit.inputs}
    values = {name: _value(given, known[name]) for name, given in wanted.items() if not known[name].sensitive}
    secret = {name for name in wanted if known[name].sensitive}
    if unit.tool is not None:
        variables = _laid(json.loads(unit.tool.variables), values, secret)
        asked = sorted(_asked(variables))
        text = json.dumps(variables, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        secrets = tuple(SecretInput(n, wanted[n].unit, wanted[n].output, known[n].stamp) for n in asked)
        return replace(unit, tool=replace(unit.tool, variables=text, secrets=secrets))
    if secret:
        given = wanted[min(secret)]
        raise Invalid(
            f"{given} is sensitive, and only the variables of a stack may hold it",
            hint="keep it where the application reads its secrets, or put out something that is not secret",
        )
    return _application(unit, values)


def _application(unit: Unit, values: Mapping[str, Any]) -> Unit:
    render = unit.render
    if render.helm is not None:
        render = replace(render, helm=replace(render.helm, values=_laid(render.helm.values, values)))
    if render.jsonnet is not None:
        ext, tlas = _laid(render.jsonnet.extVars, values), _laid(render.jsonnet.tlas, values)
        render = replace(render, jsonnet=replace(render.jsonnet, extVars=ext, tlas=tlas))
    if render.substitute is not None:
        laid = _laid(render.substitute.variables, values)
        odd = next((name for name, value in laid.items() if not isinstance(value, str | int | float)), "")
        if odd:
            raise Invalid(f"substitute.variables.{odd} is {_named(laid[odd])}, and a variable is one text or number")
        render = replace(render, substitute=replace(render.substitute, variables=laid))
    return replace(unit, render=render)


def _value(given: Input, known: Published) -> Any:
    value = json.loads(known.value)
    kinds = _KINDS.get(given.type)
    fits = kinds is None or (isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds))
    if not fits:
        raise Invalid(f"{given} is {_named(value)}, and the input {given.name} wants a {given.type}")
    return value


def _named(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a truth value"
    words = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "a map"}
    return words.get(type(value), "something else")


def _laid(tree: Any, values: Mapping[str, Any], secret: frozenset[str] | set[str] = frozenset()) -> Any:
    if isinstance(tree, dict):
        name = tree.get(MARK)
        if len(tree) == 1 and isinstance(name, str):
            if name not in values and name not in secret:
                raise Invalid(f"there is no input “{name[:60]}”", hint="declare it under spec.inputs")
            return values.get(name, tree)
        return {key: _laid(part, values, secret) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_laid(part, values, secret) for part in tree]
    return tree


def asked(render: RenderSpec) -> frozenset[str]:
    """Names of the inputs that an application's rendering asks for."""
    helm = render.helm.values if render.helm is not None else {}
    jsonnet = {} if render.jsonnet is None else {"ext": render.jsonnet.extVars, "tla": render.jsonnet.tlas}
    variables = render.substitute.variables if render.substitute is not None else {}
    return frozenset(_asked([helm, jsonnet, variables]))


def _asked(tree: Any) -> Iterator[str]:
    """Names of the inputs that are still to be filled in."""
    if isinstance(tree, dict):
        if len(tree) == 1 and isinstance(tree.get(MARK), str):
            yield tree[MARK]
            return
        for part in tree.values():
            yield from _asked(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _asked(part)
