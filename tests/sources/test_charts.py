"""Helm charts from repositories over HTTP, against servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kedge.model.errors import Denied, Invalid, Unavailable
from kedge.sources.charts import ChartSource

from .conftest import CANARY, LOCAL
from .packing import chart, indexed, packed
from .web import Prefixed, Reply, Site


@pytest.fixture
def other() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture
def charts(tmp_path: Path, prefixed: Prefixed) -> ChartSource:
    return ChartSource(tmp_path / "charts", prefixed, allowed=LOCAL)


def publish(site: Site, versions: Mapping[str, bytes], *, at: str = "", digests: bool = True, mark: str = "") -> None:
    """Charts `web`, in an index below /stable, their archives below `at` or beside it."""
    held = {("web", version): (f"{at or 'files'}/web-{version}.tgz", raw) for version, raw in versions.items()}
    held[("zoo", "1.0.0")] = ("files/zoo-1.0.0.tgz", chart("zoo", "1.0.0"))
    site.pages["/stable/index.yaml"] = Reply(indexed(held, digests=digests), headers={"ETag": mark} if mark else {})
    if not at:
        site.pages |= {f"/stable/files/web-{version}.tgz": raw for version, raw in versions.items()}


def of(*versions: str) -> dict[str, bytes]:
    return {version: chart("web", version) for version in versions}


async def test_the_newest_version_in_a_range_becomes_a_tree_and_is_the_revision(charts: ChartSource, site: Site):
    publish(site, of("1.0.0", "1.4.2", "1.10.0", "2.0.0-rc.1", "2.0.0"))
    found = await charts.fetch(f"{site.url}/stable", "chart web >=1 <2")
    assert (found.version, found.digest[:7], found.subject) == ("1.10.0", "sha256:", "chart web 1.10.0")
    assert found.time == 1767323045.123456
    snapshot = charts.snapshot(found)
    entry = snapshot.entry("web/Chart.yaml")
    assert entry is not None
    assert b"version: 1.10.0" in snapshot.read(entry)
    assert next(each.path for each in snapshot.entries("web", recurse=True)) == "web/Chart.yaml"
    assert (await charts.fetch(f"{site.url}/stable", "chart web *")).version == "2.0.0"


async def test_an_index_that_did_not_change_costs_a_question_and_an_archive_comes_once(charts: ChartSource, site: Site):
    publish(site, of("1.0.0"), mark='"one"')
    first = await charts.fetch(f"{site.url}/stable/", "chart web 1.x")
    assert await charts.fetch(f"{site.url}/stable/", "chart web 1.x") == first
    assert site.paths() == ["/stable/index.yaml", "/stable/files/web-1.0.0.tgz", "/stable/index.yaml"]
    assert site.asked[-1].headers["If-None-Match"] == '"one"'


async def test_a_new_version_moves_only_what_it_changed(charts: ChartSource, site: Site):
    publish(site, of("1.0.0"))
    before = await charts.fetch(f"{site.url}/stable", "chart web 1.x")
    publish(site, {**of("1.0.0"), "1.1.0": chart("web", "1.1.0", {"values.yaml": "greeting: hi\n"})})
    after = await charts.fetch(f"{site.url}/stable", "chart web 1.x")
    assert charts.changed(before, after) == ["web/Chart.yaml", "web/values.yaml"]
    assert charts.descends(before, after)
    assert charts.snapshot(before).entry("web/values.yaml") is not None  # a rollback reads the same bytes


async def test_the_same_archive_is_the_same_commit_on_another_machine(tmp_path: Path, prefixed: Prefixed, site: Site):
    publish(site, of("1.0.0"))
    found = [
        (await ChartSource(tmp_path / name, prefixed, allowed=LOCAL).fetch(f"{site.url}/stable", "chart web *")).commit
        for name in ("one", "two")
    ]
    assert found[0] == found[1]


async def test_many_who_ask_at_once_share_the_index_and_the_archive(charts: ChartSource, site: Site):
    publish(site, of("1.0.0"))
    await asyncio.gather(*(charts.fetch(f"{site.url}/stable", "chart web *") for _ in range(20)))
    assert site.paths().count("/stable/files/web-1.0.0.tgz") == 1
    assert site.paths().count("/stable/index.yaml") <= 2


async def test_an_archive_that_is_not_what_the_index_says_is_refused(charts: ChartSource, site: Site):
    publish(site, of("1.0.0"))
    site.pages["/stable/files/web-1.0.0.tgz"] = chart("web", "6.6.6")
    with pytest.raises(Invalid, match=r"has sha256 .* and the index of .* says"):
        await charts.fetch(f"{site.url}/stable", "chart web *")


async def test_an_index_without_digests_tells_the_digest_of_what_came(charts: ChartSource, site: Site):
    publish(site, of("1.0.0"), digests=False)
    first = await charts.fetch(f"{site.url}/stable", "chart web *")
    assert first.digest.startswith("sha256:")
    assert await charts.fetch(f"{site.url}/stable", "chart web *") == first
    assert site.paths().count("/stable/files/web-1.0.0.tgz") == 1


async def test_the_credential_goes_to_the_repository_and_to_no_other_host(
    charts: ChartSource, site: Site, other: Site, prefixed: Prefixed
):
    prefixed.by_prefix[f"{site.url}/stable"] = {"username": "mona", "password": CANARY}
    publish(site, of("1.0.0"), at=f"{other.url}/files")
    other.pages["/files/web-1.0.0.tgz"] = of("1.0.0")["1.0.0"]
    await charts.fetch(f"{site.url}/stable", "chart web *")
    assert site.asked[0].authorization.startswith("Basic ")
    assert [asked.authorization for asked in other.asked] == [""]


async def test_a_declared_credential_of_another_host_is_not_lent_to_an_index(
    charts: ChartSource, site: Site, other: Site, prefixed: Prefixed
):
    prefixed.by_prefix[other.url] = {"username": "mona", "password": CANARY}
    publish(site, of("1.0.0"), at=f"{other.url}/files")
    other.pages["/files/web-1.0.0.tgz"] = of("1.0.0")["1.0.0"]
    await charts.fetch(f"{site.url}/stable", "chart web *")
    assert [asked.authorization for asked in other.asked] == [""]


async def test_a_redirect_is_followed_without_the_credential(
    charts: ChartSource, site: Site, other: Site, prefixed: Prefixed
):
    prefixed.by_prefix[site.url] = {"username": "mona", "password": CANARY}
    publish(site, of("1.0.0"))
    raw = of("1.0.0")["1.0.0"]
    site.pages["/stable/files/web-1.0.0.tgz"] = Reply(b"", 302, {"Location": f"{other.url}/cdn?sign={CANARY}"})
    other.pages[f"/cdn?sign={CANARY}"] = raw
    await charts.fetch(f"{site.url}/stable", "chart web *")
    assert all(asked.authorization for asked in site.asked)
    assert [asked.authorization for asked in other.asked] == [""]


async def test_a_signed_url_is_not_told_in_an_error(charts: ChartSource, site: Site, other: Site):
    publish(site, of("1.0.0"))
    site.pages["/stable/files/web-1.0.0.tgz"] = Reply(b"", 302, {"Location": f"{other.url}/cdn?sign={CANARY}"})
    with pytest.raises(Invalid) as raised:
        await charts.fetch(f"{site.url}/stable", "chart web *")
    assert "/cdn answers 404" in str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://[fd00:ec2::254]/"])
async def test_no_redirect_leads_to_a_metadata_service_or_a_file(charts: ChartSource, site: Site, to: str):
    site.pages["/stable/index.yaml"] = Reply(b"", 302, {"Location": to})
    with pytest.raises(Invalid, match=r"is not connected to|is not asked"):
        await charts.fetch(f"{site.url}/stable", "chart web *")


async def test_redirects_in_a_circle_end(charts: ChartSource, site: Site):
    site.pages["/stable/index.yaml"] = Reply(b"", 302, {"Location": "/stable/index.yaml"})
    with pytest.raises(Invalid, match="redirects more than"):
        await charts.fetch(f"{site.url}/stable", "chart web *")


async def test_a_second_url_of_a_version_is_its_mirror(charts: ChartSource, site: Site, other: Site):
    publish(site, of("1.0.0"))
    page = site.pages["/stable/index.yaml"]
    assert isinstance(page, Reply)
    page.body = page.body.replace(b"    - files/web", b"    - %s/gone.tgz\n    - files/web" % other.url.encode())
    assert (await charts.fetch(f"{site.url}/stable", "chart web *")).version == "1.0.0"
    assert other.paths() == ["/gone.tgz"]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Denied), (403, Denied), (404, Invalid), (429, Unavailable), (503, Unavailable)]
)
async def test_what_a_status_means_for_who_has_to_act(charts: ChartSource, site: Site, status: int, kind: type):
    site.rule = lambda asked: Reply(b"", status, {"Retry-After": "7"})
    with pytest.raises(kind, match=f"index.yaml answers {status}"):
        await charts.fetch(f"{site.url}/stable", "chart web *")


async def test_what_is_not_in_the_index_is_named_with_what_is(charts: ChartSource, site: Site):
    publish(site, of("1.0.0"))
    with pytest.raises(Invalid, match="there is no chart wep in the index\n  known are web, zoo"):
        await charts.fetch(f"{site.url}/stable", "chart wep *")
    with pytest.raises(Invalid, match="chart web has no version in “>=2”"):
        await charts.fetch(f"{site.url}/stable", "chart web >=2")


async def test_a_server_that_is_away_is_asked_again(charts: ChartSource, site: Site):
    site.close()
    with pytest.raises(Unavailable, match="can not be reached"):
        await charts.fetch(f"{site.url}/stable", "chart web *")


@pytest.mark.parametrize("index", [b"", b"entries: 1", b"{}", b"[", b"entries:\n  web: {}\n", b"\x00\xff", b"&a [*a]"])
async def test_an_index_that_is_none_is_refused(charts: ChartSource, site: Site, index: bytes):
    site.pages["/stable/index.yaml"] = Reply(index)
    with pytest.raises(Invalid):
        await charts.fetch(f"{site.url}/stable", "chart web *")


async def test_an_archive_without_a_chart_is_refused(charts: ChartSource, site: Site):
    publish(site, {"1.0.0": packed({"web/README.md": "hello"})})
    with pytest.raises(Invalid, match=r"holds no Chart.yaml"):
        await charts.fetch(f"{site.url}/stable", "chart web *")


async def test_what_is_lost_on_disk_is_fetched_anew(tmp_path: Path, charts: ChartSource, site: Site):
    publish(site, of("1.0.0"))
    before = await charts.fetch(f"{site.url}/stable", "chart web *")
    entry = charts.snapshot(before).entry("web/values.yaml")
    assert entry is not None
    (lost,) = tmp_path.glob(f"charts/*.git/objects/{entry.id[:2]}/{entry.id[2:]}")
    lost.unlink()
    fresh = ChartSource(tmp_path / "charts", Prefixed(), allowed=LOCAL)
    with pytest.raises(Unavailable):
        fresh.snapshot(before).entries("web", recurse=True)
    after = await fresh.fetch(f"{site.url}/stable", "chart web *")
    assert after.commit == before.commit
    found = fresh.snapshot(after).entry("web/values.yaml")
    assert found is not None
    assert fresh.snapshot(after).read(found) == b"greeting: hello\n"


async def test_a_version_that_yaml_would_take_for_a_number_stays_as_it_is_written(charts: ChartSource, site: Site):
    publish(site, of("1.10.0"))
    page = site.pages["/stable/index.yaml"]
    assert isinstance(page, Reply)
    page.body = page.body.replace(b"version: 1.10.0", b"version: 1.10")
    assert (await charts.fetch(f"{site.url}/stable", "chart web 1.x")).version == "1.10"


async def test_an_index_that_does_not_end_is_refused_at_the_bound(
    charts: ChartSource, site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kedge.sources.index.SIZE_LIMIT", 100_000)
    bomb = gzip.compress(b"# nothing\n" * 1_000_000)
    site.pages["/stable/index.yaml"] = Reply(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(Invalid, match="more than the 100000 bytes allowed"):
        await charts.fetch(f"{site.url}/stable", "chart web *")
