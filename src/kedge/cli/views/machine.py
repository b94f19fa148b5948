"""Answers for programs: JSON and YAML with a schema version, or bare names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click

SCHEMA = "kedge.dev/v1"

# What JSON lets through raw and a terminal might obey: DEL, C1 controls, bidirectional and separator characters.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Output:
    """How an answer is written: table, wide, json, yaml or name."""

    form: str

    @property
    def for_people(self) -> bool:
        return self.form in ("table", "wide")

    @property
    def wide(self) -> bool:
        return self.form == "wide"

    def write(self, value: Mapping[str, Any], names: Iterable[str]) -> None:
        """`value` as JSON or YAML, `names` one a line for `name`."""
        if self.form == "name":
            from kedge.cli.views.human import clean

            for name in names:
                click.echo(clean(name))
            return
        whole = value if "schemaVersion" in value else {**value, "schemaVersion": SCHEMA}
        click.echo(yaml_text(whole) if self.form == "yaml" else json_text(whole, indent=2), nl=self.form != "yaml")


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in which nothing is left that a terminal would obey; it reads back as the same value."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def yaml_text(value: object) -> str:
    import yaml

    return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=False, width=120)
