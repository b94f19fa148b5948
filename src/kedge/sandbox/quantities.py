"""Quantities in the one spelling the API server stores them in (``1000m`` is ``1``, ``1024Mi`` is ``1Gi``)."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

BINARY = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
PATTERN = re.compile(r"([+-]?[0-9]{0,30}(?:\.[0-9]{0,30})?)([eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})")


def number_of(text: str) -> Decimal:
    """The value of a quantity; raises ValueError when it is none."""
    match = PATTERN.fullmatch(text)
    if not match or not any(character.isdigit() for character in match[1]):
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    try:
        number, suffix = Decimal(match[1]), match[2]
    except InvalidOperation as error:
        raise ValueError(f"unable to parse quantity's value: {text}") from error
    if suffix in BINARY:
        return number * BINARY[suffix]
    if suffix in DECIMAL:
        return number.scaleb(DECIMAL[suffix])
    if suffix[:1] in ("e", "E") and suffix[1:]:
        return number.scaleb(int(suffix[1:]))
    raise ValueError("unable to parse quantity's suffix")


@lru_cache(maxsize=2048)
def canonical(text: str) -> str:
    """The stored spelling; raises ValueError for what is no quantity."""
    number = number_of(text)
    suffix = PATTERN.fullmatch(text)[2]  # type: ignore[index]  # number_of has refused what does not match
    if suffix in BINARY and abs(number) >= 1024 and number == number.to_integral_value():
        whole, chosen = int(number), ""
        for name, factor in BINARY.items():
            if whole % factor == 0:
                chosen = name
        return f"{whole // BINARY[chosen]}{chosen}" if chosen else str(whole)
    if suffix[:1] in ("e", "E") and suffix[1:]:
        return _scaled(number, lambda power: f"e{power}" if power else "")
    names = {power: name for name, power in DECIMAL.items()}
    return _scaled(number, lambda power: names[power])


def _scaled(number: Decimal, name: object) -> str:
    if number == 0:
        return "0"
    for power in (18, 15, 12, 9, 6, 3, 0, -3, -6, -9):
        shifted = number.scaleb(-power)
        if shifted == shifted.to_integral_value():
            return f"{int(shifted)}{name(power)}"  # type: ignore[operator]
    return f"{int(number.scaleb(9).to_integral_value(rounding='ROUND_CEILING'))}n"
