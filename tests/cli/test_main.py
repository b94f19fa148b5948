import os
import subprocess
import sys

import pytest
from tests.cli.calling import call

from kedge.cli.exits import MEANING, Exit
from kedge.cli.main import ALIASES, VERBS, kedge


def kedge_process(*args: str, env: dict[str, str] | None = None, stdin: bytes = b""):
    program = [sys.executable, "-c", "from kedge.cli.main import main; main()", *args]
    given = {key: value for key, value in os.environ.items() if not key.startswith("KEDGE_")}
    return subprocess.run(program, input=stdin, capture_output=True, env={**given, **(env or {})}, timeout=60)


@pytest.mark.parametrize("verb", [*VERBS, *ALIASES])
def test_every_verb_explains_itself(verb):
    result = call(verb, "--help")
    assert result.code == 0
    assert "Usage: kedge" in result.out


def test_the_exit_codes_are_those_of_the_table():
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "DIFFERS": 1,
        "ERROR": 2,
        "TIMEOUT": 3,
        "DEGRADED": 4,
        "APPROVAL": 5,
        "DENIED": 6,
    }
    printed = call("help", "exit-codes").out
    for code, text in MEANING.items():
        assert f"{code:d}  {text}" in printed


@pytest.mark.parametrize(
    "args", [["nonsense"], ["get", "--nonsense"], ["get", "-o", "xml"], ["wait"], ["wait", "a", "--timeout", "soon"]]
)
def test_wrong_usage_is_exit_two_on_stderr(args):
    result = call(*args)
    assert (result.code, result.out) == (2, "")
    assert result.err


def test_version_imports_nothing_heavy():
    program = (
        "import sys; from kedge.cli.main import run; run(['version']);"
        "heavy = {'aiohttp','fastapi','sqlalchemy','yaml','pydantic','msgspec','orjson','asyncio','http.client',"
        "'pygit2','ssl','json'} & set(sys.modules); print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_get_speaks_to_the_server_without_a_framework():
    program = (
        "import sys; from kedge.cli.main import run; run(['get', '--server', 'http://127.0.0.1:9']);"
        "print(sorted({'aiohttp','fastapi','sqlalchemy','pydantic','msgspec','asyncio','yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_pipe_that_was_closed_is_no_error():
    program = [sys.executable, "-c", "from kedge.cli.main import main; main()", "schema"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe\x00", b"a: [", b"!!python/object:os.system x", b"{" * 100_000, b"\x00", b"- 1\n- 2", b"&a [*a]"]
)
def test_hostile_input_ends_in_a_sentence_and_never_in_a_traceback(raw):
    done = kedge_process("health", "-", stdin=raw)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_every_flag_has_its_variable():
    assert call("schema", env={"KEDGE_OUTPUT": "name"}).out.startswith("Application")
    assert call("schema", env={"KEDGE_SCHEMA_KIND": ""}).code == 0
    assert call("check", env={"KEDGE_CHECK_RENDER": "no", "KEDGE_OUTPUT": "nonsense"}).code == 2


def test_no_color_takes_colour_away_and_color_always_wins():
    pod = b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
    assert "\x1b[" not in call("health", "-", stdin=pod).out
    assert "\x1b[" in call("--color", "always", "health", "-", stdin=pod).out
    assert "\x1b[" in call("health", "-", stdin=pod, env={"KEDGE_COLOR": "always"}).out
    assert "\x1b[" not in call("health", "-", stdin=pod, env={"NO_COLOR": "1"}).out


def test_help_names_every_verb():
    printed = call("help").out
    assert all(verb in printed for verb in VERBS)
    assert call("help", "nonsense").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell):
    assert "_KEDGE_COMPLETE" in call("completion", shell).out


def test_nothing_takes_a_token_on_the_command_line_where_others_would_see_it_in_help():
    for verb in VERBS:
        command = kedge.get_command(None, verb)
        shown = [
            option for option in command.params if "--token" in option.opts and not getattr(option, "hidden", True)
        ]
        assert shown == []
