"""`kedge VERB [KIND] [NAME]`: finds the verb, and turns what came of it into an exit code."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from kedge.cli.exits import Exit

# Verb: the module under `kedge.cli.commands`, and its line in the list of verbs.
VERBS: dict[str, tuple[str, str]] = {
    "up": ("up", "Start everything in one process; --demo adds a repository and a sandbox cluster."),
    "serve": ("up", "As up, for a service: no demo."),
    "get": ("get", "List applications, worst first, or another kind; or show one."),
    "tree": ("tree", "An application's objects with their health, and what the cluster made from them."),
    "trace": ("tree", "From any live object to its application, commit and author."),
    "logs": ("logs", "What the Pods of an application write."),
    "history": ("history", "Past runs of an application: who, why, at which commit, what came of it."),
    "render": ("render", "Render a directory offline."),
    "diff": ("diff", "What a sync would change; or compare two directories or refs offline."),
    "check": ("check", "Read and render everything below a directory, and say what is wrong."),
    "health": ("health", "Judge the health of objects in a file, offline."),
    "schema": ("schema", "JSON Schemas of the declarations, for editors."),
    "sync": ("act", "Apply now what Git wants."),
    "wait": ("wait", "Wait until an application is synced or healthy."),
    "suspend": ("act", "Stop automation."),
    "resume": ("act", "End a suspension or a rollback's pin."),
    "cancel": ("act", "End the running operation, and suspend."),
    "restart": ("touch", "Make the Pods of an application, or of one object, anew."),
    "scale": ("touch", "Set the replicas of an object, where Git states none."),
    "act": ("touch", "What else can be done to an object: pause, promote, run now, renew …"),
    "rollback": ("rollback", "Show exactly what going back would change, then pin the application there."),
    "state": ("state", "States of stacks: versions, locks, import, and the way back on the worst day."),
    "approve": ("approve", "Agree to the effects of a pending plan."),
    "create": ("create", "Print the YAML of a declaration, for Git."),
    "delete": ("create", "Print what to remove from Git, and what becomes of the objects."),
    "config": ("plumbing", "Which server and data directory are used, and why."),
    "completion": ("plumbing", "Print the completion script of a shell."),
    "version": ("version", "Print the version."),
    "help": ("plumbing", "Explain a verb, or exit-codes."),
}
ALIASES = {"plan": "diff", "reconcile": "sync", "build": "render", "ls": "get"}


class Verbs(click.Group):
    """Imports a verb's module only when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = ALIASES.get(cmd_name, cmd_name)
        if verb not in VERBS:
            return None
        module = import_module(f"kedge.cli.commands.{VERBS[verb][0]}")
        command = getattr(module, f"{verb}_command")
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return (command.name if command is not None else name), command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])
        formatter.write_text("\nAliases: " + ", ".join(f"{short} = {verb}" for short, verb in ALIASES.items()))


@click.group(
    cls=Verbs,
    context_settings={"auto_envvar_prefix": "KEDGE", "help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every flag is also an environment variable: --output of get is KEDGE_OUTPUT or KEDGE_GET_OUTPUT.",
)
@click.option(
    "--color",
    envvar="KEDGE_COLOR",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour; NO_COLOR turns it off too.",
)
@click.option("--no-color-set", envvar="NO_COLOR", default="", hidden=True)
@click.pass_context
def kedge(ctx: click.Context, color: str, no_color_set: str) -> None:
    """GitOps for a whole system: what Git declares is what runs."""
    ctx.color = {"always": True, "never": False}.get(color, False if no_color_set else None)


def main(args: list[str] | None = None) -> None:
    """The console script. Ends the process with a code of `kedge.cli.exits`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run one command line; answers the exit code. Nothing but a bug of ours ends in a traceback."""
    from kedge.model.errors import KedgeError

    out = sys.stdout
    try:
        code = kedge.main(args, prog_name="kedge", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.OK
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo("kedge: stopped", err=True)
        return 130
    except KedgeError as error:
        return _complain(error)
    except SystemExit as error:
        if sys.stdout is not out:  # click replaces it when whoever read our output has enough
            return _pipe_closed()
        return error.code if isinstance(error.code, int) else Exit.ERROR
    except BrokenPipeError:
        return _pipe_closed()


def _complain(error: Exception) -> int:
    from kedge.cli.views.human import say
    from kedge.model.errors import Denied, KedgeError

    for problem in error.problems if isinstance(error, KedgeError) else ():
        say(f"error: {problem}")
    return Exit.DENIED if isinstance(error, Denied) else Exit.ERROR


def _pipe_closed() -> int:
    """That is no error, and what is left to flush at the end goes nowhere."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return Exit.OK
