"""A half-read admin root: what it does not say now stays as it was, and outlives a restart where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from tests.doors.memory_source import REPOSITORY, MemorySource
from tests.store.opening import opened

from kedge.clock import SystemClock, SystemEntropy
from kedge.control.road.doors import Doors, RenderedSets
from kedge.control.road.enlist import ADMIN, AdminRoot, Enlister
from kedge.model.ref import UnitName
from kedge.model.rule import HealthRule

HEAD = "apiVersion: kedge.dev/v1alpha1\n"
FILES = {
    ".kedge/project.yaml": HEAD + "kind: Project\nmetadata: {name: shop}\n",
    ".kedge/cluster.yaml": HEAD + 'kind: Cluster\nmetadata: {name: far}\nspec: {server: "https://far.example.com"}\n',
    ".kedge/credential.yaml": HEAD
    + 'kind: Credential\nmetadata: {name: forge}\nspec: {prefix: "https://git.example", password: {env: X}}\n',
    ".kedge/root.yaml": HEAD
    + f'kind: Root\nmetadata: {{name: team}}\nspec: {{repository: "{REPOSITORY}", ref: team, projects: [shop]}}\n',
    ".kedge/web.yaml": HEAD
    + "kind: Application\nmetadata: {name: web, project: shop}\nspec: {source: {path: a}, target: {cluster: far}}\n",
}
MENDED = FILES[".kedge/web.yaml"].replace("path: a", "path: b")
RULE = (
    HEAD + "kind: HealthRule\nmetadata: {name: things}\nspec:\n  kinds: [example.org/Thing]\n"
    "  checks: [{when: \"status.color == 'red'\", status: Degraded}]\n"
    "  cases: [{name: red, object: {status: {color: red}}, status: Degraded}]\n"
)
STANDING = (".kedge/project.yaml", ".kedge/cluster.yaml", ".kedge/credential.yaml", ".kedge/root.yaml")


class Judged:
    """A target that is only told by which rules to judge."""

    rules: tuple[str, ...] = ()

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        Judged.rules = tuple(rule.name for rule in rules)


def enlister(source: MemorySource, store: Any) -> Enlister:
    absent, target = cast(Any, None), cast(Any, Judged())
    doors = Doors(SystemClock(), SystemEntropy(), store, source, absent, target, absent, RenderedSets(store))
    return Enlister(doors, AdminRoot(REPOSITORY, "main"))


def commit(source: MemorySource, **files: str) -> None:
    source.commit({name: text.encode() for name, text in files.items()})


async def test_what_a_broken_file_said_last_is_in_force(tmp_path: Path) -> None:
    store, source = opened(tmp_path / "kedge.db", threads=False), MemorySource()
    commit(source, **FILES)
    house = enlister(source, store)
    await house.read(ADMIN)
    commit(source, **FILES | dict.fromkeys(STANDING, "kind: [") | {".kedge/web.yaml": MENDED})
    await house.read(ADMIN)
    (state,) = await store.roots()
    assert [problem.where.file for problem in state.problems] == sorted(STANDING)
    dossier = await store.load(UnitName("shop", "web"))
    assert dossier is not None
    assert dossier.unit.source.path == "b"
    assert house.roots() == (ADMIN, "team")
    assert [credential.name for credential in house.credentials()] == ["forge"]
    again = enlister(source, store)
    await again.read(ADMIN)
    assert [credential.name for credential in again.credentials()] == ["forge"]
    assert [cluster.name for cluster in await store.clusters()] == ["far"]
    commit(source, **{".kedge/project.yaml": FILES[".kedge/project.yaml"]})
    await house.read(ADMIN)
    assert (house.roots(), house.credentials(), await store.clusters()) == ((ADMIN,), (), [])
    await store.close()


async def test_a_health_rule_is_in_force_once_it_does_what_it_says_and_outlives_a_restart(tmp_path: Path) -> None:
    store, source = opened(tmp_path / "kedge.db", threads=False), MemorySource()
    house = enlister(source, store)
    broken = RULE.replace("{color: red}", "{color: blue}")
    commit(source, **{".kedge/rule.yaml": broken})
    await house.read(ADMIN)
    (state,) = await store.roots()
    assert "case “red”" in state.problems[0].text
    assert Judged.rules == ()
    commit(source, **{".kedge/rule.yaml": RULE})
    await house.read(ADMIN)
    commit(source, **{".kedge/rule.yaml": broken})
    await house.read(ADMIN)
    assert Judged.rules == ("things",)
    Judged.rules = ()
    await enlister(source, store).recall()
    assert Judged.rules == ("things",)
    await store.close()


async def test_only_the_admin_root_says_what_is_healthy(tmp_path: Path) -> None:
    store, source = opened(tmp_path / "kedge.db", threads=False), MemorySource()
    commit(source, **FILES)
    source.commit({".kedge/rule.yaml": RULE.encode()}, "team")
    house = enlister(source, store)
    await house.read(ADMIN)
    await house.read("team")
    (problem,) = next(state for state in await store.roots() if state.name == "team").problems
    assert "only the admin root declares HealthRules" in problem.text
    assert Judged.rules == ()
    await store.close()


async def test_a_name_that_another_root_holds_is_a_problem_that_names_it(tmp_path: Path) -> None:
    store, source = opened(tmp_path / "kedge.db", threads=False), MemorySource()
    commit(source, **FILES)
    source.commit({".kedge/mine.yaml": FILES[".kedge/web.yaml"].encode()}, "team")
    house = enlister(source, store)
    await house.read(ADMIN)
    enlisted = await house.read("team")
    assert enlisted.refused == ("shop/web",)
    (problem,) = next(state for state in await store.roots() if state.name == "team").problems
    assert problem.where.file == ".kedge/mine.yaml"
    assert "the root admin (.kedge/web.yaml" in problem.text
    await store.close()
