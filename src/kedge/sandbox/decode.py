"""Reading a built-in object the way the API server's typed decoder does: unknown fields fall out, types must fit."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from kedge.sandbox.cluster import epoch_of
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Cause, Problem, invalid
from kedge.sandbox.quantities import canonical
from kedge.sandbox.types import Type, built_in_types
from kedge.sandbox.wire import Object

JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
GO_NAMES = {"string": "string", "time": "string", "number": "int32", "boolean": "bool", "quantity": "resource.Quantity"}
# fields whose zero value Go leaves out, so that a live object never shows them
OMITTED = frozenset({
    "paused", "generation", "hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly",
    "publishNotReadyAddresses", "minReadySeconds", "initialDelaySeconds", "hostPort", "nodePort", "value",
    "namespace", "generateName", "subPath", "workingDir", "hostname", "subdomain", "nodeName", "clusterIP",
    "loadBalancerIP", "externalName", "serviceAccount", "serviceAccountName", "resourceVersion", "uid", "selfLink",
})  # fmt: skip
KEPT_EMPTY = frozenset({"rules", "containers", "policyTypes", "ingress", "egress", "clusterIPs"})
BYTES = frozenset({("core.v1.Secret", "data"), ("core.v1.ConfigMap", "binaryData")})
# numbers of 64 bits; all others have 32
LONG = frozenset({
    "activeDeadlineSeconds", "deletionGracePeriodSeconds", "expirationSeconds", "fsGroup", "generation", "gid",
    "gracePeriodSeconds", "maxExpirationSeconds", "nodeAllocatableUpdatePeriodSeconds", "observedGeneration",
    "revision", "runAsGroup", "runAsUser", "seconds", "sizeBytes", "startingDeadlineSeconds", "supplementalGroups",
    "terminationGracePeriodSeconds", "tolerationSeconds", "uid",
})  # fmt: skip
ZERO: dict[str, Any] = {"string": "", "time": None, "number": 0, "boolean": False, "quantity": "0", "intstr": 0}
TIME = re.compile(r"(?:\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")


class Misfit(Exception):
    """A value whose type does not fit its field."""

    def __init__(self, path: str, told: str) -> None:
        super().__init__(told)
        self.path = path


class Unreadable(Problem):
    """400: what was sent can not be read as its kind. ``why`` says it without the kind."""

    def __init__(self, kind: Kind, why: str) -> None:
        told = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'
        super().__init__(400, "BadRequest", told)
        self.why = why


def misfit_patch(why: str, shown: str) -> Problem:
    """422, as a patch is refused whose outcome can not be read."""
    return invalid(
        Kind("", "", "", "", False), "", [Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", "patch")]
    )


def decode(kind: Kind, obj: Object) -> list[str]:
    """Brings ``obj`` into shape in place: drops nulls and unknown fields, spells quantities. Returns the unknown paths.

    Raises Problem (400) where a value has another type than its field.
    """
    unknown: list[str] = []
    try:
        _object(kind.type, obj, "", unknown)
    except Misfit as error:
        raise Unreadable(kind, str(error)) from error
    return unknown


def _object(name: str, obj: Any, path: str, unknown: list[str]) -> None:
    table = built_in_types().fields.get(name)
    if table is None:
        return
    if type(obj) is not dict:
        raise _misfit(obj, path, name.rpartition(".")[2], name)
    for key in list(obj):
        field = table.get(key)
        value = obj[key]
        if field is None:
            unknown.append(path + key)
            del obj[key]
        elif value is None or (not value and _left_out(key, field, value)):
            del obj[key]
        elif field.shape == "scalar":
            if field.of == "string":
                if type(value) is not str:
                    raise _misfit(value, path + key, "string", name)
            elif field.of != "any":
                obj[key] = _scalar(field.of, value, path + key, name)
        elif field.shape == "object":
            _object(field.of, value, f"{path}{key}.", unknown)
        elif field.shape == "list":
            _list(field, value, path + key, unknown, name)
        else:
            _map(field, value, path + key, unknown, name)
            if (name, key) in BYTES:
                _check_bytes(value, path + key)


def _left_out(key: str, field: Type, nothing: Any) -> bool:
    """Whether nothing (of the field's own type) counts as absent."""
    if field.shape == "scalar":
        return key in OMITTED and (key != "value" or field.of == "string")
    return (
        field.shape in ("map", "list")
        and type(nothing) is (dict if field.shape == "map" else list)
        and (key not in KEPT_EMPTY)
    )


def _scalar(of: str, value: Any, path: str, owner: str) -> Any:
    found = type(value)
    if value is None and of != "any":
        return ZERO[of]
    if of == "number" and found in (int, float):
        return _number(value, path, owner)
    if of == "boolean" and found is bool:
        return value
    if of == "time" and found is str:
        _check_time(value, path)
        return value
    if of == "intstr" and found is int:
        return _number(value, path, owner)
    if of == "intstr" and found is str:
        return value
    if of == "quantity" and found in (int, float, str):
        try:
            return canonical(str(value))
        except ValueError as error:
            raise Misfit(path, str(error)) from error
    if of == "any" or (of == "string" and found is str):
        return value
    raise _misfit(value, path, GO_NAMES.get(of, of), owner)


def _number(value: int | float, path: str, owner: str) -> int:
    """A whole number that its field has room for."""
    bits = 64 if path.rpartition(".")[2] in LONG else 32
    if (isinstance(value, float) and not value.is_integer()) or not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        told = f"json: cannot unmarshal number {value} into Go struct field {_go(owner, path)} of type int{bits}"
        raise Misfit(path, told)
    return int(value)


def _check_time(value: str, path: str) -> None:
    told = f'parsing time "{value[:64]}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value[:64]}"'
    if not TIME.fullmatch(value):
        raise Misfit(path, told)
    try:
        epoch_of(value)
    except (ValueError, OverflowError) as error:
        raise Misfit(path, told) from error


def _list(field: Type, value: Any, path: str, unknown: list[str], owner: str) -> None:
    if type(value) is not list:
        raise _misfit(value, path, f"[]{_go_element(field)}", owner)
    element = field.element
    if element is None or element.of == "any":
        return
    for index, item in enumerate(value):
        if element.shape == "object":
            if item is None:
                value[index] = item = {}
            _object(element.of, item, f"{path}[{index}].", unknown)
        elif element.shape == "scalar":
            value[index] = _scalar(element.of, item, path, owner)


def _map(field: Type, value: Any, path: str, unknown: list[str], owner: str) -> None:
    if type(value) is not dict:
        raise _misfit(value, path, f"map[string]{_go_element(field)}", owner)
    element = field.element
    if element is None or element.of == "any":
        return
    for key, item in value.items():
        if element.shape in ("object", "list") and item is None:
            value[key] = {} if element.shape == "object" else []
        elif element.shape == "object":
            _object(element.of, item, f"{path}.{key}.", unknown)
        elif element.shape == "list":
            _list(element, item, f"{path}.{key}", unknown, owner)
        elif element.of != "string" or type(item) is not str:
            value[key] = _scalar(element.of, item, path, owner)


def _check_bytes(value: dict[str, str], path: str) -> None:
    for text in value.values():
        try:
            base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Misfit(path, "illegal base64 data at input byte 0") from error


def _go_element(field: Type) -> str:
    return GO_NAMES.get(field.of, field.of.rpartition(".")[2])


def _go(owner: str, path: str) -> str:
    return f"{owner.rpartition('.')[2]}.{path}"


def _misfit(value: Any, path: str, wanted: str, owner: str) -> Misfit:
    found = JSON_NAMES.get(type(value), "null")
    return Misfit(
        path, f"json: cannot unmarshal {found} into Go struct field {_go(owner, path.rstrip('.'))} of type {wanted}"
    )
