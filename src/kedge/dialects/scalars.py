"""What a plain YAML scalar means, as Kubernetes' own reader (sigs.k8s.io/yaml on goyaml.v2) takes it."""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_FINITE = frozenset(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")) | {
    ".nan",
    ".NaN",
    ".NAN",
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_BASES = (16, 2, 8, 10)
_LONGEST_NUMBER = 400
_JSON_WHOLE = 1e21
"""Go writes whole floats below this without an exponent, so they come back as integers."""


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar. Raises ValueError for infinities and not-a-number, which JSON has not."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_FINITE:
        raise ValueError(f"“{text}” is not a number that JSON can hold")
    if not text or text[0] not in "+-.0123456789" or len(text) > _LONGEST_NUMBER:
        return text
    digits = text.replace("_", "") if text[0] != "." else text
    whole = _integer(digits)
    if whole is not None:
        return whole
    return _float(digits, text)


def _integer(digits: str) -> int | None:
    """As Go's ParseInt with base 0: `0644` and `0o17` are octal; None beyond 64 bits, which become floats."""
    match = _INTEGER.match(digits)
    if match is None:
        return None
    sign, *parts = match.groups()
    value = next(int(part, base) for part, base in zip(parts, _BASES, strict=True) if part is not None)
    value = -value if sign == "-" else value
    return value if -(2**63) <= value < 2**64 else None


def _float(digits: str, text: str) -> Scalar:
    if not _FLOAT.match(digits):
        return text
    number = float(digits)
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and abs(number) < _JSON_WHOLE else number


def ambiguous(text: str, value: Scalar) -> bool:
    """Whether an unquoted key is another text to Kubernetes' reader than it is as it stands: `n` and `on`, which were
    truth values in YAML 1.1 only, `0644`, `1_000`."""
    return value is not None and key(value) != text


def key(value: Scalar) -> str:
    """A mapping's key as text, as Go writes it. Raises ValueError for null, which is no key."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        raise ValueError("null is not a key")
    return format(value, "g") if isinstance(value, float) else str(value)
