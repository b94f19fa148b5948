"""OCI registries: tags and digests, charts (as Helm pushes them) and artifacts (as Flux pushes them).

Follows the distribution specification. A registry names where tokens are had: the declared credential goes there only
when that is the registry's own host, or a place that a Credential is declared for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import orjson

from kedge.model import version as versions
from kedge.model.errors import Denied, Invalid
from kedge.model.origin import chart_of, range_of
from kedge.model.source import Revision
from kedge.ports import Secrets
from kedge.sources.address import Allowed
from kedge.sources.charts import of_chart
from kedge.sources.content import OnShelf, Shelf
from kedge.sources.tarball import LIMITS, File, files
from kedge.sources.web import Answer, Ask, Web, judge, origin, shown

SCHEME = "oci://"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_COMMON = {"os": "linux", "architecture": "amd64"}
"""Of several builds of one artifact, the one that is taken: what is made for no machine comes first."""
_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_PACKED = re.compile(r"application/.*\btar(?:[+.](?:gzip|zstd))?\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"')
_MANIFEST_LIMIT = 4 << 20
_PAGES = 100
_TOKENS = 10_000
_TAGS = 200_000
_STANDARD = Allowed()
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HUB = "registry-1.docker.io"
"""Where Docker Hub's API is: what people call it, docker.io, is a web site."""
_CALLED = ("docker.io", "index.docker.io")


@dataclass(frozen=True, slots=True)
class Place:
    """One repository of one registry: `base` is the registry's URL, `name` what it calls the repository, `declared` the
    URL that a Credential is declared for."""

    base: str
    name: str
    declared: str

    def url(self, what: str) -> str:
        return f"{self.base}/v2/{self.name}/{what}"


@dataclass(frozen=True, slots=True)
class Layer:
    """What a manifest says of the archive: its digest, its size in bytes, and whether it is a chart."""

    digest: str
    size: int
    chart: bool
    created: str = ""


def place_of(repository: str, below: str, allowed: Allowed) -> Place:
    """Raises Invalid for what is no repository of a registry. Registries on loopback are asked without TLS; Docker Hub
    goes by the name that images have there."""
    declared = f"{repository.rstrip('/')}/{below}" if below else repository.rstrip("/")
    try:
        parts = urlsplit(declared)
        host = (parts.hostname or "").lower()
    except ValueError:
        host = ""
    name = parts.path.strip("/") if host else ""
    if not host or parts.query or parts.fragment or not _NAME.match(name) or len(name) > 255:
        raise Invalid(
            f"“{declared[:100]}” names no repository of a registry", hint="write oci://HOST/NAME, without a tag"
        )
    plain = allowed.loopback and host in _LOOPBACK
    base = f"{'http' if plain else 'https'}://{_HUB if parts.netloc.lower() in _CALLED else parts.netloc}"
    judge(base, allowed)
    return Place(base, name, declared)


def one_of(raw: bytes) -> str:
    """Of an index of several manifests, the digest of the one that is taken: made for no platform, else for Linux on
    amd64, else the first; "" for what is no index. Attestations are none. Raises Invalid for an index without any."""
    listed = _json(raw).get("manifests")
    if not isinstance(listed, list):
        return ""
    found = [each for each in listed if isinstance(each, dict) and each.get("mediaType") in (_MANIFEST, _DOCKER)]
    fitting = [each for each in found if isinstance(each.get("digest"), str) and _DIGEST.match(each["digest"])]
    proper = [each for each in fitting if "vnd.docker.reference.type" not in str(each.get("annotations"))]
    if not proper:
        raise Invalid("the registry's index holds no manifest of an artifact")
    return str(min(proper, key=_rank)["digest"])


def _rank(manifest: Mapping[str, object]) -> int:
    platform = manifest.get("platform")
    if not isinstance(platform, dict) or platform.get("os") in (None, "", "unknown"):
        return 0
    return 1 if all(platform.get(key) == value for key, value in _COMMON.items()) else 2


def layer_of(raw: bytes) -> Layer:
    """The archive that a manifest leads to: the chart's, else the first that is packed by tar. Raises Invalid."""
    manifest = _json(raw)
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        raise Invalid("the registry answers no manifest of one artifact")
    found = [layer for layer in layers if isinstance(layer, dict) and _fits(layer)]
    chosen = next((layer for layer in found if layer["mediaType"] == _CHART), found[0] if found else None)
    if chosen is None:
        kinds = ", ".join(str(layer.get("mediaType"))[:80] for layer in layers[:5] if isinstance(layer, dict))
        raise Invalid(f"the artifact holds no archive (tar, packed by gzip or zstd): {kinds or 'it is empty'}")
    notes = manifest.get("annotations") or {}
    created = notes.get("org.opencontainers.image.created", "") if isinstance(notes, dict) else ""
    return Layer(chosen["digest"], chosen["size"], chosen["mediaType"] == _CHART, str(created)[:60])


def _fits(layer: Mapping[str, object]) -> bool:
    kind, digest, size = layer.get("mediaType"), layer.get("digest"), layer.get("size")
    return (
        isinstance(kind, str)
        and bool(_PACKED.match(kind))
        and isinstance(digest, str)
        and bool(_DIGEST.match(digest))
        and isinstance(size, int)
    )


class RegistrySource(OnShelf):
    """`kedge.ports.Source` over repositories of registries (`oci://`)."""

    def __init__(self, data: Path, secrets: Secrets, *, allowed: Allowed = _STANDARD) -> None:
        super().__init__(Shelf(data))
        self._allowed = allowed
        self._secrets = secrets
        self._web = Web(secrets, allowed)
        self._tokens: dict[str, str] = {}

    async def fetch(self, repository: str, ref: str) -> Revision:
        """As `kedge.ports.Source.fetch`: a tag, a digest, a range of versions or a chart of a range; "" is `latest`."""
        chart = chart_of(ref)
        place = place_of(repository, chart[0] if chart else "", self._allowed)
        talk = await self._talk(place)
        tag = await self._tag(talk, chart[1] if chart else ref, exact=chart is None)
        digest = await talk.digest(tag)
        content = self._shelf.content(repository)
        name = chart[0] if chart else ""
        async with content.lock:
            commit = content.find(f"{name} {digest}") or await self._bring(talk, repository, name, digest)
        version = "" if _DIGEST.match(tag) else tag.replace("_", "+") if chart else tag
        what = f"chart {name}" if chart else place.name
        return Revision(repository, ref, commit, subject=f"{what} {version}".strip(), version=version, digest=digest)

    async def _talk(self, place: Place) -> _Talk:
        """A token is used again for as long as the registry takes it, and with the credential that it was had with."""
        opened_by = await self._secrets.credential(place.declared)
        key = sha256(repr((place, sorted(opened_by.items()))).encode()).hexdigest()
        if len(self._tokens) > _TOKENS:
            self._tokens.clear()
        return _Talk(self._web, self._tokens, key, place)

    async def _tag(self, talk: _Talk, wanted: str, *, exact: bool) -> str:
        """The tag or digest that is meant."""
        if _DIGEST.match(wanted):
            return wanted
        text = range_of(wanted) if exact else wanted
        if text is None:
            tag = wanted or "latest"
            if not _TAG.match(tag):
                raise Invalid(f"“{tag[:60]}” is no tag of a registry", hint="write a tag, sha256:… or a version")
            return tag
        found = [(tag.replace("_", "+"), tag) for tag in await talk.tags()]
        chosen = versions.newest(versions.parse(text), found)
        if chosen is None:
            where = talk.place.declared
            raise Invalid(f"none of the {len(found)} tags of {where} is a version in “{text}”")
        return chosen[1]

    async def _bring(self, talk: _Talk, repository: str, name: str, digest: str) -> str:
        manifest = await talk.manifest(digest)
        inner = one_of(manifest)
        layer = layer_of(await talk.manifest(inner) if inner else manifest)
        if name and not layer.chart:
            raise Invalid(f"{talk.place.declared} holds no chart", hint="leave source.chart out for other artifacts")
        raw = await talk.blob(layer)
        found = _unpacked(raw, layer, name)
        return await self._shelf.content(repository).keep(f"{name} {digest}", f"{talk.place.name} {digest}", found)


def _unpacked(raw: bytes, layer: Layer, name: str) -> Iterator[File]:
    """A chart that is asked for by name is below a folder of that name, everything else at the top."""
    if name:
        yield from of_chart(raw, name)
        return
    for file in files(raw):
        path = file.path.partition("/")[2] if layer.chart else file.path
        if path:
            yield File(path, file.data, file.executable)


class _Talk:
    """One conversation with a registry about one repository. The token that it is had with is in `tokens`."""

    def __init__(self, web: Web, tokens: dict[str, str], key: str, place: Place) -> None:
        self.place = place
        self._web = web
        self._tokens = tokens
        self._key = key

    async def tags(self) -> list[str]:
        """Every tag, page by page. Raises Invalid where they do not end."""
        url, found = self.place.url("tags/list?n=1000"), []
        for _ in range(_PAGES):
            answer = await self._ask(url)
            told = _json(answer.body).get("tags")
            found += [tag for tag in told if isinstance(tag, str)] if isinstance(told, list) else []
            if len(found) > _TAGS:
                break
            if not answer.next:
                return found
            url = urljoin(url, answer.next)
            if origin(url) != origin(self.place.base):
                break
        raise Invalid(f"the tags of {self.place.declared} do not end, or go on at another host")

    async def digest(self, tag: str) -> str:
        """What a tag leads to now."""
        if _DIGEST.match(tag):
            return tag
        answer = await self._ask(self.place.url(f"manifests/{tag}"), method="HEAD")
        if _DIGEST.match(answer.digest):
            return answer.digest
        body = (await self._ask(self.place.url(f"manifests/{tag}"))).body  # not every registry says it beforehand
        return f"sha256:{sha256(body).hexdigest()}"

    async def manifest(self, digest: str) -> bytes:
        return _held((await self._ask(self.place.url(f"manifests/{digest}"))).body, digest, "manifest")

    async def blob(self, layer: Layer) -> bytes:
        if not 0 < layer.size <= LIMITS.packed:
            raise Invalid(f"the artifact has {layer.size} bytes, and at most {LIMITS.packed} are read")
        answer = await self._ask(self.place.url(f"blobs/{layer.digest}"), limit=layer.size)
        return _held(answer.body, layer.digest, "archive")

    async def _ask(self, url: str, *, method: str = "GET", limit: int = _MANIFEST_LIMIT) -> Answer:
        token = self._tokens.get(self._key, "")
        ask = Ask(
            url,
            self.place.base,
            prefix=self.place.declared,
            limit=limit,
            accept=f"{_MANIFEST}, {_DOCKER}, {_INDEX}, {_DOCKER_INDEX}",
            method=method,
            challenged=True,
            bearer=token,
        )
        answer = await self._web.ask(ask)
        if answer.status != 401:
            return answer
        self._tokens.pop(self._key, None)
        token = await self._login(answer.challenge)
        answer = await self._web.ask(replace(ask, challenged=False, bearer=token))
        self._tokens[self._key] = token
        return answer

    async def _login(self, challenge: str) -> str:
        """A token, as a registry's challenge says where one is had. Raises Denied where there is no way."""
        scheme, _, rest = challenge.partition(" ")
        told = dict(_PARAMETER.findall(rest))
        realm = told.get("realm", "")
        if scheme.lower() != "bearer" or not realm:
            hint = f"declare a Credential with the prefix {self.place.declared}, or correct its value"
            raise Denied(f"{self.place.declared} wants another credential", hint=hint)
        asked = {"service": told.get("service", ""), "scope": f"repository:{self.place.name}:pull"}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode({k: v for k, v in asked.items() if v})}"
        own = origin(realm) == origin(self.place.base)
        answer = await self._web.ask(
            Ask(url, self.place.base if own else realm, prefix=self.place.declared if own else "")
        )
        said = _json(answer.body)
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,16384}", token):
            raise Denied(f"{shown(realm)} gives no token for {self.place.declared}")
        return token


def _json(raw: bytes) -> Mapping[str, object]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("the registry answers something that is no JSON object")
    return found


def _held(raw: bytes, digest: str, what: str) -> bytes:
    if f"sha256:{sha256(raw).hexdigest()}" != digest:
        raise Invalid(f"the registry's {what} is not what its digest {digest} says")
    return raw
