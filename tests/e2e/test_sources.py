"""Sources of every kind, from a push or a published chart to what runs."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.world import World, contents, standing
from tests.sources.packing import chart
from tests.sources.test_charts import publish
from tests.sources.web import Site

from kedge.sources.mirror import Limits
from kedge.sources.mirror import folder_of as folder_of_mirror

pytestmark = pytest.mark.e2e
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.control.shift.rounds.POLL", 1.0)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


def offered(site: Site, *versions: str) -> None:
    publish(site, {version: chart("web", version, {"templates/namespace.yaml": NAMESPACE}) for version in versions})


async def version(world: World) -> str:
    found = await world.call("GET", "/api/v1/namespaces/web/configmaps/web")
    return str(found["data"]["version"]) if found else ""


async def test_a_chart_with_values_of_another_repository_is_followed_by_both(tmp_path, access, site: Site):
    offered(site, "1.0.0")
    async with standing(tmp_path, access=access) as world:
        values = world.forge.repository("values", {"prod.yaml": "greeting: from values\n"})
        others = f"[{{name: values, repository: '{values.url}', ref: main}}]"
        source = f"{{repository: '{site.url}/stable', chart: web, version: 1.x, others: {others}}}"
        declared = application("web", "  helm: {valuesFiles: [$values/prod.yaml]}\n", source=source)
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": declared})
        world.pushed("a chart")
        await world.synced("shop/web")
        assert (await version(world), await world.greeting("web")) == ("1.0.0", "from values")
        shown = (await world.kedge("get", "source")).out
        assert "1.0.0, values" in shown

        offered(site, "1.0.0", "1.1.0", "2.0.0")
        world.house.shift.push(lambda url: url.startswith(site.url), "")

        async def newer() -> bool:
            return await version(world) == "1.1.0"

        await world.eventually(newer)
        values.write({"prod.yaml": "greeting: other values\n"})
        values.push("other values")
        world.house.shift.push(lambda url: url == values.url, "refs/heads/main")

        async def greets() -> bool:
            return await world.greeting("web") == "other values"

        await world.eventually(greets)
        site.rule = lambda asked: None
        site.pages.clear()
        world.house.shift.push(lambda url: url.startswith(site.url), "")
        shown = await world.said("index.yaml answers 404", "get", "source")
        assert "ANSWERED" in shown
        assert await version(world) == "1.1.0"
        await world.whole()


async def test_a_chart_is_taken_back_to_a_version_by_its_number(tmp_path, access, site: Site):
    async def now(wanted: str) -> None:
        async def there() -> bool:
            return await version(world) == wanted

        await world.eventually(there)

    offered(site, "1.0.0", "1.1.0", "1.2.0")
    async with standing(tmp_path, access=access) as world:
        source = f"{{repository: '{site.url}/stable', chart: web, version: 1.x}}"
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web", "", source=source)})
        world.pushed("a chart")
        await world.synced("shop/web")
        await now("1.2.0")
        back = await world.kedge("rollback", "web", "1.0.0", "-y", "--reason", "1.2 is bad")
        assert back.code == 0, back.err
        await now("1.0.0")
        refused = await world.kedge("rollback", "web", "abcdef0", "-y", "--reason", "no version")
        assert refused.code != 0
        assert "abcdef0" in refused.err
        await world.kedge("resume", "web", "-y", "--reason", "mended")
        await now("1.2.0")
        again = await world.kedge("rollback", "web", "1.1.0", "-y", "--reason", "1.2 is bad again")
        assert again.code == 0, again.err
        await now("1.1.0")
        await world.whole()


async def test_the_newest_tag_in_a_range_is_deployed(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = world.forge.repository("team", {"README.md": "releases"})
        for tag in ("v1.0.0", "v1.1.0", "v2.0.0"):
            team.write(folder_of("web", tag, at=""))
            team.push(tag)
            team.git("tag", tag)
            team.git("push", "--quiet", "origin", tag)
        source = f"{{repository: '{team.url}', path: web, version: '>=1 <2'}}"
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web", source=source)})
        world.pushed("a range")
        await world.synced("shop/web")
        assert await world.greeting("web") == "v1.1.0"
        assert "v1.1.0" in (await world.kedge("get", "web")).out


ROOT = """
apiVersion: kedge.dev/v1alpha1
kind: Root
metadata: {{name: team}}
spec: {{repository: "{url}", ref: main, projects: [shop]}}
"""
OVERLAY = "resources: [../base, namespace.yaml]\nnamespace: web\n"


async def test_a_huge_repository_is_a_root_and_a_source_and_most_of_it_never_comes(tmp_path, access, monkeypatch):
    monkeypatch.setattr("kedge.sources.git.Limits", lambda: Limits(pieces=300_000))
    async with standing(tmp_path, access=access) as world:
        draw = Random(1)
        large = world.forge.repository("large")
        world.forge.bare("large", "config", "uploadpack.allowFilter", "true")
        for number in range(40):
            (large.work / f"{number}.bin").write_bytes(draw.randbytes(20_000))
        large.write(
            {
                ".kedge/web.yaml": application("web", source="{path: deep/web}"),
                "deep/web/kustomization.yaml": OVERLAY,
                "deep/web/namespace.yaml": NAMESPACE,
                "deep/base/kustomization.yaml": "resources: [config.yaml]\n",
                "deep/base/config.yaml": config("from the base"),
            }
        )
        first = large.push("begin")
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/team.yaml": ROOT.format(url=large.url)})
        world.pushed("a team")
        await world.synced("shop/web", first)
        assert await world.greeting("web") == "from the base"
        large.write({"deep/base/config.yaml": config("another"), "41.bin": "x" * 500_000})
        second = large.push("change the base")
        world.house.shift.push(lambda url: url == large.url, "refs/heads/main")
        await world.synced("shop/web", second)
        assert await world.greeting("web") == "another"
        back = await world.kedge("rollback", "web", first[:7], "-y", "--reason", "the base is bad")
        assert back.code == 0, back.err

        async def greets() -> bool:
            return await world.greeting("web") == "from the base"

        await world.eventually(greets)
        held = folder_of_mirror(world.data / "sources" / "mirrors", large.url) / "objects"
        assert sum(map(len, contents(held))) < 200_000
        await world.whole()
