"""`kedge rollback NAME [RUN|SHA]`: the exact diff first, then a reason, then a pin."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.durations import DURATION
from kedge.cli.options import output_of, server_of, with_act, with_output, with_server


@click.command("rollback")
@click.argument("name")
@click.argument("to", default="", metavar="[RUN|SHA]")
@click.option("--for", "lasting", type=DURATION, default=7 * 86400.0, show_default="7d", help="How long the pin holds.")
@with_act
@with_output
@with_server
def rollback_command(name: str, to: str, lasting: float, **given: Any) -> int:
    """Show what going back would change, ask for a reason, and pin the application there.

    Without RUN or SHA: to the newest run that applied something else. Automation respects the pin until kedge
    resume NAME; when it expires it holds, and never rolls forward by itself.
    """
    from kedge.cli.asking import Act, go, reason
    from kedge.cli.client import unit_path
    from kedge.cli.names import resolve
    from kedge.cli.plans import plan_of, show
    from kedge.cli.views.human import moment, say
    from kedge.model.errors import Unavailable

    act, output, server = Act.taken(given), output_of(given), server_of(given)
    full = resolve(server, name)
    path = unit_path(full)
    wish = {"to": to, "reason": act.reason, "lasting": lasting}
    found = server.post(f"{path}/rollback:preview", wish)
    plan, pin = plan_of(found["plan"]), found["pin"]
    if plan is None:
        raise Unavailable(f"the server previews no plan for {full}")
    show(plan, output, since=found["live"])
    back = f"run {pin['run']}" if pin["run"] else f"commit {pin['commit'][:7]}"
    why = reason(act, "rollback")
    if not go(
        act, f"take {full} back to {back} and pin it until {moment(pin['expires'])}: {plan.summary()}", grave=True
    ):
        return 0
    answer = server.post(f"{path}/rollback", {**wish, "reason": why, "effects": found["effects"]})
    say(f"{full}: {answer['did']}; kedge resume {full} follows Git again")
    return 0
