"""`kedge check DIR`: everything that can be known about a root before it is pushed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kedge.cli.exits import Exit
from kedge.cli.options import output_of, with_output


@click.command("check")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@click.option("--render/--no-render", default=True, show_default=True, help="Also render what is declared.")
@click.option(
    "--admin",
    type=click.Path(path_type=Path, file_okay=False),
    help="A checkout of the admin root, where DIRECTORY is another root: its projects and clusters count.",
)
@click.option("--root", default="", metavar="NAME", help="Which of its Roots DIRECTORY is, where it names several.")
@with_output
def check_command(directory: Path, render: bool, admin: Path | None, root: str, **given: Any) -> int:
    """Read the declarations below DIRECTORY, render what they name, and say what is wrong.

    DIRECTORY is taken for the admin root, or with --admin for another one that it names. Exit code 1 where there are
    problems or findings.
    """
    from kedge.cli.checking import check
    from kedge.cli.views.human import clean, say

    output = output_of(given)
    checked = check(directory, render=render, admin=admin, root=root)
    code = Exit.OK if checked.clean else Exit.DIFFERS
    if not output.for_people:
        items = [
            {"unit": "", "severity": "error", "rule": "declaration", "ref": "", "where": str(p.where), "text": p.text,
             "hint": p.hint} for p in checked.problems
        ] + [
            {"unit": unit, "severity": found.severity.value, "rule": found.rule, "ref": str(found.ref or ""),
             "where": "", "text": found.text, "hint": ""} for unit, found in checked.findings
        ]  # fmt: skip
        output.write({"units": [str(unit.name) for unit in checked.units], "items": items}, _names(items))
        return code
    for problem in checked.problems:
        click.echo(clean(problem, lines=True))
    for unit, finding in checked.findings:
        place = f" {finding.ref}" if finding.ref else ""
        click.echo(clean(f"{unit}{place}: {finding.severity} {finding.rule}: {finding.text}"))
    for name in checked.elsewhere:
        told = "is built from another repository, or from encrypted files: not rendered here"
        say(f"{name} {told} (see kedge render --declared)")
    total = len(checked.problems) + len(checked.findings)
    say(f"{len(checked.units)} units, {f'{total} problems and findings' if total else 'nothing wrong'}")
    return code


def _names(items: list[dict[str, str]]) -> list[str]:
    return [item["where"] or item["unit"] for item in items]
