"""The kinds that follow a verb: singular, plural and short form are one."""

from __future__ import annotations

from kedge.model.errors import Invalid

KINDS: dict[str, tuple[str, ...]] = {
    "unit": ("unit", "units", "u"),
    "app": ("app", "apps", "a", "application", "applications"),
    "stack": ("stack", "stacks"),
    "source": ("source", "sources", "src"),
    "run": ("run", "runs", "r"),
    "event": ("event", "events", "ev"),
    "cluster": ("cluster", "clusters", "c"),
    "project": ("project", "projects", "p"),
    "secret": ("secret", "secrets"),
}
UNITS = ("unit", "app", "stack")
"""Kinds of what is declared to be kept as Git states: applications, stacks, or either."""
_KIND = {word: kind for kind, words in KINDS.items() for word in words}


def kind_of(word: str) -> str | None:
    return _KIND.get(word.lower())


def split(words: tuple[str, ...], verb: str) -> tuple[str, str]:
    """`[KIND] [NAME]` → kind and name; a lone word that is no kind is a unit's name.

    Raises Invalid for more words, or a first word of two that is no kind.
    """
    if len(words) > 2:
        raise Invalid(f"too many words after {verb}: {' '.join(words[2:])}", hint=f"kedge {verb} [KIND] [NAME]")
    if not words:
        return "unit", ""
    kind = kind_of(words[0])
    if len(words) == 1:
        return (kind, "") if kind is not None else ("unit", words[0])
    if kind is None:
        raise Invalid(f"there is no kind “{words[0]}”", hint=f"one of {', '.join(KINDS)}")
    return kind, words[1]


def unit_name(words: tuple[str, ...], verb: str) -> str:
    """The unit that an acting verb is about: `NAME`, `app NAME` or `stack NAME`. Raises Invalid."""
    if len(words) == 1:
        return words[0]
    kind, name = split(words, verb)
    if not name:
        raise Invalid(f"kedge {verb} needs the name of a unit", hint="kedge get lists them")
    if kind not in UNITS:
        raise Invalid(f"kedge {verb} is for applications and stacks, not for a {kind}", hint=f"kedge {verb} {name}")
    return name
