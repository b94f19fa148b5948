"""Durations as people write them: `30s`, `5m`, `1h30m`, `2d`; a bare number is seconds."""

from __future__ import annotations

import re
from typing import Any

import click

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WHOLE = re.compile(r"(?:\d{1,9}(?:\.\d{1,3})?[smhd])+\Z")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds(text: str) -> float:
    """Raises ValueError for anything else."""
    plain = text.strip().lower()
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", plain):
        return float(plain)
    if not _WHOLE.match(plain):
        raise ValueError(f"“{text}” is no duration: write 30s, 5m, 1h30m or 2d")
    return sum(float(number) * _SECONDS[letter] for number, letter in _PART.findall(plain))


class Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            return seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = Duration()
