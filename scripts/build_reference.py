"""Write docs/reference from the code: commands, declarations, settings, exit codes, health and difference rules.

`--check` writes nothing and fails where a page is not what the code says.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import click

PAGES = Path(__file__).parent.parent / "docs" / "reference"
MADE = "<!-- made by scripts/build_reference.py: change the code, then `make reference` -->"


def exit_codes() -> str:
    from kedge.cli.exits import MEANING

    rows = [f"| {code:d} | {text} |" for code, text in MEANING.items()]
    return "\n".join(["# Exit codes", "", "| code | meaning |", "|---|---|", *rows])


def commands() -> str:
    from kedge.cli.kinds import KINDS
    from kedge.cli.main import ALIASES, VERBS, kedge

    root = click.Context(kedge, info_name="kedge", auto_envvar_prefix="KEDGE")
    lines = ["# Commands", "", "`kedge VERB [KIND] [NAME]`. stdout is data, stderr is progress; the exit codes are in"]
    lines += ["[exit-codes.md](exit-codes.md). Durations are `30s`, `5m`, `1h30m`, `2d`.", "", "## Kinds", ""]
    lines += ["| kind | also written |", "|---|---|"]
    lines += [f"| `{kind}` | {', '.join(f'`{word}`' for word in words[1:])} |" for kind, words in KINDS.items()]
    lines += ["", "## Every verb", "", *_options(kedge, root), ""]
    short = {verb: alias for alias, verb in ALIASES.items()}
    for verb in VERBS:
        command = kedge.get_command(root, verb)
        assert command is not None
        lines += _command(command, verb, short.get(verb, ""), root)
    return "\n".join(lines).rstrip()


def _command(command: click.Command, verb: str, alias: str, root: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=verb, parent=root, auto_envvar_prefix=f"KEDGE_{verb.upper()}")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {verb}"
    yield ""
    yield f"`kedge {verb} {usage}`" + (f" (also `kedge {alias}`)" if alias else "")
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\f", "")
    yield ""
    yield from _options(command, context)
    yield ""
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _inner(inner, name, verb, context)


def _inner(command: click.Command, name: str, verb: str, parent: click.Context) -> Iterator[str]:
    prefix = f"KEDGE_{verb}_{name}".upper()
    context = click.Context(command, info_name=name, parent=parent, auto_envvar_prefix=prefix)
    yield f"### {verb} {name}"
    yield ""
    yield f"`kedge {verb} {name} {' '.join(command.collect_usage_pieces(context))}`"
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\f", "")
    yield ""
    yield from _options(command, context)
    yield ""


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    options = [p for p in command.params if isinstance(p, click.Option)]
    if not options:
        return
    yield "| flag | environment | default | |"
    yield "|---|---|---|---|"
    for option in options:
        yield _option(option, context)


def _option(option: click.Option, context: click.Context) -> str:
    flags = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    kind = option.type
    if option.hidden:
        flags = "(environment only)"
    elif isinstance(kind, click.Choice):
        flags += f" {' &#124; '.join(str(choice) for choice in kind.choices)}"
    elif not option.is_flag:
        flags += f" {option.make_metavar(context)}"
    envvar = option.envvar if isinstance(option.envvar, str) else f"{context.auto_envvar_prefix}_{option.name}".upper()
    default = option.show_default if isinstance(option.show_default, str) else option.default
    shown = "" if callable(default) or default in (None, "", False, ()) or "UNSET" in str(default) else f"`{default}`"
    text = option.help or {"token": "the token itself", "no_color_set": "any text turns colour off"}.get(
        option.name or "", ""
    )
    return f"| {flags} | `{envvar}` | {shown} | {text} |"


def declarations() -> str:
    from kedge.dialects.kedge import KINDS
    from kedge.model.declaration import API_VERSION, ApplicationSpec, StackSpec

    lines = ["# Declarations", "", f"`apiVersion: {API_VERSION}`. Fields under `spec`, each with its default; unknown"]
    lines += ["fields are errors. `kedge schema [KIND]` prints JSON Schemas for editors.", ""]
    for name, shape in KINDS.items():
        lines += [f"## {name}", "", _doc(shape), ""]
        lines += ["| field | type | default | |", "|---|---|---|---|"]
        inner = {"Application": ApplicationSpec, "Stack": StackSpec}.get(name, shape)
        lines += [*_fields(inner, ""), ""]
    return "\n".join(lines).rstrip()


def _fields(shape: type, prefix: str) -> Iterator[str]:
    from kedge.dialects.shape import sentences, spelled

    hints, said = get_type_hints(shape), sentences(shape)
    for field in fields(shape):
        if field.name in ("where", "name", "project", "labels"):
            continue
        hint = hints[field.name]
        inner = next((part for part in (hint, *getattr(hint, "__args__", ())) if _section(part)), None)
        name = f"{prefix}{spelled(field.name)}"
        if field.name == "environments" and shape.__name__.endswith("Spec"):
            yield f"| `{name}` | map of names | | {said[field.name]} |"
        elif inner is not None and str(hint).startswith("dict"):
            yield f"| `{name}` | map of sections | | {said[field.name]} |"
            yield from _fields(inner, f"{name}.*.")
        elif inner is not None and not str(hint).startswith("tuple"):
            yield f"| `{name}` | section | | {_doc(inner)} |"
            yield from _fields(inner, f"{name}.")
        else:
            yield f"| `{name}` | {_type(hint)} | {_default(field)} | {said[field.name]} |"


def _section(part: Any) -> bool:
    return isinstance(part, type) and is_dataclass(part)


def _type(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " &#124; ".join(f"`{choice.value}`" for choice in hint)
    text = str(hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else hint)
    if text.startswith("tuple["):
        inner = text[6:-1].split(",")[0]
        return f"list of {'text' if inner == 'str' else inner.rpartition('.')[2]}"
    return {"str": "text", "bool": "true or false", "int": "whole number", "float": "duration"}.get(text, "mapping")


def _default(field: Any) -> str:
    default = field.default
    if default is MISSING or default in ("", (), None):
        return ""
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, float):
        default = f"{default:g}s"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _doc(shape: type) -> str:
    text = shape.__doc__ or ""
    return "" if text.startswith(f"{shape.__name__}(") else " ".join(text.split()).replace("|", "&#124;")


# What the server reads beside the flags of `kedge up`. A test fails for a variable in the code that no page names.
SETTINGS = {
    "KEDGE_REPO_TOKEN": "The token for the admin root's repository, which no declared Credential can bring.",
    "KEDGE_REPO_SSH_KEY": "Path of a file with the private key for the admin root's repository, asked by ssh.",
    "KEDGE_REPO_KNOWN_HOSTS": "Path of a file with that server's host keys, as OpenSSH's `known_hosts`.",
    "KEDGE_TOOLS": "Folders, apart by `:`, in which further versions of OpenTofu and Terraform are looked for.",
    "KEDGE_PROVIDER_MIRROR": "A folder that mirrors providers; then none is fetched from a registry.",
    "KEDGE_PROVIDER_CACHE": "A folder that providers are kept in for all stacks; by default one beside the executions.",
    "KEDGE_TOOL_CONFIG": "The tools' configuration file of your own, in place of mirror and cache.",
    "KEDGE_RUNS_AT_ONCE": "How many plans and applies of stacks work at once; by default what memory allows; 10 Jobs.",
    "KEDGE_JOBS_IMAGE": "Plans and applies of stacks are Jobs of this image, which holds Kedge and the tools.",
    "KEDGE_JOBS_NAMESPACE": "The namespace of those Jobs.",
    "KEDGE_JOBS_ADDRESS": "The URL by which their pods reach Kedge's own server.",
    "KEDGE_JOBS_CLUSTER": "The cluster of those Jobs, by its name; the default one where it is not set.",
    "KUBECONFIG": "The default cluster's kubeconfig where --kubeconfig is not given; then `~/.kube/config`.",
    "KEDGE_STATE_VERSIONS": "How many versions of each stack's state are kept; every one where it is not set.",
    "KEDGE_STATE_DAYS": "For how many days they are kept, where there are 20 newer ones; for ever where it is not set.",
    "KEDGE_WEBHOOK_SECRET": "The secret that forges sign pushes with, at least 8 characters; unset, webhooks are off.",
}


def settings() -> str:
    from kedge.cli.main import kedge

    lines = [
        "# Settings",
        "",
        "What the server is told: flags of `kedge up`, each also an environment variable, and",
        "",
    ]
    lines[2] += " what only the environment says."
    root = click.Context(kedge, info_name="kedge", auto_envvar_prefix="KEDGE")
    up = kedge.get_command(root, "up")
    assert up is not None
    lines += _options(up, click.Context(up, info_name="up", parent=root, auto_envvar_prefix="KEDGE_UP"))
    lines += ["", "| variable | |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in SETTINGS.items())]
    return "\n".join(lines)


def health() -> str:
    from kedge.engine.health import judge as _  # noqa: F401 - the rules' table is in the module of that name
    from kedge.model.health import Status

    module = sys.modules["kedge.engine.health.judge"]
    lines = ["# Health", "", f"From best to worst: {', '.join(Status)}. A unit's health is its objects' worst.", ""]
    lines += ["The [guide](../guide/health.md) says how objects of any kind are judged, by the conventions that"]
    lines += [
        "controllers share, and how to declare a rule of your own. Kinds of Kubernetes itself have these rules:",
        "",
    ]
    lines += ["| kind | rule |", "|---|---|"]
    for (group, kind), rule in sorted(module._RULES.items()):
        doc = " ".join((rule.__doc__ or "").split())
        lines.append(f"| `{f'{group}/{kind}' if group else kind}` | {doc} |")
    return "\n".join([*lines, "", *_known_kinds()])


def _known_kinds() -> Iterator[str]:
    from importlib.resources import files

    from kedge import kinds

    yield "## Kinds of other projects"
    yield ""
    yield "What Kedge knows of them beyond the conventions, and what `kedge act` can do to them."
    yield ""
    yield "| kind | | actions |"
    yield "|---|---|---|"
    for group, kind in sorted(kinds.folders()):
        page = files("kedge.kinds").joinpath(group, kind, "README.md").read_text("utf-8")
        head, _, rest = page.removeprefix("# ").partition("\n")
        text, _, actions = rest.partition("\nActions: ")
        told = " ".join(text.split()).replace("|", "&#124;")
        yield f"| {head} | {told} | {' '.join(actions.split()).rstrip('.')} |"


def differences() -> str:
    from kedge.engine import normalize

    lines = ["# Differences that are hidden", "", " ".join((normalize.__doc__ or "").split()), ""]
    lines += ["`kedge diff --hidden` lists each with its rule.", ""]
    rules = getattr(normalize, "RULES", None)
    if isinstance(rules, dict):
        lines += ["| rule | |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rules.items())]
    return "\n".join(lines).rstrip()


WRITERS: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "declarations.md": declarations,
    "exit-codes.md": exit_codes,
    "settings.md": settings,
    "health.md": health,
    "differences.md": differences,
}


def pages() -> dict[str, str]:
    return {name: f"{MADE}\n\n{write()}\n" for name, write in WRITERS.items()}


def main() -> int:
    stale = []
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        place = PAGES / name
        if place.is_file() and place.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            place.write_text(text, "utf-8")
    if "--check" in sys.argv and stale:
        print(f"stale: {', '.join(stale)}; run `make reference`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
