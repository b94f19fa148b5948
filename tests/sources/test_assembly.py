"""Several sources as one: values beside a chart, charts that depend on charts, submodules and Git LFS."""

from __future__ import annotations

import base64
import os
import subprocess
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from scripts.build_native import cache_folder

from kedge.model.errors import Invalid, Unavailable
from kedge.model.origin import Assembly, Part, assembly_of, of_assembly, of_chart, parts_of, spoken
from kedge.model.source import Revision
from kedge.sources.every import EverySource
from kedge.sources.mirror import folder_of

from .conftest import CANARY, LOCAL, Repository, WebServer
from .packing import chart, indexed
from .test_charts import of, publish
from .web import Asked, Prefixed, Reply, Site

HELM = cache_folder() / "parts" / "bin" / "helm"


@pytest.fixture
def every(tmp_path: Path, prefixed: Prefixed) -> EverySource:
    return EverySource(tmp_path / "data", prefixed, allowed=LOCAL)


@pytest.fixture
def second(tmp_path: Path) -> Repository:
    """Beside the first, so that the same server has both."""
    folder = tmp_path / "second"
    folder.mkdir()
    found = Repository(folder)
    (tmp_path / "served" / "lib.git").symlink_to(found.bare)
    return found


def tree(every: EverySource, revision: Revision, below: str = "") -> dict[str, bytes]:
    snapshot = every.snapshot(revision)
    return {each.path: snapshot.read(each) for each in snapshot.entries(below, recurse=True) if each.kind == "file"}


def test_an_assembly_is_one_text_and_reads_back():
    found = Assembly("main", "apps/web", (Part("values", "https://h/v", "version 1.x"),), ("https://h/a",), True, True)
    assert assembly_of(of_assembly(found)) == found
    assert of_assembly(Assembly("main", "apps/web")) == "main"
    assert parts_of("https://h/r", of_assembly(found)) == (("https://h/r", "main"), ("https://h/v", "version 1.x"))
    assert spoken(of_assembly(found)) == "main with values https://h/v version 1.x, what its files name"


async def test_values_of_one_repository_stand_beside_a_chart_of_another(
    every: EverySource, site: Site, repository: Repository
):
    publish(site, of("1.0.0", "1.1.0"))
    first = repository.commit({"prod.yaml": "greeting: prod", "other.yaml": "a"})
    ref = of_assembly(Assembly(of_chart("web", "<1.1"), "web", (Part("values", repository.url, "main"),)))
    found = await every.fetch(f"{site.url}/stable", ref)
    assert found.version == f"1.0.0, values {first[:7]}"
    files = tree(every, found)
    assert files[".others/values/prod.yaml"] == b"greeting: prod"
    assert files["web/values.yaml"] == b"greeting: hello\n"
    assert await every.fetch(f"{site.url}/stable", ref) == found
    repository.commit({"prod.yaml": "greeting: more"})
    newer = await every.fetch(f"{site.url}/stable", ref)
    assert every.changed(found, newer) == [".others/values/prod.yaml"]
    assert every.descends(found, newer)
    assert tree(every, found) == files  # a rollback reads the same bytes


async def test_other_sources_are_no_part_of_a_folder_that_is_the_whole_repository(
    every: EverySource, site: Site, repository: Repository, second: Repository
):
    repository.commit({"a.yaml": "a: 1"})
    second.commit({"b.yaml": "b: 1"})
    ref = of_assembly(Assembly("main", "", (Part("more", second.url, "main"),)))
    found = await every.fetch(repository.url, ref)
    assert tree(every, found) == {"main/a.yaml": b"a: 1", ".others/more/b.yaml": b"b: 1"}
    last = repository.commit({"c.yaml": "c: 1"}, "add c")
    newer = await every.fetch(repository.url, ref)
    assert every.touched(newer, ["main/c.yaml"]).commit == last
    repository.git("reset", "-q", "--hard", "HEAD~1")
    repository.commit({"d.yaml": "d"})
    assert not every.descends(newer, await every.fetch(repository.url, ref))


DEPENDS = """apiVersion: v2
name: top
version: 0.1.0
dependencies:
- name: web
  version: ">=1.0.0 <2"
  repository: {url}/stable
  condition: web.enabled
  tags: [front]
- {{name: common, version: 0.1.0, repository: "file://../common"}}
"""


async def test_dependencies_of_a_chart_in_git_are_fetched_where_the_declaration_allows_it(
    every: EverySource, site: Site, repository: Repository
):
    publish(site, of("1.0.0", "1.4.0", "2.0.0"))
    common = {"apps/common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.1.0\n"}
    commit = repository.commit({"apps/top/Chart.yaml": DEPENDS.format(url=site.url), **common})
    refused = of_assembly(Assembly("main", "apps/top", allow=("https://elsewhere.example",)))
    with pytest.raises(Invalid, match=r"dependency web is at .*/stable, which the declaration does not allow"):
        await every.fetch(repository.url, refused)
    assert site.asked == []
    ref = of_assembly(Assembly("main", "apps/top", allow=(site.url,)))
    found = await every.fetch(repository.url, ref)
    files = tree(every, found, "apps/top")
    assert b"version: 1.4.0" in files["apps/top/charts/web/Chart.yaml"]
    assert b"name: common" in files["apps/top/charts/common/Chart.yaml"]
    assert (found.version, found.origin, found.known) == ("web 1.4.0", commit, commit)


@pytest.mark.skipif(not HELM.exists(), reason="Helm's command line is not built: run `make oracles`")
async def test_a_lock_that_helm_wrote_is_kept_to_and_one_about_something_else_is_refused(
    every: EverySource, site: Site, repository: Repository, tmp_path: Path
):
    publish(site, of("1.0.0", "1.4.0"))
    repository.write(
        {
            "top/Chart.yaml": DEPENDS.format(url=site.url),
            "common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.1.0\n",
        }
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    top = repository.work / "top"
    subprocess.run([str(HELM), "dependency", "update", str(top)], env=env, check=True, capture_output=True)
    lock = (top / "Chart.lock").read_text()
    for packed in top.glob("charts/*"):
        packed.unlink()
    repository.commit({})
    publish(site, of("1.0.0", "1.4.0", "1.9.0"))
    ref = of_assembly(Assembly("main", "top", allow=(site.url,)))
    found = await every.fetch(repository.url, ref)
    assert found.version == "web 1.4.0"
    before = len(site.asked)
    repository.commit({"top/values.yaml": "a: 1"})
    await every.fetch(repository.url, ref)
    assert len(site.asked) == before  # what is locked is not asked for again
    repository.commit({"top/Chart.lock": lock.replace("1.4.0", "1.0.0")})
    with pytest.raises(Invalid, match=r"the lock is not about what Chart.yaml asks for"):
        await every.fetch(repository.url, ref)


async def test_charts_of_the_same_repository_alone_reach_no_other(every: EverySource, repository: Repository):
    text = (
        "apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies:\n- {name: common, repository: 'file://../common'}\n"
    )
    more = text + "- {name: web, repository: 'file.example'}\n"
    common = {"common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.1.0\n"}
    repository.commit({"top/Chart.yaml": text, **common})
    ref = of_assembly(Assembly("main", "top", allow=("file://",)))
    assert "top/charts/common/Chart.yaml" in tree(every, await every.fetch(repository.url, ref), "top")
    repository.commit({"top/Chart.yaml": more.replace("file.example", "https://charts.example.com")})
    with pytest.raises(Invalid, match="which the declaration does not allow"):
        await every.fetch(repository.url, ref)


async def test_what_a_dependency_depends_on_is_fetched_too(every: EverySource, site: Site, repository: Repository):
    publish(site, of("1.0.0", "1.4.0"))
    head, web = (
        "apiVersion: v2\nversion: 0.1.0\nname: ",
        f"{{name: web, version: 1.x, repository: '{site.url}/stable'}}",
    )
    repository.commit(
        {
            "top/Chart.yaml": f"{head}top\ndependencies: [{{name: mid, repository: 'file://../mid'}}]\n",
            "mid/Chart.yaml": f"{head}mid\ndependencies: [{{name: low, repository: 'file://../low'}}]\n",
            "low/Chart.yaml": f"{head}low\ndependencies: [{web}]\n",
        }
    )
    with pytest.raises(Invalid, match=r"dependency web is at .*, which the declaration does not allow"):
        await every.fetch(repository.url, of_assembly(Assembly("main", "top", allow=("file://",))))
    found = await every.fetch(repository.url, of_assembly(Assembly("main", "top", allow=("file://", site.url))))
    assert "top/charts/mid/charts/low/charts/web/values.yaml" in tree(every, found, "top")
    assert found.version == "web 1.4.0"
    assert "mid/charts" not in tree(every, found)


async def test_charts_that_depend_on_each_other_are_refused(every: EverySource, repository: Repository):
    text = "apiVersion: v2\nversion: 0.1.0\nname: {0}\ndependencies: [{{name: {1}, repository: 'file://../{1}'}}]\n"
    repository.commit({"a/Chart.yaml": text.format("a", "b"), "b/Chart.yaml": text.format("b", "a")})
    with pytest.raises(Invalid, match="more than 5 deep"):
        await every.fetch(repository.url, of_assembly(Assembly("main", "a", allow=("file://",))))


async def test_a_packed_chart_that_holds_what_it_depends_on_is_left_alone(
    every: EverySource, site: Site, repository: Repository
):
    about = "dependencies:\n- {name: inner, version: 9.x, repository: 'file://../../elsewhere'}\n"
    held = {"charts/inner/Chart.yaml": "apiVersion: v2\nname: inner\nversion: 9.0.0\n"}
    publish(site, {"1.0.0": chart("web", "1.0.0", held, about)})
    web = f"{{name: web, version: 1.x, repository: '{site.url}/stable'}}"
    repository.commit({"top/Chart.yaml": f"apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{web}]\n"})
    found = await every.fetch(repository.url, of_assembly(Assembly("main", "top", allow=(site.url,))))
    assert "top/charts/web/charts/inner/Chart.yaml" in tree(every, found, "top")


@pytest.mark.parametrize("climbs", ["file://../../../etc", "file:///etc", "file://..\\x"])
async def test_a_dependency_out_of_the_repository_is_refused(every: EverySource, repository: Repository, climbs: str):
    text = f"apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{{name: evil, repository: '{climbs}'}}]\n"
    repository.commit({"top/Chart.yaml": text})
    with pytest.raises(Invalid, match="out of the repository"):
        await every.fetch(repository.url, of_assembly(Assembly("main", "top", allow=("https://h",))))


async def test_submodules_are_fetched_where_the_declaration_allows_it(
    every: EverySource, repository: Repository, second: Repository, web: WebServer
):
    pinned = second.commit({"lib.yaml": "lib: 1"})
    second.commit({"lib.yaml": "lib: 2"})
    repository.commit(
        {"apps/a.yaml": "a: 1", ".gitmodules": '[submodule "l"]\n\tpath = vendor/lib\n\turl = ../lib.git\n'}
    )
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},vendor/lib")
    repository.git("commit", "-q", "-m", "a submodule")
    repository.push()
    url = f"{web.url}/shop.git"
    with pytest.raises(Invalid, match=r"submodule vendor/lib is at .*/lib.git, which the declaration does not allow"):
        await every.fetch(url, of_assembly(Assembly("main", "apps", submodules=True)))
    found = await every.fetch(url, of_assembly(Assembly("main", "apps", allow=(f"{web.url}/lib",), submodules=True)))
    assert tree(every, found)["vendor/lib/lib.yaml"] == b"lib: 1"


def pointing(raw: bytes) -> bytes:
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(raw).hexdigest()}\nsize {len(raw)}\n".encode()
    )


async def test_a_file_in_git_lfs_is_told_of_and_fetched_when_that_is_allowed(
    every: EverySource, repository: Repository, web: WebServer, site: Site, prefixed: Prefixed
):
    raw, elsewhere = b"kind: ConfigMap # large", Site()
    wanted = "Basic " + base64.b64encode(f"mona:{CANARY}".encode()).decode()
    repository.commit({"apps/big.yaml": pointing(raw), "apps/small.yaml": "a: 1"})

    def batch(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/info/lfs/objects/batch"):
            return Reply(b"", 404)
        action = {"href": f"{elsewhere.url}/bytes", "header": {"X-Once": "yes"}}
        answer = {"objects": [{"oid": "x", "actions": {"download": action}}]}
        return Reply(orjson.dumps(answer)) if asked.authorization == wanted else Reply(b"", 401)

    try:
        elsewhere.pages["/bytes"] = raw
        plain = await every.fetch(repository.url, "main")
        with pytest.raises(
            Invalid, match=r"big.yaml is kept in Git LFS.*\n.*source.lfs: true has those below source.path"
        ):
            tree(every, plain)
        # Git's own server and that of LFS are one host in life; here the second stands before the first.
        site.rule = lambda asked: batch(asked) if "/lfs/" in asked.path else _forward(web, asked)
        prefixed.by_prefix[site.url] = {"username": "mona", "password": CANARY}
        found = await every.fetch(f"{site.url}/shop.git", of_assembly(Assembly("main", "apps", lfs=True)))
        assert tree(every, found) == {"apps/big.yaml": raw, "apps/small.yaml": b"a: 1"}
        assert [(asked.authorization, asked.headers["X-Once"]) for asked in elsewhere.asked] == [("", "yes")]
        elsewhere.pages["/bytes"] = b"something else"
        repository.commit({"apps/big.yaml": pointing(b"another")})
        with pytest.raises(Invalid, match="other bytes than the pointer"):
            await every.fetch(f"{site.url}/shop.git", of_assembly(Assembly("main", "apps", lfs=True)))
    finally:
        elsewhere.close()


async def test_a_file_in_git_lfs_outside_of_the_folder_comes_too_unless_those_are_large(
    every: EverySource, repository: Repository, web: WebServer, site: Site
):
    """A values file or a base above the unit's folder could not be read, whatever was allowed."""
    near, far = b"a: near", b"a: far"
    files = {"apps/near.yaml": pointing(near), "values/far.yaml": pointing(far)}
    repository.commit(files)
    stored = {sha256(raw).hexdigest(): raw for raw in (near, far)}

    def rule(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/objects/batch"):
            return _forward(web, asked) if asked.path.startswith("/shop.git") else None
        (wanted,) = orjson.loads(asked.body)["objects"]
        return Reply(orjson.dumps({"objects": [{"actions": {"download": {"href": f"{site.url}/{wanted['oid']}"}}}]}))

    site.rule = rule
    site.pages = {f"/{oid}": raw for oid, raw in stored.items()}
    asked = f"{site.url}/shop.git", of_assembly(Assembly("main", "apps", lfs=True))
    assert tree(every, await every.fetch(*asked)) == {"apps/near.yaml": near, "values/far.yaml": far}
    video = pointing(b"").replace(b"size 0", b"size %d" % (1 << 30))
    repository.commit({"video.mp4": video})
    revision = await every.fetch(*asked)
    snapshot = every.snapshot(revision)
    entries = {entry.path: entry for entry in snapshot.entries("", recurse=True)}
    assert snapshot.read(entries["apps/near.yaml"]) == near
    with pytest.raises(Invalid, match=r"values/far.yaml is kept in Git LFS.*\n.*others of 16 MiB together"):
        snapshot.read(entries["values/far.yaml"])


def _forward(web: WebServer, asked: Asked) -> Reply:
    """Git's smart protocol, version 0, as a stranger would pass it on."""
    import urllib.request

    headers = {name: value for name, value in asked.headers.items() if name.startswith(("Content", "Accept", "Git"))}
    request = urllib.request.Request(f"{web.url}{asked.path}", asked.body or None, headers, method=asked.method)
    with urllib.request.urlopen(request) as response:
        return Reply(response.read(), 200, {"Content-Type": response.headers["Content-Type"]})


async def test_an_index_that_lists_its_charts_twice_over_is_read_by_its_indentation(every: EverySource, site: Site):
    archives = {
        ("web", "1.0.0"): ("web.tgz", chart("web", "1.0.0")),
        ("web", "1.0.1"): ("b.tgz", chart("web", "1.0.1")),
    }
    site.pages |= {"/index.yaml": indexed(archives), "/b.tgz": archives["web", "1.0.1"][1]}
    assert (await every.fetch(site.url, "chart web 1.x")).version == "1.0.1"


async def test_what_a_part_has_lost_on_disk_is_fetched_anew(
    every: EverySource, site: Site, repository: Repository, tmp_path: Path
):
    publish(site, of("1.0.0"))
    repository.commit({"prod.yaml": "greeting: prod"})
    ref = of_assembly(Assembly(of_chart("web", "1.x"), "web", (Part("values", repository.url, "main"),)))
    found = await every.fetch(f"{site.url}/stable", ref)
    files = tree(every, found)
    mirror = folder_of(tmp_path / "data" / "mirrors", repository.url)
    for held in [*mirror.glob("objects/??/*"), *mirror.glob("objects/pack/*")]:
        held.unlink()
    again = EverySource(tmp_path / "data", Prefixed(), allowed=LOCAL)
    with pytest.raises(Unavailable):
        tree(again, found)
    assert tree(again, await again.fetch(f"{site.url}/stable", ref)) == files
