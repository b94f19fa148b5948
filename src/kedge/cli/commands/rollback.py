"""`kedge rollback NAME [RUN|SHA]`: the exact diff first, then a reason, then a pin, or a commit for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kedge.cli.durations import DURATION
from kedge.cli.options import output_of, server_of, with_act, with_output, with_server


@click.command("rollback")
@click.argument("name")
@click.argument("to", default="", metavar="[RUN|SHA|VERSION]")
@click.option("--for", "lasting", type=DURATION, default=7 * 86400.0, show_default="7d", help="How long the pin holds.")
@click.option(
    "--via",
    type=click.Choice(("pin", "git")),
    default="pin",
    show_default=True,
    help="Pin at once, or prepare a commit that puts the files back.",
)
@click.option(
    "--repo",
    "repository",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    help="With --via git: the clone to prepare it in; by default the current one.",
)
@click.option("--branch", default="", metavar="NAME", help="With --via git: the new branch's name.")
@with_act
@with_output
@with_server
def rollback_command(name: str, to: str, lasting: float, via: str, repository: Path, branch: str, **given: Any) -> int:
    """Show what going back would change, ask for a reason, and pin the application there.

    Without any: to the newest run that applied something else. Automation respects the pin until kedge
    resume NAME; when it expires it holds, and never rolls forward by itself.

    With --via git nothing is pinned: in your clone, a commit on a new branch puts back the application's declaration
    and the files that it is rendered from, and no others. Push the branch and have it reviewed.
    """
    from kedge.cli.asking import Act, go, reason
    from kedge.cli.client import unit_path
    from kedge.cli.names import resolve
    from kedge.cli.plans import plan_of, show
    from kedge.cli.views.human import moment, say
    from kedge.cli.waiting import planned
    from kedge.model.errors import Unavailable
    from kedge.model.source import shortened

    act, output, server = Act.taken(given), output_of(given), server_of(given)
    full = resolve(server, name)
    if via == "git":
        from kedge.cli.restoring import Way, back_by_git

        return back_by_git(server, full, to, Way(repository, branch), act, output)
    path = unit_path(full)
    wish = {"to": to, "reason": act.reason, "lasting": lasting}
    found = planned(lambda: server.post(f"{path}/rollback:preview", wish))
    plan, pin = plan_of(found["plan"]), found["pin"]
    if plan is None:
        raise Unavailable(f"the server previews no plan for {full}")
    show(plan, output, since=found["live"])
    back = f"run {pin['run']}" if pin["run"] else shortened(pin["commit"])
    why = reason(act, "rollback")
    if not go(
        act, f"take {full} back to {back} and pin it until {moment(pin['expires'])}: {plan.summary()}", grave=True
    ):
        return 0
    answer = server.post(f"{path}/rollback", {**wish, "reason": why, "effects": found["effects"]})
    say(f"{full}: {answer['did']}; kedge resume {full} follows Git again")
    return 0
