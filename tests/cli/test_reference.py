import importlib.util
import re
from pathlib import Path

import click

from kedge.cli.kinds import KINDS
from kedge.cli.main import VERBS, kedge
from kedge.dialects.kedge import KINDS as DECLARED

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"


def script():
    spec = importlib.util.spec_from_file_location("build_reference", ROOT / "scripts" / "build_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says():
    for name, text in script().pages().items():
        assert (PAGES / name).read_text("utf-8") == text, f"{name} is stale: make reference"


def test_every_flag_of_every_verb_is_documented():
    text = (PAGES / "commands.md").read_text("utf-8")
    for verb in VERBS:
        part = text.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]
        command = kedge.get_command(click.Context(kedge), verb)
        assert part, verb
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert all(f"`{flag}`" in part for flag in option.opts), (verb, option.opts)
                assert option.help, (verb, option.opts)


def test_every_kind_is_documented():
    commands = (PAGES / "commands.md").read_text("utf-8")
    declarations = (PAGES / "declarations.md").read_text("utf-8")
    assert all(f"| `{kind}` |" in commands for kind in KINDS)
    assert all(f"\n## {kind}\n" in declarations for kind in DECLARED)


def test_every_variable_that_the_code_reads_is_documented():
    documented = "".join(page.read_text("utf-8") for page in PAGES.glob("*.md"))
    for file in (ROOT / "src" / "kedge").rglob("*.py"):
        for name in set(re.findall(r'"(KEDGE_[A-Z_]+)"', file.read_text("utf-8"))):
            assert f"`{name}`" in documented, f"{name} of {file.name} is in no page"
