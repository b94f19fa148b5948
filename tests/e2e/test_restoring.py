"""A rollback by Git: a commit for a pull request that puts one unit's declaration and files back, and nothing else."""

from __future__ import annotations

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of
from tests.e2e.world import World, standing

pytestmark = pytest.mark.e2e

OVERLAY = "resources: [../../base, namespace.yaml]\nnamespace: web\n"
BASE = "resources: [config.yaml]\n"


def declared(web: str = "", api: str = "") -> str:
    return f"# Two of them\n{application('web', web)}\n---{application('api', api)}"


async def changed(world: World) -> tuple[str, str]:
    """Two commits: the second changes both units, their declarations, and what nobody reads."""
    world.repository.git("config", "user.name", "Nora")
    world.repository.git("config", "user.email", "nora@example.com")
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/units.yaml": declared(),
            **folder_of("api", "hello"),
            "apps/web/kustomization.yaml": OVERLAY,
            "apps/web/namespace.yaml": folder_of("web", "")["apps/web/namespace.yaml"],
            "base/kustomization.yaml": BASE,
            "base/config.yaml": folder_of("web", "hello")["apps/web/config.yaml"],
        }
    )
    first = world.pushed("begin")
    await world.synced("shop/web", first)
    await world.synced("shop/api", first)
    patched = f"{OVERLAY}patches: [{{path: more.yaml}}]\n"
    world.repository.write(
        {
            ".kedge/units.yaml": declared("  sync: {prune: false}", "  sync: {prune: false}"),
            **folder_of("api", "goodbye"),
            "apps/web/kustomization.yaml": patched,
            "apps/web/more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {more: x}\n",
            "base/config.yaml": folder_of("web", "goodbye")["apps/web/config.yaml"],
            "README.md": "another system\n",
        }
    )
    second = world.pushed("change everything")
    await world.synced("shop/web", second)
    await world.synced("shop/api", second)
    return first, second


def way(world: World, *words: str) -> tuple[str, ...]:
    return ("rollback", "web", *words, "--via", "git", "--repo", str(world.repository.work))


async def test_a_unit_goes_back_by_a_commit_that_touches_nothing_of_another(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        first, second = await changed(world)
        git = world.repository.git
        shown = await world.kedge(*way(world, "--dry-run"))
        assert (shown.code, git("branch", "--list", "kedge/*")) == (0, "")
        assert "-data: {greeting: goodbye}\n+data: {greeting: hello}" in shown.out
        unattended = await world.kedge(*way(world, first[:7], "-y"))
        assert "needs a reason" in unattended.err
        done = await world.kedge(*way(world, first[:7], "-y", "--reason", "it was wrong"))
        assert done.code == 0, done.err
        branch = f"kedge/rollback/shop-web-{first[:7]}"
        assert f"git push origin {branch}" in done.err
        # Nothing but the branch has changed in the clone.
        assert (git("status", "--porcelain"), git("rev-parse", "HEAD")) == ("", second)
        assert git("rev-parse", f"{branch}^") == second
        assert git("diff", "--name-status", second, branch).splitlines() == [
            "M\t.kedge/units.yaml",
            "M\tapps/web/kustomization.yaml",
            "D\tapps/web/more.yaml",
            "M\tbase/config.yaml",
        ]
        assert git("show", f"{branch}:.kedge/units.yaml") == declared("", "  sync: {prune: false}").strip()
        author, subject, _, why, *_ = git("log", "-1", "--format=%an%n%B", branch).splitlines()
        assert (author, why) == ("Nora", "it was wrong")
        assert subject.startswith(f"Roll shop/web back to {first[:7]}")
        again = await world.kedge(*way(world, first[:7], "-y", "--reason", "again"))
        assert "there is a branch" in again.err
        git("merge", "--quiet", "--ff-only", branch)
        merged = world.pushed("an empty commit on top")
        dossier = await world.synced("shop/web", merged)
        assert (await world.greeting("web"), dossier.pin) == ("hello", None)
        assert await world.greeting("api") == "goodbye"
        nothing = await world.kedge(*way(world, first[:7], "-y", "--reason", "once more"))
        assert "nothing to put back" in nothing.err


async def test_what_does_not_render_any_more_can_be_taken_back(tmp_path):
    async with standing(tmp_path) as world:
        _, second = await changed(world)
        world.repository.write(
            {"apps/web/kustomization.yaml": "resources: [nowhere.yaml]\n", "apps/web/new.yaml": "a: b\n"}
        )
        broken = world.pushed("break it")
        await world.said("nowhere.yaml", "get", "web")
        done = await world.kedge(*way(world, second[:7], "-y", "--reason", "it does not render"))
        assert done.code == 0, done.err
        assert world.repository.git(
            "diff", "--name-status", broken, f"kedge/rollback/shop-web-{second[:7]}"
        ).splitlines() == [
            "M\tapps/web/kustomization.yaml",
            "D\tapps/web/new.yaml",
        ]


CHART = "apiVersion: v2\nname: {}\nversion: 1.0.0\n"


async def test_a_chart_that_depends_on_another_is_put_back_by_the_commits_that_people_know(tmp_path):
    """What is put together has a commit of Kedge's own making, which no clone has."""
    map = config("{{ .Values.greeting }}").replace("name: web", "name: {{ .Release.Name }}")
    async with standing(tmp_path) as world:
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/web.yaml": application("web", source="{path: apps/web, allow: ['file://']}"),
                "apps/web/Chart.yaml": CHART.format("web")
                + "dependencies: [{name: base, version: 1.x, repository: 'file://../../base'}]\n",
                "apps/web/values.yaml": "base: {greeting: hello}\n",
                "apps/web/templates/namespace.yaml": folder_of("web", "")["apps/web/namespace.yaml"],
                "base/Chart.yaml": CHART.format("base"),
                "base/templates/config.yaml": map,
            }
        )
        first = world.pushed("begin")
        await world.until("shop/web", lambda d: d.shown.sync == "Synced")
        world.repository.write({"apps/web/values.yaml": "base: {greeting: goodbye}\n"})
        second = world.pushed("say goodbye")

        async def said() -> bool:
            return await world.greeting("web") == "goodbye"

        await world.eventually(said)
        await world.until("shop/web", lambda d: d.operation is None and d.shown.sync == "Synced")
        assert f'{second[:7]} "say goodbye" by Mona' in (await world.kedge("get")).out
        plan = (await world.kedge("rollback", "web", first[:7], "--dry-run")).out
        assert f'main with what its files name {second[:7]} → {first[:7]}  "begin" by Mona' in plan, plan
        shown = await world.kedge(*way(world, first[:7], "--dry-run"))
        assert "-base: {greeting: goodbye}\n+base: {greeting: hello}" in shown.out, shown.err
        assert "apps/web/charts/base comes from elsewhere" in shown.err


async def test_a_clone_that_lacks_the_commits_or_is_none_is_told(tmp_path):
    async with standing(tmp_path) as world:
        first, _ = await changed(world)
        (tmp_path / "empty").mkdir()
        none = await world.kedge("rollback", "web", first[:7], "--via", "git", "--repo", str(tmp_path / "empty"))
        assert (none.code, "is in no Git repository" in none.err) == (2, True)
        other = world.forge.repository("other")
        lacks = await world.kedge("rollback", "web", first[:7], "--via", "git", "--repo", str(other.work))
        assert "git fetch origin" in lacks.err


async def test_other_units_that_read_the_files_that_go_back_are_named(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.git("config", "user.name", "Nora")
        world.repository.git("config", "user.email", "nora@example.com")
        shared = {
            "base/kustomization.yaml": BASE,
            "base/config.yaml": folder_of("web", "hello")["apps/web/config.yaml"],
        }
        overlays = {
            f"apps/{name}/kustomization.yaml": f"resources: [../../base, namespace.yaml]\nnamespace: {name}\n"
            for name in ("web", "api")
        }
        spaces = {f"apps/{n}/namespace.yaml": folder_of(n, "")[f"apps/{n}/namespace.yaml"] for n in ("web", "api")}
        alone = folder_of("alone", "hello")
        units = f"{declared()}\n---\n{application('alone', '')}"
        world.repository.write(
            {".kedge/shop.yaml": PROJECT, ".kedge/units.yaml": units, **shared, **overlays, **spaces, **alone}
        )
        first = world.pushed("begin")
        for name in ("web", "api", "alone"):
            await world.synced(f"shop/{name}", first)
        world.repository.write({"base/config.yaml": folder_of("web", "goodbye")["apps/web/config.yaml"]})
        second = world.pushed("change the base")
        await world.until("shop/web", lambda d: d.applied is not None and d.applied.commit == second)
        told = await world.kedge(*way(world, "-y", "--reason", "the base is bad"))
        assert told.code == 0, told.err
        assert "shop/api reads of it too, and goes back with it: base/config.yaml" in told.err
        assert "shop/alone" not in told.err


async def test_other_units_of_the_same_chart_are_named(tmp_path):
    """A chart is read as a folder: whoever shares it was not told of."""
    async with standing(tmp_path) as world:
        units = [application(name, source="{path: charts/web}") for name in ("web", "twin")]
        space = folder_of("web", "")["apps/web/namespace.yaml"].replace("name: web", "name: {{ .Release.Name }}")
        map = config("{{ .Values.greeting }}").replace("name: web", "name: {{ .Release.Name }}")
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/units.yaml": "\n---\n".join(units),
                "charts/web/Chart.yaml": CHART.format("web"),
                "charts/web/values.yaml": "greeting: hello\n",
                "charts/web/templates/all.yaml": f"{space}\n---\n{map}",
            }
        )
        first = world.pushed("begin")
        for name in ("web", "twin"):
            await world.synced(f"shop/{name}", first)
        world.repository.write({"charts/web/values.yaml": "greeting: goodbye\n"})
        second = world.pushed("say goodbye")
        await world.until("shop/web", lambda d: d.applied is not None and d.applied.commit == second)
        told = await world.kedge(*way(world, first[:7], "--dry-run"))
        assert "shop/twin reads of it too, and goes back with it: charts/web/values.yaml" in told.err, told.err
