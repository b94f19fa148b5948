"""A rendered set as YAML that every reader takes to mean the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson
import yaml

from kedge.cli.views.machine import json_text
from kedge.model.manifest import Manifest

# YAML 1.1, 1.2 and Kubernetes' reader disagree about 1e3, 0644, on, 1_000 …: whatever is not plainly a word is quoted.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*\Z")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"})


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.match(text) is not None and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _string)


def as_yaml(manifests: Sequence[Manifest]) -> str:
    """One document each, in the order in which they were rendered."""
    whole = [orjson.loads(manifest.body) for manifest in manifests]
    return "".join("---\n" + document(body) for body in whole)


def as_json(manifests: Sequence[Manifest]) -> str:
    """One List, which kubectl takes as it is."""
    items = [orjson.loads(manifest.body) for manifest in manifests]
    return json_text({"apiVersion": "v1", "kind": "List", "items": items}, indent=2)


def document(value: dict[str, Any]) -> str:
    """One document, as `as_yaml` writes it."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False)
