"""Charts and artifacts from OCI registries: a real one that Helm fills, and a front of it that wants tokens."""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import zstandard
from scripts.build_native import cache_folder
from scripts.build_parts import REGISTRY

from kedge.model.errors import Denied, Invalid
from kedge.model.origin import of_range
from kedge.sources.registry import RegistrySource, layer_of, one_of, place_of

from .conftest import CANARY, LOCAL
from .packing import chart, packed
from .web import Asked, Prefixed, Reply, Site

HELM = cache_folder() / "parts" / "bin" / "helm"
FLUX = "application/vnd.cncf.flux.content.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


class Registry:
    """The registry part: what is pushed to it is kept in memory until it ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(REGISTRY.program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.host = self._process.stdout.readline().strip()

    def put(self, path: str, body: bytes, kind: str, method: str = "PUT") -> str:
        asked = urllib.request.Request(f"http://{self.host}/v2/{path}", body, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(asked) as response:
            return str(response.headers.get("Location", ""))

    def blob(self, name: str, body: bytes) -> dict[str, object]:
        digest = f"sha256:{sha256(body).hexdigest()}"
        place = self.put(f"{name}/blobs/uploads/", b"", "application/octet-stream", "POST")
        path = urlsplit(place).path.removeprefix("/v2/")
        self.put(f"{path}?digest={digest}", body, "application/octet-stream")
        return {"digest": digest, "size": len(body)}

    def push(self, name: str, tag: str, raw: bytes, kind: str = FLUX) -> str:
        manifest = orjson.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.cncf.flux.config.v1+json", **self.blob(name, b"{}")},
                "layers": [{"mediaType": kind, **self.blob(name, raw)}],
            }
        )
        self.put(f"{name}/manifests/{tag}", manifest, "application/vnd.oci.image.manifest.v1+json")
        return f"sha256:{sha256(manifest).hexdigest()}"

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Registry]:
    if not REGISTRY.program.exists():
        pytest.skip("the registry is not built: run `make parts`")
    found = Registry()
    yield found
    found.close()


@pytest.fixture
def registries(tmp_path: Path, prefixed: Prefixed) -> RegistrySource:
    return RegistrySource(tmp_path / "artifacts", prefixed, allowed=LOCAL)


@pytest.fixture
def front(served: Registry) -> Iterator[Site]:
    """The registry behind a door that opens to tokens; the door's keeper gives them to mona."""
    site = Site()

    def door(asked: Asked) -> Reply | None:
        if asked.authorization != "Bearer a-token":
            challenge = f'Bearer realm="{site.url}/token",service="here",scope="repository:x:pull"'
            return None if asked.path.startswith("/token") else Reply(b"{}", 401, {"WWW-Authenticate": challenge})
        request = urllib.request.Request(
            f"http://{served.host}{asked.path}", method=asked.method, headers={"Accept": asked.headers["Accept"]}
        )
        with urllib.request.urlopen(request) as response:
            told = response.headers.get("Docker-Content-Digest", "")
            return Reply(response.read(), 200, {"Docker-Content-Digest": told} if told else {})

    site.rule = door
    yield site
    site.close()


def keeper(site: Site, door: Site | None = None) -> None:
    """Gives a token to mona, for what the door of `site` guards."""
    first = site.rule
    wanted = "Basic " + base64.b64encode(f"mona:{CANARY}".encode()).decode()

    def give(asked: Asked) -> Reply | None:
        if not asked.path.startswith("/token"):
            return first(asked)
        scopes = parse_qs(urlsplit(asked.path).query)["scope"]
        fits = asked.authorization == wanted and scopes[0].endswith(":pull")
        return Reply(b'{"token":"a-token"}') if fits else Reply(b"{}", 403)

    site.rule = give


def tree(source: RegistrySource, revision: object) -> Mapping[str, bytes]:
    snapshot = source.snapshot(revision)  # type: ignore[arg-type]
    return {each.path: snapshot.read(each) for each in snapshot.entries("", recurse=True) if each.kind == "file"}


async def test_an_artifact_is_followed_by_tag_version_and_digest(registries: RegistrySource, served: Registry):
    where = f"oci://{served.host}/team/manifests"
    first = served.push("team/manifests", "1.0.0", packed({"./a.yaml": "a: 1", "./apps/b.yaml": "b"}))
    served.push("team/manifests", "latest", packed({"a.yaml": "a: 0"}))
    found = await registries.fetch(where, "version 1.x")
    assert (found.version, found.digest) == ("1.0.0", first)
    assert tree(registries, found) == {"a.yaml": b"a: 1", "apps/b.yaml": b"b"}
    assert tree(registries, await registries.fetch(where, "")) == {"a.yaml": b"a: 0"}
    second = served.push("team/manifests", "1.1.0", packed({"a.yaml": "a: 2", "apps/b.yaml": "b"}))
    newer = await registries.fetch(where, "version 1.x")
    assert (newer.version, newer.digest) == ("1.1.0", second)
    assert registries.changed(found, newer) == ["a.yaml"]
    pinned = await registries.fetch(where, first)
    assert (pinned.commit, pinned.digest) == (found.commit, first)


async def test_a_tag_that_is_pushed_again_is_followed_and_counts_as_rewritten(
    registries: RegistrySource, served: Registry
):
    where = f"oci://{served.host}/team/moving"
    served.push("team/moving", "1.0.0", packed({"a.yaml": "a: 1"}))
    before = await registries.fetch(where, "version 1.x")
    served.push("team/moving", "1.0.0", packed({"a.yaml": "a: 2"}))
    after = await registries.fetch(where, "version 1.x")
    assert tree(registries, after) == {"a.yaml": b"a: 2"}
    assert not registries.descends(before, after)


@pytest.mark.skipif(not HELM.exists(), reason="Helm's command line is not built: run `make oracles`")
async def test_a_chart_that_helm_pushed_is_found_by_a_range(
    registries: RegistrySource, served: Registry, tmp_path: Path
):
    for version in ("1.0.0", "1.2.0+build.5", "2.0.0"):
        archive = tmp_path / f"web-{version}.tgz"
        archive.write_bytes(chart("web", version))
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        subprocess.run(
            [str(HELM), "push", "--plain-http", str(archive), f"oci://{served.host}/charts"], env=env, check=True
        )
    found = await registries.fetch(f"oci://{served.host}/charts", "chart web ^1")
    assert (found.version, found.subject) == ("1.2.0+build.5", "chart web 1.2.0+build.5")
    assert tree(registries, found)["web/values.yaml"] == b"greeting: hello\n"
    top = await registries.fetch(f"oci://{served.host}/charts/web", "version ^1")
    assert tree(registries, top)["Chart.yaml"].startswith(b"apiVersion: v2")


async def test_a_token_is_had_with_the_declared_credential(
    registries: RegistrySource, served: Registry, front: Site, prefixed: Prefixed
):
    keeper(front)
    served.push("team/closed", "1.0.0", packed({"a.yaml": "a: 1"}))
    where = front.url.replace("http://", "oci://") + "/team/closed"
    with pytest.raises(Denied):
        await registries.fetch(where, "1.0.0")
    prefixed.by_prefix[where] = {"username": "mona", "password": CANARY}
    found = await registries.fetch(where, "1.0.0")
    assert tree(registries, found) == {"a.yaml": b"a: 1"}


async def test_a_keeper_of_tokens_at_another_host_gets_the_credential_only_where_one_is_declared_for_it(
    registries: RegistrySource, served: Registry, prefixed: Prefixed
):
    door, elsewhere = Site(), Site()
    try:
        served.push("team/closed", "1.0.0", packed({"a.yaml": "a: 1"}))
        challenge = f'Bearer realm="{elsewhere.url}/token",service="here"'
        door.rule = lambda asked: Reply(b"{}", 401, {"WWW-Authenticate": challenge})
        keeper(elsewhere)
        where = door.url.replace("http://", "oci://") + "/team/closed"
        prefixed.by_prefix[where] = {"username": "mona", "password": CANARY}
        with pytest.raises(Denied):
            await registries.fetch(where, "1.0.0")
        assert [asked.authorization for asked in elsewhere.asked] == [""]
        prefixed.by_prefix[elsewhere.url] = {"username": "mona", "password": CANARY}
        with pytest.raises(Denied):  # the door takes no token at all; but one was given
            await registries.fetch(where, "1.0.0")
        assert elsewhere.asked[-1].authorization.startswith("Basic ")
        assert door.asked[-1].authorization == "Bearer a-token"
    finally:
        door.close()
        elsewhere.close()


async def test_a_registry_that_sends_another_archive_than_its_digest_says_is_refused(
    registries: RegistrySource, served: Registry, front: Site, prefixed: Prefixed
):
    served.push("team/lying", "1.0.0", packed({"a.yaml": "a: 1"}))
    inner = front.rule

    def lying(asked: Asked) -> Reply | None:
        asked.authorization = "Bearer a-token"
        reply = inner(asked)
        if reply is not None and "/blobs/" in asked.path:
            reply.body = reply.body[:-1] + b"!"
        return reply

    front.rule = lying
    with pytest.raises(Invalid, match="is not what its digest"):
        await registries.fetch(front.url.replace("http://", "oci://") + "/team/lying", "1.0.0")


async def test_tags_without_end_are_refused_at_a_bound(
    registries: RegistrySource, front: Site, monkeypatch: pytest.MonkeyPatch
):
    # A hundred pages of four megabytes are a hundred million tags: gigabytes, for one question.
    monkeypatch.setattr("kedge.sources.registry._TAGS", 100)
    page = orjson.dumps({"tags": [f"1.0.{n}" for n in range(60)]})
    more = {"Link": '</v2/team/endless/tags/list?last=x>; rel="next"'}
    asked = []

    def endless(ask: Asked) -> Reply | None:
        asked.append(ask.path)
        return Reply(page, headers=more)

    front.rule = endless
    with pytest.raises(Invalid, match="do not end"):
        await registries.fetch(front.url.replace("http://", "oci://") + "/team/endless", of_range(">=1"))
    assert len(asked) == 2


async def test_an_archive_larger_than_its_manifest_says_is_cut_off(
    registries: RegistrySource, served: Registry, front: Site
):
    served.push("team/larger", "1.0.0", packed({"a.yaml": "a: 1"}))
    inner = front.rule

    def larger(asked: Asked) -> Reply | None:
        asked.authorization = "Bearer a-token"
        reply = inner(asked)
        if reply is not None and "/blobs/" in asked.path:
            reply.body += bytes(1 << 20)
        return reply

    front.rule = larger
    with pytest.raises(Invalid, match="more than the"):
        await registries.fetch(front.url.replace("http://", "oci://") + "/team/larger", "1.0.0")


@pytest.mark.parametrize(
    "where", ["oci://", "oci://h", "oci://h/UP", "oci://h/a?b", "oci://u:p@h/a", "oci://169.254.169.254/a"]
)
async def test_what_is_no_repository_of_a_registry_is_refused(registries: RegistrySource, where: str):
    with pytest.raises(Invalid):
        await registries.fetch(where, "latest")


@pytest.mark.parametrize("called", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_goes_by_the_name_that_images_have_there(called: str):
    place = place_of(f"oci://{called}/envoyproxy/gateway-helm", "", LOCAL)
    assert place.url("tags/list") == "https://registry-1.docker.io/v2/envoyproxy/gateway-helm/tags/list"
    assert place.declared == f"oci://{called}/envoyproxy/gateway-helm"


async def test_a_token_is_used_again_until_the_registry_takes_it_no_more(
    registries: RegistrySource, served: Registry, front: Site, prefixed: Prefixed
):
    keeper(front)
    served.push("team/closed", "1.0.0", packed({"a.yaml": "a: 1"}))
    where = front.url.replace("http://", "oci://") + "/team/closed"
    prefixed.by_prefix[where] = {"username": "mona", "password": CANARY}
    await registries.fetch(where, "1.0.0")
    await registries.fetch(where, "1.0.0")
    await registries.fetch(where, "version 1.x")
    assert sum(path.startswith("/token") for path in front.paths()) == 1
    inner, expired = front.rule, [True]

    def tired(asked: Asked) -> Reply | None:
        if expired and asked.authorization == "Bearer a-token":
            expired.clear()
            asked.authorization = ""
        return inner(asked)

    front.rule = tired
    await registries.fetch(where, "1.0.0")
    assert sum(path.startswith("/token") for path in front.paths()) == 2
    del prefixed.by_prefix[where]
    with pytest.raises(Denied):
        await registries.fetch(where, "1.0.0")


def index_of(*manifests: dict[str, object]) -> bytes:
    return orjson.dumps({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, **one} for one in manifests]})


async def test_of_an_index_of_several_the_one_that_is_for_no_machine_or_for_the_common_one_is_taken(
    registries: RegistrySource, served: Registry
):
    where, name = f"oci://{served.host}/team/several", "team/several"
    arm, amd = (served.push(name, tag, packed({"a.yaml": f"a: {tag}"})) for tag in ("arm", "amd"))
    machines = [
        {"digest": arm, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": amd, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    told = {"digest": arm, "size": 1, "platform": {"os": "unknown"}, "annotations": {"vnd.docker.reference.type": "x"}}
    body = index_of(*machines, told)
    served.put(f"{name}/manifests/1.0.0", body, "application/vnd.oci.image.index.v1+json")
    found = await registries.fetch(where, "1.0.0")
    assert tree(registries, found) == {"a.yaml": b"a: amd"}
    assert found.digest == f"sha256:{sha256(body).hexdigest()}"
    assert one_of(index_of(machines[1], {"digest": arm, "size": 1})) == arm
    assert one_of(index_of(machines[0])) == arm


async def test_an_artifact_packed_by_zstd_is_read(registries: RegistrySource, served: Registry):
    raw = zstandard.compress(gzip.decompress(packed({"a.yaml": "a: b"})))
    served.push("team/zstd", "1.0.0", raw, "application/vnd.oci.image.layer.v1.tar+zstd")
    found = await registries.fetch(f"oci://{served.host}/team/zstd", "1.0.0")
    assert tree(registries, found) == {"a.yaml": b"a: b"}


def test_an_index_without_artifacts_and_a_layer_that_is_no_archive_are_refused():
    with pytest.raises(Invalid, match="holds no manifest of an artifact"):
        one_of(b'{"manifests": []}')
    with pytest.raises(Invalid, match="no manifest of one artifact"):
        layer_of(b'{"manifests": []}')
    bzip = {"mediaType": "application/vnd.oci.image.layer.v1.tar+bzip2", "digest": "sha256:" + "a" * 64, "size": 1}
    with pytest.raises(Invalid, match=r"packed by gzip.*bzip2"):
        layer_of(orjson.dumps({"layers": [bzip]}))
    with pytest.raises(Invalid, match="holds no archive"):
        layer_of(orjson.dumps({"layers": [{"mediaType": "text/plain", "digest": "sha256:" + "a" * 64, "size": 1}]}))
