"""CEL, the language of health rules: compiled once, bounded, and never an error at run time.

The library is Google's own (C++). It bounds nesting and iterations itself and matches regular expressions in linear
time (RE2); what it leaves open is memory, which a chain of `map`s that each double their value fills. So macros may
not build values, an expression is short, and it sees a bounded copy of the object (`view.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Any

from kedge.model.errors import Invalid

MOST_CHARACTERS = 1_000
MOST_EFFORT = 24  # of all expressions of a rule: see `_effort`
LONGEST_PATTERN = 60
MOST_REPEATS = 100  # what the counts in a pattern come to, multiplied: each is that many copies of what it repeats
VARIABLES = ("object", "metadata", "spec", "status", "conditions", "age")

_MACROS = frozenset({"map", "filter", "all", "exists", "exists_one", "existsOne", "optMap", "optFlatMap"})
_TOKEN = re.compile(
    r"""(?P<raw>(?:[rR][bB]?|[bB][rR])(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*"))"""
    r"""|(?P<text>[bB]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9][0-9a-zA-Z.]*)|(?P<space>\s+|//[^\n]*)|(?P<sign>[=!<>]=|.)""",
    re.DOTALL,
)
_SMALL = frozenset({"true", "false", "null", "-", "["})
_COMPARES = frozenset({"==", "!=", "<=", ">=", "<", ">"})
_ENDS_VALUE = (")", "]", "}")  # after one of these, or a name, `[` is an index and `+` has a left side


class Expression:
    """One compiled expression. `uses` are the variables that it reads; `effort` counts what is done once an entry."""

    __slots__ = ("_program", "effort", "text", "uses")

    def __init__(self, text: str) -> None:
        """Raises Invalid for what is no CEL, or asks for more than a rule may."""
        self.text = text
        tokens = tuple(_tokens(text))
        self.effort = _effort(text, tokens)
        self.uses = frozenset(word for kind, word in tokens if kind == "word") & frozenset(VARIABLES)
        try:
            self._program = _environment().compile(text)
        except RuntimeError as error:  # the only class that the library raises
            raise Invalid(f"{_shown(text)} is no CEL: {_first_line(error)}", hint="cel.dev describes it") from None

    def holds(self, view: Mapping[str, Any]) -> bool:
        """Whether it is true. What can not be evaluated, such as a field that is not there, does not hold."""
        return self._value(view) is True

    def says(self, view: Mapping[str, Any]) -> str:
        """Its text, or "" where it has none."""
        value = self._value(view)
        return value if isinstance(value, str) else ""

    def _value(self, view: Mapping[str, Any]) -> Any:
        data = {name: view[name] for name in self.uses if view.get(name) is not None}
        try:
            found = self._program.eval(data=data)
            return None if found.type().name() == "ERROR" else found.value()
        except (RuntimeError, ValueError, TypeError, OverflowError):  # its budget is spent, or text it can not read
            return None


@lru_cache(maxsize=1)
def _environment() -> Any:
    """Imported when the first rule is needed: the library is 18 MiB in memory."""
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional

    variables = dict.fromkeys(VARIABLES, cel.Type.DYN)
    return cel.NewEnv(variables=variables, extensions=[ext_optional.ExtOptional()])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text[:MOST_CHARACTERS]):
        kind = match.lastgroup or "sign"
        if kind != "space":
            yield kind, match.group()


def _effort(text: str, tokens: tuple[tuple[str, str], ...]) -> int:
    """Macros, comparisons inside them and regular expressions. Raises Invalid for what could take more than its text
    tells: a macro that builds values (they would double at every step), or one inside another that reads more than its
    own entries."""
    if len(text) > MOST_CHARACTERS:
        raise Invalid(f"an expression has at most {MOST_CHARACTERS} characters, this one {len(text)}")
    inside: list[int] = []  # for each open bracket: how many macros are around what it holds
    before, effort = ("", ""), 0
    for place, (kind, word) in enumerate(tokens):
        depth = inside[-1] if inside else 0
        if kind == "raw" and ("\\'" in word or '\\"' in word):  # readers differ on whether that ends it
            raise Invalid(f"{_shown(text)}: a raw text can not hold \\ before a quote", hint="write it without r")
        if kind == "sign" and word in "\"'`":
            raise Invalid(f"{_shown(text)} has a text without its closing quote")
        if kind == "sign" and word in "([{":
            macro = word == "(" and before[1] in _MACROS
            if depth and (word == "{" or (word == "[" and before[0] != "word" and before[1] not in _ENDS_VALUE)):
                raise Invalid(f"{_shown(text)}: a macro can not build lists or maps", hint="build them outside of it")
            inside.append(depth + macro)
            effort += macro
        elif word in _ENDS_VALUE and inside:
            inside.pop()
        elif depth and kind == "sign" and word == "+":
            raise Invalid(f"{_shown(text)}: a macro can not use “+”", hint="join texts outside of it")
        elif depth > 1 and kind == "word" and word in VARIABLES and before[1] != ".":
            raise Invalid(f"{_shown(text)}: a macro inside another can not read {word}", hint="use its own entries")
        elif kind == "word" and word == "matches":
            _check_pattern(text, before, tokens[place + 1 : place + 4])
            effort += 2
        elif depth and (word in _COMPARES or word == "in"):
            # Two parts of an object may be as large as the object, and are compared once an entry.
            effort += 1 if _is_small(before) or any(map(_is_small, tokens[place + 1 : place + 2])) else 5
        before = (kind, word)
    return effort


def _is_small(token: tuple[str, str]) -> bool:
    """Whether it is, or begins, something that is written out."""
    return token[0] in ("text", "raw", "number") or token[1] in _SMALL


def _check_pattern(text: str, before: tuple[str, str], after: tuple[tuple[str, str], ...]) -> None:
    """Raises Invalid unless a pattern is written out, short, and not made of many copies. They are matched in time that
    grows with the text only, but with what the pattern stands for, too, and an object could bring its own."""
    kinds, words = [kind for kind, _ in after], [word for _, word in after]
    literal = kinds[1:2] in (["text"], ["raw"]) and (words[0], words[-1]) == ("(", ")") and len(words) == 3
    if before[1] != "." or not literal:
        raise Invalid(f"{_shown(text)}: a pattern is written out", hint="write status.phase.matches('^Up')")
    pattern = words[1]
    counts = [max(map(int, re.findall(r"\d{1,9}", count))) for count in re.findall(r"\{[\d, ]*\d[\d, ]*\}", pattern)]
    if len(pattern) > LONGEST_PATTERN or prod(counts) > MOST_REPEATS or re.search(r"\\[pP]", pattern):
        told = f"a pattern has at most {LONGEST_PATTERN} characters, counts that come to {MOST_REPEATS}, and no \\p"
        raise Invalid(f"{_shown(text)}: {told}")


def _shown(text: str) -> str:
    return f"“{text[:80]}”"


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[0] if lines else "it does not parse"
    return told.partition("ERROR: <input>:")[2] or told
