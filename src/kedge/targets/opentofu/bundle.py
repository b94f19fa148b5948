"""A stack's manifest, as the renderer makes it, and the executions that are made from it. Pure."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.model.execution import BundleFile, Execution, StateAccess, Task, Tool
from kedge.model.manifest import Manifest
from kedge.model.ref import UnitName
from kedge.model.unit import SecretInput

SENSITIVE = "zzzz_kedge_inputs_override.tf.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`backend` is the kind of backend that the code declares, "" for none: then the built-in one is used."""

    digest: str
    tool: Tool
    version: str
    folder: str
    files: tuple[BundleFile, ...] = field(repr=False)
    variables: Mapping[str, Any] = field(repr=False)
    variable_files: tuple[str, ...] = ()
    secrets: tuple[SecretInput, ...] = ()
    backend: str = ""
    workspace: str = ""


def bundle_of(manifest: Manifest) -> Bundle:
    """What the renderer put into a stack's manifest."""
    body = json.loads(manifest.body)
    spec, facts = body["spec"], body["facts"]
    return Bundle(
        digest=manifest.digest,
        tool=Tool(spec["tool"]),
        version=spec["version"],
        folder=body["folder"],
        files=tuple(BundleFile(file["path"], b64decode(file["text"])) for file in body["files"]),
        variables=spec["variables"],
        variable_files=tuple(spec["variableFiles"]),
        secrets=tuple(
            SecretInput(given["name"], UnitName.parse(given["unit"]), given["output"])
            for given in spec.get("secrets", ())
        ),
        backend=facts.get("backend", ""),
        workspace=spec.get("workspace", ""),
    )


@dataclass(frozen=True, slots=True)
class Means:
    """What an execution is given beside the bundle. `environment` are its credentials, `secrets` texts of JSON by name
    of the input."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    state: StateAccess | None = None
    timeout: float = 3600.0


def execution_of(bundle: Bundle, id: str, unit: str, task: Task, means: Means) -> Execution:
    """The execution of a task over a bundle."""
    return Execution(
        id=id,
        unit=unit,
        task=task,
        tool=bundle.tool,
        version=bundle.version,
        folder=bundle.folder,
        files=(*bundle.files, *_marked(bundle)),
        variables=json.dumps(_filled(bundle.variables, means.secrets), sort_keys=True).encode(),
        variable_files=bundle.variable_files,
        environment=tuple(sorted(means.environment.items())),
        state=means.state,
        backend=bundle.backend,
        workspace=bundle.workspace,
        timeout=means.timeout,
        hidden=tuple(text for value in means.secrets.values() for text in _texts(json.loads(value))),
    )


def _marked(bundle: Bundle) -> Iterator[BundleFile]:
    """Variables that are given a sensitive input are sensitive, whether or not the code says so: the tool then knows
    all that is made of them, in its plan, its state and its words."""
    wanted = {given.name for given in bundle.secrets}
    names = [name for name, value in bundle.variables.items() if not wanted.isdisjoint(_inputs(value))]
    if names:
        text = json.dumps({"variable": {name: {"sensitive": True} for name in sorted(names)}})
        yield BundleFile(f"{bundle.folder}/{SENSITIVE}".removeprefix("/"), text.encode())


def _inputs(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("$input"), str):
        yield value["$input"]
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _inputs(part)


def _texts(value: Any) -> Iterator[str]:
    """Every text and number in a sensitive value: a provider, or a command, may print any of them."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _filled(value: Any, secrets: Mapping[str, str]) -> Any:
    """Variables with the sensitive inputs in their places; all others were filled in before."""
    if isinstance(value, dict):
        name = value.get("$input")
        if len(value) == 1 and isinstance(name, str) and name in secrets:
            return json.loads(secrets[name])
        return {key: _filled(part, secrets) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, secrets) for part in value]
    return value
