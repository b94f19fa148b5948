"""The example of Flux with a staging and a production cluster, as applications of Kedge in two environments.

Its namespaces and configurations are deployed from its own files; releases are declared in
`tests/cases/examples/flux`, and come from chart repositories and registries under the names that they really have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.controllers import controlled
from tests.e2e.faraway import Faraway, faraway
from tests.e2e.test_clusters import documents
from tests.e2e.world import SHARED, World, asked, clustered, standing
from tests.sources.packing import packed

from kedge.kube.kubeconfig import Access
from kedge.model.ref import UnitName

FLUX = SHARED / "cases" / "flux-example"
OURS = Path(__file__).resolve().parents[1] / "cases" / "examples"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not FLUX.exists(), reason="the shared example of Flux is not here"),
]

ENVIRONMENTS = ("staging", "production")
UNITS = ("infra-namespaces", "cert-manager", "envoy-gateway", "infra-configs", "apps-namespaces", "podinfo")
ORDER = (
    ("infra-namespaces", "cert-manager"),
    ("cert-manager", "infra-configs"),
    ("envoy-gateway", "infra-configs"),
    ("infra-configs", "podinfo"),
)
HOSTS = {
    "quay.io": "oci://quay.io/jetstack/charts/cert-manager",
    "registry-1.docker.io": "oci://docker.io/envoyproxy/gateway-helm",
    "stefanprodan.github.io": "https://stefanprodan.github.io/podinfo",
}
PODINFO = "/apis/apps/v1/namespaces/podinfo/deployments/podinfo"
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/podinfo/httproutes/podinfo"
ISSUER = "/apis/cert-manager.io/v1/clusterissuers/letsencrypt"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"


def definition(group: str, plural: str, kind: str, scope: str = "Namespaced") -> str:
    status = "" if kind == "HTTPRoute" else "    subresources: {status: {}}\n"
    return (
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        f"metadata: {{name: {plural}.{group}, annotations: {{api-approved.kubernetes.io: 'unapproved: played'}}}}\n"
        f"spec:\n  group: {group}\n  scope: {scope}\n  names: {{plural: {plural}, kind: {kind}}}\n"
        f"  versions:\n  - name: v1\n    served: true\n    storage: true\n{status}"
        "    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}\n"
    )


def deployment(name: str, image: str) -> str:
    return (
        f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"
        f"spec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n"
        f'    spec: {{containers: [{{name: main, image: "{image}"}}]}}\n'
    )


def charted(name: str, version: str, values: str, files: Mapping[str, str]) -> bytes:
    """A chart of our own in the place of the real one: it takes the values that the example sets."""
    whole = {"Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n", "values.yaml": values, **files}
    return packed({f"{name}/{path}": text for path, text in whole.items()})


def cert_manager(version: str) -> bytes:
    crds = definition("cert-manager.io", "clusterissuers", "ClusterIssuer", "Cluster")
    templates = {
        "templates/crds.yaml": f"{{{{- if .Values.crds.enabled }}}}\n{crds}{{{{- end }}}}\n",
        "templates/deployment.yaml": deployment("cert-manager", "cert-manager:{{ .Chart.Version }}"),
    }
    return charted("cert-manager", version, "crds: {enabled: false}\n", templates)


def gateway_helm(version: str) -> bytes:
    group = "gateway.networking.k8s.io"
    crds = definition(group, "gatewayclasses", "GatewayClass", "Cluster") + definition(group, "gateways", "Gateway")
    certificates = (
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: certgen\n  annotations:\n"
        "    helm.sh/hook: pre-install, pre-upgrade\n    helm.sh/hook-delete-policy: before-hook-creation\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: certgen}]}}}\n"
    )
    return charted(
        "gateway-helm",
        version,
        "",
        {
            "crds/gateway.yaml": crds + definition(group, "httproutes", "HTTPRoute"),
            "templates/certgen.yaml": certificates,
            "templates/deployment.yaml": deployment("envoy-gateway", "gateway:{{ .Chart.Version }}"),
        },
    )


def podinfo(version: str) -> bytes:
    route = (
        "{{- if .Values.httpRoute.enabled }}\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        "metadata: {name: {{ .Release.Name }}}\nspec:\n"
        "{{ omit .Values.httpRoute `enabled` | toYaml | indent 2 }}\n{{- end }}\n"
    )
    redis = deployment("redis", "{{ .Values.redis.repository }}:{{ .Values.redis.tag }}")
    test = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n"
        "spec: {containers: [{name: main, image: curl}]}\n"
    )
    templates = {
        "templates/deployment.yaml": deployment("podinfo", "podinfo:{{ .Chart.Version }}"),
        "templates/redis.yaml": f"{{{{- if .Values.redis.enabled }}}}\n{redis}{{{{- end }}}}\n",
        "templates/route.yaml": route,
        "templates/tests/test.yaml": test,
    }
    return charted("podinfo", version, "redis: {enabled: false}\nhttpRoute: {enabled: false}\n", templates)


def released(away: Faraway, *versions: str) -> None:
    away.offer("/podinfo", "podinfo", {version: podinfo(version) for version in versions})


@dataclass
class Two:
    """The world, whose repository is the example's, and both clusters by environment."""

    world: World
    away: Faraway
    clusters: Mapping[str, Access]

    async def get(self, environment: str, path: str) -> Any:
        return await asked(self.clusters[environment], "GET", path)

    async def image(self, environment: str) -> str:
        found = await self.get(environment, PODINFO)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""

    async def runs(self, environment: str, image: str) -> None:
        async def there() -> bool:
            return await self.image(environment) == image

        try:
            await self.world.eventually(there)
        except TimeoutError:
            told = (await self.world.kedge("get")).out + (await self.world.kedge("get", "source")).out
            raise AssertionError(f"{environment} has {await self.image(environment)}, not {image}:\n{told}") from None
        await self.world.synced(f"fleet/podinfo@{environment}")

    async def first_run(self, unit: str, environment: str) -> Any:
        return await self.world.house.doors.store.operation(str(UnitName("fleet", unit, environment)), 1)


@asynccontextmanager
async def two_clusters(folder: Path, real: Access | None) -> AsyncIterator[Two]:
    """Staging is a sandbox; so is production, but where a `real` cluster is given."""
    async with AsyncExitStack() as stack:
        away = await stack.enter_async_context(faraway(folder, [*HOSTS]))
        away.push("jetstack/charts/cert-manager", {tag: cert_manager(tag) for tag in ("v1.18.2", "v1.19.1", "v2.0.0")})
        away.push("envoyproxy/gateway-helm", {tag: gateway_helm(tag) for tag in ("1.7.2", "1.8.0-rc.1")})
        released(away, "6.9.0", "6.10.0-alpha.1")
        environ = {"PROXY": away.proxy, "PROXY_CA": away.authority}
        clusters = {}
        for name in ENVIRONMENTS:
            if real is not None and name == "production":
                clusters[name] = real
            else:
                _, clusters[name] = await stack.enter_async_context(clustered(folder / name))
            environ[name.upper()] = clusters[name].token
            await stack.enter_async_context(controlled(clusters[name]))
        world = await stack.enter_async_context(standing(folder, environ=environ))
        world.repository.copy(FLUX, "")
        world.repository.copy(OURS / "flux", "")
        reached = [documents(name, access, f"token: {{env: {name.upper()}}}") for name, access in clusters.items()]
        ways = [
            f"apiVersion: kedge.dev/v1alpha1\nkind: Credential\nmetadata: {{name: {host.replace('.', '-')}}}\n"
            f"spec: {{prefix: '{url}', proxy: {{env: PROXY}}, ca: {{env: PROXY_CA}}}}\n"
            for host, url in HOSTS.items()
        ]
        world.repository.write({".kedge/clusters.yaml": "\n---\n".join([*reached, *ways])})
        yield Two(world, away, clusters)


async def begun(it: Two) -> None:
    """Both clusters come up, each in the order that is declared."""
    it.world.pushed("begin")
    for environment in ENVIRONMENTS:
        for unit in UNITS:
            await it.world.synced(f"fleet/{unit}@{environment}")
        runs = {unit: await it.first_run(unit, environment) for unit in UNITS}
        for before, after in ORDER:
            assert runs[before].finished <= runs[after].started, (before, after)
    assert [await it.image(each) for each in ENVIRONMENTS] == ["podinfo:6.10.0-alpha.1", "podinfo:6.9.0"]
    for environment, server in zip(ENVIRONMENTS, ("acme-staging-v02", "acme-v02"), strict=True):
        assert (await it.get(environment, ROUTE))["spec"]["hostnames"] == [f"podinfo.{environment}"]
        assert f"//{server}.api" in (await it.get(environment, ISSUER))["spec"]["acme"]["server"]
        assert await it.get(environment, "/api/v1/namespaces/podinfo/pods/test") is None
    image = (await it.get("staging", "/apis/apps/v1/namespaces/cert-manager/deployments/cert-manager"))["spec"]
    assert image["template"]["spec"]["containers"][0]["image"] == "cert-manager:v1.19.1"
    assert {asked.rpartition(":")[0] for asked in it.away.asked} == {*HOSTS}


async def drifted(it: Two) -> None:
    """In either cluster somebody changes what the other has as well: it is repaired there."""
    edit = {"spec": {"replicas": 5}}
    await asked(it.clusters["staging"], "PATCH", f"{PODINFO}?fieldManager=kubectl-scale", edit, MERGE)
    await asked(it.clusters["production"], "DELETE", ROUTE)

    async def healed() -> bool:
        scaled, route = await it.get("staging", PODINFO), await it.get("production", ROUTE)
        return scaled["spec"]["replicas"] == 1 and route is not None

    await it.world.eventually(healed)
    for environment in ENVIRONMENTS:
        last = (await it.world.synced(f"fleet/podinfo@{environment}")).last
        assert (last.number, last.cause) == (2, "drift")


async def upgraded(it: Two) -> None:
    """A release is followed by whom its range admits it to, a commit for production alone by production."""
    released(it.away, "6.9.0", "6.10.0-alpha.1", "6.10.0-alpha.2")
    it.world.house.shift.push(lambda url: url == HOSTS["stefanprodan.github.io"], "")
    await it.runs("staging", "podinfo:6.10.0-alpha.2")
    assert await it.image("production") == "podinfo:6.9.0"
    released(it.away, "6.9.0", "6.10.0-alpha.2", "6.10.0")
    it.world.house.shift.push(lambda url: url == HOSTS["stefanprodan.github.io"], "")
    for environment in ENVIRONMENTS:
        await it.runs(environment, "podinfo:6.10.0")
    declared = it.world.repository.work / ".kedge" / "apps.yaml"
    it.world.repository.write({".kedge/apps.yaml": declared.read_text().replace("podinfo.production", "podinfo.com")})
    it.world.pushed("a name for production")

    async def named() -> bool:
        return bool((await it.get("production", ROUTE))["spec"]["hostnames"] == ["podinfo.com"])

    await it.world.eventually(named)
    assert (await it.world.synced("fleet/podinfo@production")).last.number == 4
    assert (await it.world.synced("fleet/podinfo@staging")).last.number == 4


async def went_back(it: Two) -> None:
    """Production goes back to the release that it began with, and on again; staging stays."""
    preview = await it.world.kedge("rollback", "podinfo@production", "1", "--dry-run")
    assert '"podinfo:6.10.0" → "podinfo:6.9.0"' in preview.out, preview.out
    assert "podinfo.com" in preview.out, preview.out
    done = await it.world.kedge("rollback", "podinfo@production", "1", "-y", "--reason", "the new one is slow")
    assert done.code == 0, done.err
    await it.runs("production", "podinfo:6.9.0")
    assert (await it.get("production", ROUTE))["spec"]["hostnames"] == ["podinfo.production"]
    assert await it.image("staging") == "podinfo:6.10.0"
    assert (await it.world.kedge("resume", "podinfo@production", "-y")).code == 0
    await it.runs("production", "podinfo:6.10.0")


async def removed(it: Two) -> None:
    """All declarations leave Git: each cluster is asked about by itself, and what one loses the other keeps."""
    it.world.repository.write({".kedge/apps.yaml": None, ".kedge/infrastructure.yaml": None})
    it.world.pushed("nothing")
    for environment in ENVIRONMENTS:
        for unit in UNITS:
            name = f"fleet/{unit}@{environment}"
            held = await it.world.until(name, lambda d: d.plan is not None and d.plan.removal)
            assert held.plan.needs is not None
    for environment, other in (("staging", "production"), ("production", "")):
        for unit in UNITS:
            done = await it.world.kedge("approve", f"{unit}@{environment}", "-y")
            assert done.code == 0, done.err
            if unit == "cert-manager":  # what came last goes first, whoever is asked first
                await it.world.said("until fleet/infra-configs@", "get", f"{unit}@{environment}")
        for unit in UNITS:
            await it.world.gone(f"fleet/{unit}@{environment}")
        await ended_in_order(it.world, environment)
        for namespace in ("podinfo", "cert-manager", "envoy-gateway-system"):
            assert await it.get(environment, f"/api/v1/namespaces/{namespace}") is None
        assert (await it.get(environment, CRDS))["items"] == []
        if other:
            assert await it.image(other) == "podinfo:6.10.0"
            assert await it.get(other, ISSUER) is not None


async def ended_in_order(world: World, environment: str) -> None:
    """The namespaces went last, and nothing went with them that had a turn of its own."""
    ended = {}
    for unit in UNITS:
        (last, *_) = await world.house.doors.store.operations(str(UnitName("fleet", unit, environment)))
        assert (str(last.cause), str(last.result)) == ("removal", "Succeeded"), last
        ended[unit] = last.finished
    for before, after in (*ORDER, ("apps-namespaces", "podinfo")):
        assert ended[after] <= ended[before], (before, after)


async def test_both_clusters_of_the_example_of_flux_live_a_whole_life(tmp_path, access):
    async with two_clusters(tmp_path, access) as it:
        for part in (begun, drifted, upgraded, went_back, removed):
            await part(it)
        left = (await it.world.kedge("get", "-o", "name")).out.split()
        assert not [name for name in left if name.startswith("fleet/")]
