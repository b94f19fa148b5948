"""The benchmarks themselves: that they are found, sized and told apart; that they run is seen by `make bench`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from bench import __main__ as runner
from bench._bare import Wish, bodies
from bench._count import Counted
from bench._fleet import FOUR, NAMESPACE, ONE, Repository
from bench._machine import QUICK, children, resident, sized
from bench._target import verb

from kedge.house import House

ROOT = Path(__file__).resolve().parents[1]


def test_every_benchmark_is_found_and_says_what_it_measures() -> None:
    import importlib

    assert runner.known() == list(runner.ORDER)
    for name in runner.known():
        module = importlib.import_module(f"bench.{name}")
        assert module.__doc__
        assert callable(module.main)


def test_an_unknown_name_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["speed"]) == 2
    assert "renders" in capsys.readouterr().err


def test_a_quick_run_is_smaller_and_a_size_that_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(QUICK, raising=False)
    assert sized("BENCH_X", 100, 10) == 100
    monkeypatch.setenv(QUICK, "1")
    assert sized("BENCH_X", 100, 10) == 10
    monkeypatch.setenv("BENCH_X", "7")
    assert sized("BENCH_X", 100, 10) == 7


class Store:
    async def load(self, name: str) -> str:
        return f"dossier of {name}"

    async def record(self, record: Any) -> None: ...

    async def set_head(self, head: Any) -> None: ...

    async def enlist(self, enlistment: Any) -> None: ...

    async def note(self, events: Any) -> None: ...


class Renderer:
    async def render(self, snapshot: Any, unit: Any) -> None: ...


class Source:
    async def fetch(self, repository: str, ref: str) -> None: ...


def test_what_passes_a_door_is_counted_until_the_end_and_answered_as_before() -> None:
    doors = SimpleNamespace(store=Store(), renderer=Renderer(), source=Source())

    async def story() -> None:
        counted = Counted(cast(House, SimpleNamespace(doors=doors)))
        assert await doors.store.load("shop/web") == "dossier of shop/web"
        await doors.store.set_head("head")
        await doors.source.fetch("url", "main")
        counted.end()
        await doors.store.load("shop/web")
        assert str(counted) == "1 fetches, 1 loads, 0 renders, 1 writes"
        assert counted.units == {"shop/web": 1}

    asyncio.run(story())


def test_a_change_of_one_application_is_a_commit_of_its_files_alone(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "fleet", 5, ONE)
    first = repository.begin()
    second = repository.declare()
    third = repository.change(1, "a0003")
    shown = subprocess.run(
        ["git", "diff", "--name-only", second, third], cwd=repository.folder, capture_output=True, text=True, check=True
    )
    assert len({first, second, third}) == 3
    assert shown.stdout.split() == ["apps/a0003/config.yaml"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system tells nothing of processes")
def test_memory_and_children_are_read_from_the_system() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in children(os.getpid())
        assert resident() > 5
    finally:
        child.communicate(b"\n")


def test_a_change_of_some_files_leaves_the_others_alone(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "fleet", 2, FOUR)
    repository.begin()
    before = repository.declare()
    after = repository.change(1, files=("service.yaml",))
    shown = subprocess.run(
        ["git", "diff", "--name-only", before, after], cwd=repository.folder, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["apps/a0000/service.yaml", "apps/a0001/service.yaml"]


def test_the_rival_sends_each_object_under_marks_that_kedge_does_not_watch() -> None:
    found = bodies(Wish("https://127.0.0.1:1", "", "", NAMESPACE, ("a0000",), tuple(FOUR), 0, tried=True))
    assert [path.rpartition("/")[2] for path, _ in found] == ["a0000"] * len(FOUR)
    for _, body in found:
        assert b"rival.dev/shard" in body
        assert b"kedge.dev" not in body


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"verb": "patch", "requestURI": "/api/v1/x?dryRun=All&force=true", "stage": "ResponseComplete"}, "dry run"),
        ({"verb": "patch", "requestURI": "/api/v1/x?force=true", "stage": "ResponseComplete"}, "apply"),
        ({"verb": "list", "requestURI": "/api/v1/x", "stage": "ResponseComplete"}, "read"),
        ({"verb": "watch", "requestURI": "/api/v1/x?watch=true", "stage": "ResponseStarted"}, "watch"),
        ({"verb": "watch", "requestURI": "/api/v1/x?watch=true", "stage": "ResponseComplete"}, ""),
        ({"verb": "get", "requestURI": "/api/v1/x/log", "stage": "ResponseStarted"}, ""),
    ],
)
def test_an_audited_request_is_counted_once_by_what_it_asks(event: dict[str, str], told: str) -> None:
    assert verb(json.dumps(event).encode()) == told
