"""Before an acting verb acts: say what it will do, and ask where a person is there to answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import click

from kedge.cli.views.human import say
from kedge.model.errors import Invalid


@dataclass(frozen=True, slots=True)
class Act:
    """The options of `with_act`."""

    reason: str
    dry_run: bool
    yes: bool

    @classmethod
    def taken(cls, given: dict[str, Any]) -> Act:
        return cls(given.pop("reason"), given.pop("dry_run"), given.pop("yes"))


def attended() -> bool:
    """Whether somebody can answer: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def go(act: Act, sentence: str, *, grave: bool = False) -> bool:
    """Say what will be done; whether to do it. `grave` verbs need `-y` where nobody can be asked.

    Raises Invalid then, and click.Abort when the answer is no.
    """
    if act.dry_run:
        say(f"would {sentence}")
        return False
    say(f"will {sentence}")
    if act.yes:
        return True
    if attended():
        click.confirm("Go on?", abort=True, err=True)
    elif grave:
        raise Invalid("nobody is here to be asked", hint="-y agrees beforehand")
    return True


def reason(act: Act, verb: str) -> str:
    """The reason, asked for where none was given. Raises Invalid where nobody can be asked."""
    if act.reason or act.dry_run:
        return act.reason
    if not attended():
        raise Invalid(f"a {verb} needs a reason", hint="--reason TEXT")
    return str(click.prompt("Reason", err=True)).strip()
