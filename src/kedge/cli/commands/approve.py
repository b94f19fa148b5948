"""`kedge approve NAME`: show the pending plan, then agree to exactly its effects."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import output_of, server_of, with_act, with_output, with_server


@click.command("approve")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@click.option("--effects", default="", metavar="DIGEST", help="The effects you saw: at least their first 4 digits.")
@click.option("--break-glass", is_flag=True, help="Go past the rules, loudly; needs --reason.")
@with_act
@with_output
@with_server
def approve_command(words: tuple[str, ...], effects: str, break_glass: bool, **given: Any) -> int:
    """Agree to the effects of a pending plan. If it would do something else by then, it is held again."""
    from kedge.cli.asking import Act, go, reason
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import unit_name
    from kedge.cli.names import resolve
    from kedge.cli.plans import plan_of, show
    from kedge.cli.views.human import say
    from kedge.model.errors import Conflict, Invalid

    act, output, server = Act.taken(given), output_of(given), server_of(given)
    name = resolve(server, unit_name(words, "approve"))
    found = server.get(f"{unit_path(name)}/plan")
    plan = plan_of(found["plan"])
    if plan is None or plan.needs is None:
        raise Invalid(f"{name} has no plan that waits for approval", hint=f"kedge get {name} says how it stands")
    if effects and not plan.effects.startswith(effects):
        raise Conflict(f"the plan of {name} has other effects by now ({plan.effects[:12]})", hint=f"kedge diff {name}")
    show(plan, output, since=found["live"])
    why = reason(act, "breaking of the glass") if break_glass else act.reason
    verb = "break the glass for" if break_glass else "approve"
    if not go(act, f"{verb} {name}: {plan.summary()}, effects {plan.effects[:12]}", grave=True):
        return 0
    body = {"effects": plan.effects, "reason": why, "breakGlass": break_glass}
    say(f"{name}: {server.post(f'{unit_path(name)}/approve', body)['did']}")
    return 0
