"""`sync`, `suspend`, `resume`, `cancel`: say what will be done, ask, do it, say what came of it."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.durations import DURATION
from kedge.cli.options import server_of, with_act, with_server

_WILL = {
    "sync": "apply to {name} what Git wants now, hooks included",
    "suspend": "stop automation of {name} until kedge resume {name}",
    "resume": "let automation of {name} follow Git again, ending a suspension or pin",
    "cancel": "end the running operation of {name} where it stands, and suspend it",
}


@click.command("sync")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for what comes of it.")
@click.option("--timeout", type=DURATION, default=300.0, show_default="5m", help="How long to wait.")
@with_act
@with_server
def sync_command(words: tuple[str, ...], wait: bool, timeout: float, **given: Any) -> int:
    """Apply now what Git wants, hooks included, whatever automation is set to."""
    from kedge.cli.waiting import Goal, wait_for
    from kedge.clock import SystemClock

    done = _act("sync", words, given)
    if done is None or not wait:
        return 0
    server, unit = done
    goal = Goal("healthy", unit["version"], unit["runs"] + 1 if unit["run"] is None else unit["runs"])
    return wait_for(server, unit["name"], goal, timeout, SystemClock())


@click.command("suspend")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@with_act
@with_server
def suspend_command(words: tuple[str, ...], **given: Any) -> None:
    """Stop automation until resume. A running operation goes on to its end."""
    _act("suspend", words, given)


@click.command("resume")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@with_act
@with_server
def resume_command(words: tuple[str, ...], **given: Any) -> None:
    """End a suspension or a rollback's pin: automation follows Git again."""
    _act("resume", words, given)


@click.command("cancel")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@with_act
@with_server
def cancel_command(words: tuple[str, ...], **given: Any) -> None:
    """End the running operation where it stands, and suspend, so that it does not begin again at once."""
    _act("cancel", words, given)


def _act(verb: str, words: tuple[str, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    """The server and the unit as it then stands; None where it was only a dry run."""
    from kedge.cli.asking import Act, go
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import unit_name
    from kedge.cli.names import resolve
    from kedge.cli.views.human import say

    act, server = Act.taken(given), server_of(given)
    name = resolve(server, unit_name(words, verb))
    unit = server.get(unit_path(name))["unit"]
    waiting = f" ({unit['plan']['summary']})" if verb == "sync" and unit["plan"] else ""
    if not go(act, _WILL[verb].format(name=name) + waiting):
        return None
    answer = server.post(f"{unit_path(name)}/{verb}", {"reason": act.reason})
    say(f"{name}: {answer['did']}")
    for problem in answer["problems"]:
        say(f"what is known is applied: {problem['where']}: {problem['text']}")
    return server, answer["unit"]
