"""How a source is reached: private authorities and proxies, for Git and for charts alike."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest

from kedge.certificate import server_context
from kedge.model.errors import KedgeError, Unavailable
from kedge.sources.every import EverySource

from .conftest import CANARY, LOCAL, Repository, WebServer
from .test_charts import of, publish
from .web import Asked, Prefixed, Reply, Site


@pytest.fixture
def every(tmp_path: Path, prefixed: Prefixed) -> EverySource:
    return EverySource(tmp_path / "data", prefixed, allowed=LOCAL)


def passed_on(asked: Asked) -> Reply | None:
    """As a proxy answers: what is asked of it is a whole URL."""
    if not asked.path.startswith("http://"):
        return None
    headers = {name: value for name, value in asked.headers.items() if name.startswith(("Content", "Accept", "Git"))}
    request = urllib.request.Request(asked.path, asked.body or None, headers, method=asked.method)
    with urllib.request.urlopen(request) as response:
        return Reply(response.read(), 200, {"Content-Type": response.headers.get("Content-Type", "")})


async def test_charts_over_tls_want_the_declared_authority(tmp_path: Path, every: EverySource, prefixed: Prefixed):
    context, authority = server_context(tmp_path, time.time())
    site = Site(context)
    try:
        publish(site, of("1.0.0"))
        with pytest.raises(Unavailable, match="its certificate is not trusted"):
            await every.fetch(f"{site.url}/stable", "chart web *")
        prefixed.by_prefix[site.url] = {"ca": authority.decode()}
        assert (await every.fetch(f"{site.url}/stable", "chart web *")).version == "1.0.0"
    finally:
        site.close()


async def test_git_over_tls_wants_the_declared_authority(
    tmp_path: Path, every: EverySource, prefixed: Prefixed, repository: Repository, web: WebServer
):
    commit = repository.commit({"a.yaml": "a"})
    context, authority = server_context(tmp_path, time.time())
    front = Site(context)
    front.rule = lambda asked: passed_on(Asked(asked.method, web.url + asked.path, "", asked.headers, asked.body))
    try:
        with pytest.raises(KedgeError, match="certificate"):
            await every.fetch(f"{front.url}/shop.git", "main")
        prefixed.by_prefix[front.url] = {"ca": authority.decode()}
        assert (await every.fetch(f"{front.url}/shop.git", "main")).commit == commit
        assert list((tmp_path / "data" / "git").glob("key-*")) == []
    finally:
        front.close()


async def test_git_and_charts_are_reached_through_the_declared_proxy(
    every: EverySource, prefixed: Prefixed, repository: Repository, web: WebServer, site: Site
):
    commit = repository.commit({"a.yaml": "a"})
    proxy = Site()
    proxy.rule = passed_on
    try:
        publish(site, of("1.0.0"))
        for place in (site.url, web.url):
            prefixed.by_prefix[place] = {"proxy": proxy.url}
        assert (await every.fetch(f"{site.url}/stable", "chart web *")).version == "1.0.0"
        assert (await every.fetch(f"{web.url}/shop.git", "main")).commit == commit
        assert f"{site.url}/stable/index.yaml" in proxy.paths()
        assert any(path.startswith(f"{web.url}/shop.git/info/refs") for path in proxy.paths())
    finally:
        proxy.close()


async def test_a_proxy_that_is_away_is_told_without_its_password(
    every: EverySource, prefixed: Prefixed, repository: Repository, web: WebServer, site: Site
):
    repository.commit({"a.yaml": "a"})
    gone = Site()
    gone.close()
    for place in (site.url, web.url):
        prefixed.by_prefix[place] = {"proxy": gone.url.replace("http://", f"http://mona:{CANARY}@")}
    for repository_url, ref in ((f"{site.url}/stable", "chart web *"), (f"{web.url}/shop.git", "main")):
        with pytest.raises(Unavailable) as raised:
            await every.fetch(repository_url, ref)
        assert CANARY not in str(raised.value)
