"""What people push: what is wrong is said where one looks for it, harms nobody else, and is over when it is mended."""

from __future__ import annotations

import pytest
from tests.e2e.stories import PROJECT, SICK, application, folder_of, hasten
from tests.e2e.world import World, standing

from kedge.compose import built_worker
from kedge.ports import Snapshot
from kedge.process import spawn
from kedge.renderers.questions import Call
from kedge.renderers.render import WorkerRenderer, version_of
from kedge.renderers.worker import Limits, Pool, Rendered

pytestmark = pytest.mark.e2e

CHART = "apiVersion: v2\nname: sick\nversion: 0.1.0\n"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.compose.worker_renderer", lambda kept: hurried_renderer())


class Hurried(Pool):
    """A render that never ends is known after two seconds: only those of programs can be. All others have time."""

    def __init__(self, program: str) -> None:
        super().__init__(program, spawn)
        self.hurried = Pool(program, spawn, limits=Limits(deadline=2.0))

    async def call(self, call: Call, snapshot: Snapshot) -> Rendered:
        if call.op in ("helm", "jsonnet"):
            return await self.hurried.call(call, snapshot)
        return await super().call(call, snapshot)

    async def close(self) -> None:
        await self.hurried.close()
        await super().close()


def hurried_renderer() -> WorkerRenderer:
    program = built_worker()
    return WorkerRenderer(Hurried(str(program)), version_of(program))


async def two_neighbours(world: World) -> str:
    """`shop/web` and `shop/sick`, both well."""
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/web.yaml": application("web"),
            ".kedge/sick.yaml": application("sick"),
            **folder_of("web", "hello"),
            **folder_of("sick", "hello"),
        }
    )
    begun = world.pushed("begin")
    await world.synced("shop/web", begun)
    await world.synced("shop/sick", begun)
    return begun


BROKEN_YAML = {"apps/sick/config.yaml": "kind: ConfigMap\nmetadata: {name: web\n"}
RECURSION = {
    "apps/sick/Chart.yaml": CHART,
    "apps/sick/templates/all.yaml": '{{ define "again" }}{{ include "again" . }}{{ end }}{{ include "again" . }}',
}
ENDLESS = {
    "apps/sick/Chart.yaml": CHART,
    "apps/sick/templates/all.yaml": "{{ range until 9999 }}{{ range until 9999 }}{{ range until 9999 }}"
    "{{ end }}{{ end }}{{ end }}",
}


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (BROKEN_YAML, ["apps/sick/config.yaml", "line"]),
        ({"apps/sick": None}, ["apps/sick", "there is no folder"]),
        ({"apps/sick/config.yaml": "-> ../../../../../etc/passwd"}, ["apps/sick/config.yaml", "is a symbolic link"]),
        (RECURSION, ["apps/sick/templates/all.yaml", "again"]),
        (ENDLESS, ["apps/sick", "not tried again until it changes"]),
    ],
    ids=[
        "broken YAML",
        "a missing path",
        "a symlink out of the tree",
        "a template that recurses",
        "a template that loops",
    ],
)
async def test_what_does_not_render_is_said_with_its_place_and_leaves_everything_else_alone(
    tmp_path, access, harm, sentence
):
    async with standing(tmp_path, access=access) as world:
        await two_neighbours(world)
        harmful(world, harm)
        world.repository.write(folder_of("web", "goodbye"))
        pushed = world.pushed("one is broken")
        neighbour = await world.synced("shop/web", pushed)
        assert neighbour.trouble is None
        assert await world.greeting("web") == "goodbye"

        sick = await world.until("shop/sick", lambda d: d.trouble is not None and d.head.commit == pushed)
        for words in (("get",), ("get", "sick"), ("history", "sick", "--events")):
            shown = await world.said(sentence[-1], *words)
            assert all(part in shown for part in sentence), shown
        assert "root:" not in await world.said(sentence[0], "get", "sick")
        assert sick.shown.sync == "Unknown"
        assert [run.number for run in await world.house.doors.store.operations("shop/sick")] == [1]
        assert await world.greeting("sick") == "hello"

        world.repository.git("checkout", "--quiet", "HEAD~1", "--", "apps/sick")
        harmful(world, dict.fromkeys(set(harm) - {"apps/sick", "apps/sick/config.yaml"}))
        mended = world.pushed("mended")
        world.repository.write(folder_of("sick", "well again"))
        mended = world.pushed("well again")
        await world.synced("shop/sick", mended)
        assert await world.greeting("sick") == "well again"


def harmful(world: World, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        place = world.repository.work / name
        if text is None and place.is_dir():
            world.repository.git("rm", "-r", "--quiet", name)
        elif text is not None and text.startswith("-> "):
            place.unlink(missing_ok=True)
            place.symlink_to(text.removeprefix("-> "))
        else:
            world.repository.write({name: text})


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        (".kedge/sick.yaml", "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: sick\n", "line"),
        (".kedge/sick.yaml", application("sick").replace("source:", "sorce:"), "“source”"),
        ("kedge.yaml", "include: [.kedge/**\n", "line"),
    ],
    ids=["no YAML", "an unknown field", "the configuration of the root"],
)
async def test_a_broken_declaration_is_said_with_its_place_and_removes_nothing(tmp_path, access, file, text, sentence):
    async with standing(tmp_path, access=access) as world:
        await two_neighbours(world)
        before = await world.house.doors.store.load(SICK)
        world.repository.write({file: text, **folder_of("web", "goodbye"), **folder_of("sick", "goodbye")})
        pushed = world.pushed("a broken declaration")
        await world.synced("shop/web", pushed)
        # The declaration in force is the last good one: what it deploys goes on.
        sick = await world.synced("shop/sick", pushed)
        assert (sick.removed, sick.unit) == (None, before.unit)
        for words in (("get",), ("get", "source"), ("get", "event")):
            shown = await world.said(file, *words)
            assert sentence in shown, shown
        states = await world.house.doors.store.roots()
        assert [state.complete for state in states] == [False]

        world.repository.write({file: application("sick") if file != "kedge.yaml" else "include: [.kedge/**]\n"})
        world.pushed("mended")
        await world.whole()
        assert file not in await world.said("shop/sick", "get")
