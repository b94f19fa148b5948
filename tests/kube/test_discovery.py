"""Discovery: which kinds are where, and what a dead group hides (only itself)."""

from __future__ import annotations

import pytest
from tests.kube.scripted import DISCOVERED, Scripted, client, ok, status, virtual
from tests.simulation.loop import VirtualClock

from kedge.model.errors import Denied, Unavailable


def group(name: str, version: str, *kinds: str, stale: bool = False) -> dict:
    resources = [
        {"resource": f"{kind.lower()}s", "responseKind": {"kind": kind}, "scope": "Cluster", "verbs": ["list"]}
        for kind in kinds
    ]
    freshness = "Stale" if stale else "Current"
    return {
        "metadata": {"name": name},
        "versions": [{"version": version, "freshness": freshness, "resources": resources}],
    }


def groups(*items: dict) -> dict:
    return {"kind": "APIGroupDiscoveryList", "items": list(items)}


@virtual
async def test_kinds_are_found_in_one_question_a_root(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/apis"] = groups(group("apps", "v1", "Deployment"))
    catalog = await client(transport, clock).discovery.catalog()
    assert catalog.find("", "ConfigMap").path("web") == "/api/v1/namespaces/web/configmaps"
    assert catalog.find("apps", "Deployment").path() == "/apis/apps/v1/deployments"
    assert transport.asked == []


@virtual
async def test_the_first_version_is_preferred_and_any_can_be_asked_for(clock: VirtualClock) -> None:
    transport = Scripted()
    two = group("example.org", "v2", "Widget")
    two["versions"] += group("example.org", "v1", "Widget")["versions"]
    transport.discovery["/apis"] = groups(two)
    discovery = client(transport, clock).discovery
    assert (await discovery.find("example.org", "Widget")).version == "v2"
    assert (await discovery.find("example.org", "Widget", "v1")).version == "v1"
    assert await discovery.find("example.org", "Widget", "v3") is None


@virtual
async def test_a_dead_group_hides_only_itself(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/apis"] = groups(group("apps", "v1", "Deployment"), group("dead.io", "v1", stale=True))
    discovery = client(transport, clock).discovery
    assert await discovery.find("apps", "Deployment")
    assert await discovery.find("other.io", "Thing") is None
    with pytest.raises(Unavailable, match=r"dead\.io can not be listed"):
        await discovery.find("dead.io", "Thing")


@virtual
async def test_kinds_of_a_group_that_dies_stay_known(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/apis"] = groups(group("dead.io", "v1", "Thing"))
    discovery = client(transport, clock).discovery
    assert await discovery.find("dead.io", "Thing")
    transport.discovery["/apis"] = groups(group("dead.io", "v1", stale=True))
    await clock.sleep(1_000)
    assert await discovery.find("dead.io", "Thing")


@virtual
async def test_an_old_server_is_asked_group_by_group(clock: VirtualClock) -> None:
    def resources(version: str, *kinds: str) -> object:
        entries = [{"name": f"{kind.lower()}s", "kind": kind, "namespaced": True, "verbs": ["list"]} for kind in kinds]
        return ok({"kind": "APIResourceList", "groupVersion": version, "resources": [*entries, {"name": "x/status"}]})

    transport = Scripted()
    transport.discovery.update(
        {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/api/v1": resources("v1", "ConfigMap"),
            "/apis": {
                "kind": "APIGroupList",
                "groups": [
                    {
                        "name": "apps",
                        "versions": [{"groupVersion": "apps/v1beta1"}, {"groupVersion": "apps/v1"}],
                        "preferredVersion": {"groupVersion": "apps/v1"},
                    },
                    {"name": "dead.io", "versions": [{"groupVersion": "dead.io/v1"}]},
                ],
            },
            "/apis/apps/v1": resources("apps/v1", "Deployment"),
            "/apis/apps/v1beta1": resources("apps/v1beta1", "Deployment"),
            "/apis/dead.io/v1": status(503, "the server is currently unable to handle the request"),
        }
    )
    discovery = client(transport, clock).discovery
    assert (await discovery.find("apps", "Deployment")).version == "v1"
    assert await discovery.find("", "ConfigMap")
    with pytest.raises(Unavailable, match="unable to handle"):
        await discovery.find("dead.io", "Thing")


@virtual
async def test_an_unknown_kind_is_looked_up_again_but_not_all_the_time(clock: VirtualClock) -> None:
    transport, asked = Scripted(), 0

    class Counting(dict):
        def __getitem__(self, key: str) -> object:
            nonlocal asked
            asked += 1
            return super().__getitem__(key)

    transport.discovery = Counting(transport.discovery)
    discovery = client(transport, clock).discovery
    for _ in range(100):
        assert await discovery.find("example.org", "Widget") is None
    assert asked == 2
    await clock.sleep(11)
    transport.discovery["/apis"] = groups(group("example.org", "v1", "Widget"))
    assert await discovery.find("example.org", "Widget")


@virtual
async def test_after_a_definition_was_applied_it_is_looked_up_soon(clock: VirtualClock) -> None:
    transport = Scripted()
    discovery = client(transport, clock).discovery
    assert await discovery.find("example.org", "Widget") is None
    transport.discovery["/apis"] = groups(group("example.org", "v1", "Widget"))
    discovery.expect()
    await clock.sleep(0.6)
    assert await discovery.find("example.org", "Widget")


@virtual
async def test_without_the_right_to_discover_it_is_denied(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/apis"] = status(403, "forbidden")
    with pytest.raises(Denied):
        await client(transport, clock).discovery.catalog()


@virtual
async def test_hostile_discovery_is_passed_over(clock: VirtualClock) -> None:
    transport = Scripted()
    odd = {"metadata": None, "versions": [7, {"version": None, "resources": [{"responseKind": {"kind": 5}}, "x"]}]}
    worse = {"metadata": "x", "versions": [{"resources": [{"responseKind": "y"}]}]}
    transport.discovery["/api"] = {"kind": "APIGroupDiscoveryList", "items": [odd, "x", worse, *DISCOVERED["items"]]}
    assert await client(transport, clock).discovery.find("", "ConfigMap")


def resource(kind: str, plural: str, *short: str) -> dict:
    names = {"resource": plural, "singularResource": kind.lower(), "shortNames": list(short)}
    return {**names, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": ["list"]}


def serving(name: str, version: str, *resources: dict) -> dict:
    return {"metadata": {"name": name}, "versions": [{"version": version, "resources": list(resources)}]}


@virtual
async def test_a_kind_is_known_by_every_name_that_people_write(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/apis"] = groups(
        serving("apps", "v1", resource("Deployment", "deployments", "deploy")),
        serving("example.org", "v2", resource("Deployment", "deployments")),
        serving("metrics.k8s.io", "v1beta1", resource("PodMetrics", "configmaps")),
    )
    catalog = await client(transport, clock).discovery.catalog()

    def named(word: str) -> list[str]:
        return [f"{kind.group}/{kind.kind}" for kind in catalog.named(word)]

    for word in ("deploy", "Deploy", "deployments.apps", "deployments.v1.apps", "Deployment.apps"):
        assert named(word) == ["apps/Deployment"], word
    for word in ("Deployment", "deployments", "DEPLOYMENTS"):
        assert named(word) == ["apps/Deployment", "example.org/Deployment"], word
    assert named("configmaps") == ["/ConfigMap"]
    assert named("configmaps.v1") == ["/ConfigMap"]
    assert named("configmaps.metrics.k8s.io") == ["metrics.k8s.io/PodMetrics"]
    assert named("nothing") == named("") == []


@pytest.mark.parametrize("lie", [{}, {"kind": "Status", "status": "Success"}, {"kind": "APIGroupDiscoveryList"}])
def test_an_answer_that_lists_nothing_does_not_make_everything_unknown(lie: dict) -> None:
    @virtual
    async def story(clock: VirtualClock) -> None:
        for path in ("/api", "/apis"):
            transport = Scripted()
            transport.discovery[path] = lie
            with pytest.raises(Unavailable, match=f"discovery {path}: the answer lists no APIs"):
                await client(transport, clock).discovery.catalog()

    story()


@virtual
async def test_a_server_without_any_kind_of_its_own_is_none(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/api"] = groups()
    with pytest.raises(Unavailable, match="discovery /api: it lists no kinds"):
        await client(transport, clock).discovery.catalog()


@virtual
async def test_a_kind_that_is_not_listed_any_more_is_remembered_until_it_is(clock: VirtualClock) -> None:
    transport = Scripted()
    transport.discovery["/apis"] = groups(group("apps", "v1", "Deployment"))
    discovery = client(transport, clock).discovery
    found = await discovery.find("apps", "Deployment")
    transport.discovery["/apis"] = groups()
    await clock.sleep(1_000)
    assert await discovery.find("apps", "Deployment") is None
    assert discovery.gone("apps", "Deployment") == found
    transport.discovery["/apis"] = groups(group("apps", "v1", "Deployment"))
    await clock.sleep(1_000)
    assert await discovery.find("apps", "Deployment") == found
    assert discovery.gone("apps", "Deployment") is None
