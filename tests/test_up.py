"""`kedge up`, as a process: one command to a healthy application, and everything kept until it is cleaned away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import call
from tests.doors.statefiles import resource, run_of, statefile

from kedge.cli.commands.up import exports
from kedge.cli.options import data_dir
from kedge.clock import SystemClock, SystemEntropy
from kedge.compose import STATE_DAYS, STATE_VERSIONS, states_kept
from kedge.control.states.backend import StateBackend
from kedge.model.errors import Invalid
from kedge.store.keys import load_or_create_key
from kedge.store.sql import Opening, open_store
from kedge.store.stating import Keep
from kedge.up import MARK_FILE, UpOptions, _write_server_file, tour

KEDGE = (sys.executable, "-c", "from kedge.cli.main import main; main()")


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("KEDGE_")}


def kedge(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A verb in a second terminal."""
    env = {**environment(), "KEDGE_DATA": str(data)}
    return subprocess.run([*KEDGE, *words], capture_output=True, text=True, env=env, timeout=60)


def runs(data: Path) -> list[dict[str, Any]]:
    found = json.loads(kedge(data, "history", "demo/hello", "-o", "json").stdout)
    return list(found["items"])


@contextmanager
def demo(data: Path) -> Iterator[str]:
    """The demo, up and healthy; ended by Ctrl-C. Yields what it said until then."""
    words = [*KEDGE, "up", "--demo", "--data", str(data), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()) as up:
        try:
            assert up.stdout is not None
            said = ""
            for line in up.stdout:
                said += line
                if line.startswith("Ctrl-C stops it"):
                    break
            else:
                pytest.fail(f"it ended by itself: {said}")
            yield said
            up.send_signal(signal.SIGINT)
            rest, _ = up.communicate(timeout=60)
            assert (up.returncode, rest.strip()) == (0, "stopping …")
        finally:
            up.kill()


@pytest.mark.e2e
def test_one_command_leads_to_a_healthy_application_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with demo(data) as said:
        assert "Synced · Healthy" in said
        assert f"export KEDGE_DATA={data}" in said
        units = kedge(data, "get", "-o", "name").stdout.split()
        assert sorted(units) == (["demo/hello"] if "without a stack" in said else ["demo/greeting", "demo/hello"])
        assert kedge(data, "suspend", "demo/hello", "-y", "--reason", "lunch").returncode == 0
        first = runs(data)
    assert not (data / "server.json").exists()
    with demo(data):
        assert runs(data) == first
        assert "lunch" in kedge(data, "get").stdout


@pytest.mark.e2e
def test_a_second_one_in_the_same_directory_is_refused_and_clean_waits_for_the_first(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with demo(data):
        for words in (("--demo", "--port", "0"), ("--clean",)):
            refused = kedge(data, "up", *words)
            assert refused.returncode == 2
            assert "another kedge is at work" in refused.stderr
    assert kedge(data, "up", "--clean").returncode == 0
    assert not data.exists()


def test_where_the_server_is_found_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: Any) -> None:
    """Who asked while it was being written was told that the file is no JSON."""
    place, dump, seen = tmp_path / "server.json", json.dump, list[bool]()

    def watched(*given: Any) -> None:
        seen.append(place.exists())
        dump(*given)

    monkeypatch.setattr(json, "dump", watched)
    _write_server_file(tmp_path, "http://127.0.0.1:1", "t0ken")
    assert (seen, json.loads(place.read_text())["token"]) == ([False], "t0ken")
    assert place.stat().st_mode & 0o777 == 0o600
    assert [left.name for left in tmp_path.iterdir()] == ["server.json"]


def test_clean_removes_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = call("up", "--clean", "--data", str(tmp_path))
    assert refused.code == 2
    assert "not a data directory of Kedge" in refused.err
    assert (tmp_path / "thesis.txt").exists()


def _kept(data: Path, *states: tuple[str, bytes]) -> None:
    """A data directory in which runs have written these states."""
    data.mkdir()
    (data / MARK_FILE).touch()

    async def write() -> None:
        clock, entropy = SystemClock(), SystemEntropy()
        store = open_store(Opening(data / "kedge.db", load_or_create_key(data / "key", entropy), clock, entropy))
        backend = StateBackend(store.states, await store.installation(), clock, lambda: "http://kedge")
        for unit, content in states:
            run = await run_of(backend, f"run-of-{unit}", unit).granted()
            await run.applied(content)
        await store.close()

    asyncio.run(write())


def test_clean_refuses_while_a_state_still_holds_resources_and_names_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    many = [resource(name) for name in "abcdefg"]
    _kept(data, ("shop/db", statefile(1, resource("main"))), ("shop/web@prod", statefile(1, *many)))
    refused = call("up", "--clean", "--data", str(data))
    assert refused.code == 2
    assert "shop/db holds aws_s3_bucket.main; shop/web@prod holds aws_s3_bucket.a" in refused.err
    assert "aws_s3_bucket.e and 2 more" in refused.err
    assert "--clean --force" in refused.err
    assert (data / "kedge.db").exists()
    assert call("up", "--clean", "--force", "--data", str(data)).code == 0
    assert not data.exists()


def test_clean_goes_on_where_states_hold_nothing_that_exists_elsewhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    built_in = resource("a", {"index_key": "x.y"}, type="terraform_data", module='module.m["terraform_data."]')
    _kept(data, ("shop/gone", statefile(1)), ("shop/demo", statefile(1, built_in)))
    assert call("up", "--clean", "--data", str(data)).code == 0
    assert not data.exists()


def test_clean_refuses_where_it_can_not_look_into_the_states(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _kept(data, ("shop/db", statefile(1, resource("main"))))
    (data / "key").unlink()
    refused = call("up", "--clean", "--data", str(data))
    assert (refused.code, "can not be told" in refused.err, data.exists()) == (2, True, True)


def test_a_poll_that_would_be_too_often_is_refused(tmp_path: Path) -> None:
    refused = call("up", "--repo", "https://git.example.com/x.git", "--poll", "1s", "--data", str(tmp_path / "data"))
    assert (refused.code, "too often" in refused.err, (tmp_path / "data").exists()) == (2, True, False)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1000000"])
def test_a_number_of_kept_states_that_makes_no_sense_is_refused(value: str) -> None:
    for name in (STATE_VERSIONS, STATE_DAYS):
        with pytest.raises(Invalid, match=name):
            states_kept({name: value})
    assert states_kept({STATE_VERSIONS: "3", STATE_DAYS: "2"}) == Keep(3, 2 * 86400.0)
    assert states_kept({}) == Keep()


def test_up_without_a_repository_says_what_there_is(tmp_path: Path) -> None:
    refused = call("up", "--data", str(tmp_path / "data"))
    assert refused.code == 2
    assert "kedge up --demo" in refused.err


def test_up_refuses_what_can_never_work_before_it_keeps_anything_of_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    found = call("up", "--data", str(data), "--repo", "https://mona:hunter2@git.example/shop.git")
    assert found.code == 2
    assert "KEDGE_REPO_TOKEN" in found.err
    assert "hunter2" not in found.err
    found = call("up", "--data", str(data), "--repo", "ext::sh -c true")
    assert found.code == 2
    lost = str(tmp_path / "lost")
    found = call("up", "--data", str(data), "--repo", "https://git.example/shop.git", "--kubeconfig", lost)
    assert (found.code, lost in found.err) == (2, True)
    assert not data.exists()


def test_the_tour_is_for_the_shell_that_reads_it(tmp_path: Path) -> None:
    strange = tmp_path / "a folder"
    wanted = exports(tmp_path / "bin" / "kedge", strange)
    assert wanted == (f"PATH={tmp_path}/bin:$PATH", f"KEDGE_DATA='{strange}'")
    told = tour(UpOptions(strange, exports=wanted))
    assert f"  export KEDGE_DATA='{strange}'\n" in told
    assert f"(cd '{strange}/demo/work' && " in told
    assert exports(tmp_path / "bin" / "kedge", data_dir())[1:] == ()
