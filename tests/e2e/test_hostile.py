"""One commit in which every unit but one means harm: each is told of in a sentence, and its neighbour is deployed."""

from __future__ import annotations

import resource

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.test_bad_input import CHART, hurried_renderer
from tests.e2e.world import World, standing

from kedge.model.errors import LONGEST

pytestmark = pytest.mark.e2e

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n" for above, name in zip("abcdefgh", "bcdefghi", strict=True)
)
RENDER = {
    "loop": {
        "Chart.yaml": CHART,
        "templates/a.yaml": "{{ range until 9999 }}{{ range until 9999 }}{{ end }}{{ end }}" * 9,
    },
    "huge": {"Chart.yaml": CHART, "templates/a.yaml": '{{ repeat 2000000000 "x" }}'},
    "words": {"Chart.yaml": CHART, "templates/a.yaml": '{{ fail (repeat 1000000 "\\u001b[31mx") }}'},
    "asks": {"Chart.yaml": CHART, "templates/a.yaml": '{{ env "HOME" }}'},
    "program": {"a.jsonnet": "local f(x)=f(x+1) tailstrict; f(0)"},
    "bomb": {"a.yaml": f"apiVersion: v1\nkind: T\nmetadata: {{name: a}}\n{BOMB}"},
    "base": {"kustomization.yaml": "resources: [https://example.com/x.yaml]\n"},
    "climbs": {"kustomization.yaml": "configMapGenerator: [{name: a, files: [../../../proc/self/environ]}]\n"},
    "path": {"a.yaml": 'apiVersion: v1\nkind: "../../x?dryRun=All&"\nmetadata: {name: a}\n'},
    "name": {"a.yaml": config("x").replace("name: web", 'name: "../../../namespaces/kube-system"')},
    "nul": {"a.yaml": config("x").replace("name: web", 'name: "a\\0b"')},
}
SOURCE = {
    "refs": ("{path: a, ref: '--upload-pack=touch /tmp/x'}", "ref"),
    "helper": ("{path: a, repository: 'ext::sh -c id'}", "repository"),
    "option": ("{path: a, repository: '--upload-pack=id'}", "repository"),
    "disk": ("{path: a, repository: 'file:///etc'}", "disk"),
    "cloud": ("{path: a, repository: 'https://169.254.169.254/x'}", "link-local"),
    "above": ("{path: ../../etc}", "path"),
}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.compose.worker_renderer", lambda kept: hurried_renderer())


async def settled_in(world: World) -> str:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "hi")}
    )
    begun = world.pushed("begin")
    await world.synced("shop/web", begun)
    return begun


async def test_a_unit_that_means_harm_is_told_of_and_its_neighbour_is_deployed(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await settled_in(world)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name, files in RENDER.items():
            world.repository.write({f".kedge/{name}.yaml": application(name)})
            world.repository.write({f"apps/{name}/{file}": text for file, text in files.items()})
        links = world.repository.work / "apps" / "links"
        links.mkdir()
        (links / "a.yaml").symlink_to("b.yaml")
        (links / "b.yaml").symlink_to("a.yaml")
        world.repository.write({".kedge/links.yaml": application("links"), **folder_of("web", "still here")})
        pushed = world.pushed("harm")
        neighbour = await world.synced("shop/web", pushed)
        assert neighbour.trouble is None
        assert await world.greeting("web") == "still here"
        for name in (*RENDER, "links"):
            found = await world.until(f"shop/{name}", lambda d: d.trouble is not None or d.shown.sync == "OutOfSync")
            assert len(found.shown.why) < 20 * LONGEST
            assert found.operation is None
            shown = (await world.kedge("get", name)).out
            assert "root:" not in shown
            assert "\x1b[31m" not in shown
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10


async def test_a_source_that_means_harm_is_told_of_and_its_neighbour_is_deployed(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await settled_in(world)
        for name, (source, _) in SOURCE.items():
            world.repository.write({f".kedge/{name}.yaml": application(name, source=source)})
        world.repository.write(folder_of("web", "still here"))
        pushed = world.pushed("harm")
        await world.synced("shop/web", pushed)
        assert await world.greeting("web") == "still here"
        (root,) = await world.house.doors.store.roots()
        told = {problem.where.file: str(problem) for problem in root.problems}
        for name, (_, words) in SOURCE.items():
            place = f".kedge/{name}.yaml"
            if place in told:
                assert words in told[place]
            else:
                await world.said(words, "get", "source")
