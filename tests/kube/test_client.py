"""The verbs: what is sent, and what comes back."""

from __future__ import annotations

import orjson
import pytest
import yaml
from tests.kube.scripted import CONFIG_MAP, Scripted, client, item, ok, status, virtual
from tests.simulation.loop import VirtualClock

from kedge.model.errors import Denied, Invalid, Unavailable

PATH = "/api/v1/namespaces/web/configmaps"


def page(*items: object, version: str = "9", token: str = "") -> object:
    metadata = {"resourceVersion": version} | ({"continue": token} if token else {})
    return ok({"kind": "ConfigMapList", "metadata": metadata, "items": list(items)})


@virtual
async def test_apply_is_forced_as_kedge(clock: VirtualClock) -> None:
    transport = Scripted(ok(item("a", 1), 201))
    assert (await client(transport, clock).apply(CONFIG_MAP, "web", "a", b"{}", dry_run=True)).created
    method, path, query, headers, body = transport.asked[0]
    assert (method, path, body) == ("PATCH", f"{PATH}/a", b"{}")
    assert query["fieldManager"] == "kedge"
    assert (query["force"], query["dryRun"]) == ("true", "All")
    assert headers["content-type"] == "application/apply-patch+yaml"


@virtual
async def test_what_is_applied_means_the_same_as_json_and_as_yaml(clock: VirtualClock) -> None:
    value = {"data": {"text": "\x00\x1b\x7f\x80\x85\x9f\xa0\u2028\u2029\ufeff\ufffd\ufffe\uffffé\U0001f986\\u2028"}}
    transport = Scripted(ok(item("a", 1)))
    await client(transport, clock).apply(CONFIG_MAP, "web", "a", orjson.dumps(value))
    sent = transport.asked[0][4]
    assert orjson.loads(sent) == value
    assert yaml.safe_load(sent) == value


@virtual
async def test_a_real_apply_is_no_dry_run(clock: VirtualClock) -> None:
    transport = Scripted(ok(item("a", 1)))
    await client(transport, clock).apply(CONFIG_MAP, "web", "a", b"{}")
    assert "dryRun" not in transport.asked[0][2]


@virtual
async def test_what_is_not_there_is_none(clock: VirtualClock) -> None:
    assert await client(Scripted(status(404)), clock).get(CONFIG_MAP, "web", "a") is None


@virtual
async def test_reading_without_the_right_is_denied(clock: VirtualClock) -> None:
    with pytest.raises(Denied, match="forbidden"):
        await client(Scripted(status(403, "forbidden")), clock).get(CONFIG_MAP, "web", "a")


@virtual
async def test_a_deletion_is_of_one_uid(clock: VirtualClock) -> None:
    transport = Scripted(ok(item("a", 1)))
    await client(transport, clock).delete(CONFIG_MAP, "web", "a", uid="u-1")
    options = orjson.loads(transport.asked[0][4])
    assert options["preconditions"] == {"uid": "u-1"}
    assert options["propagationPolicy"] == "Background"


@virtual
async def test_a_list_is_read_page_by_page(clock: VirtualClock) -> None:
    transport = Scripted(page(item("a", 1), token="t"), page(item("b", 2)))
    listing = await client(transport, clock).list(CONFIG_MAP, "web", labels="x")
    assert [entry["metadata"]["name"] for entry in listing.items] == ["a", "b"]
    assert listing.version == "9"
    assert [query.get("continue") for _, _, query, _, _ in transport.asked] == [None, "t"]


@virtual
async def test_a_list_that_expires_under_way_starts_again_and_mixes_nothing(clock: VirtualClock) -> None:
    transport = Scripted(page(item("a", 1), token="t"), status(410), page(item("b", 2)))
    listing = await client(transport, clock).list(CONFIG_MAP, "web")
    assert [entry["metadata"]["name"] for entry in listing.items] == ["b"]


@virtual
async def test_a_list_that_always_expires_is_asked_for_whole_and_then_unavailable(clock: VirtualClock) -> None:
    transport = Scripted(*[status(410)] * 3)
    with pytest.raises(Unavailable, match="expired 3 times"):
        await client(transport, clock).list(CONFIG_MAP, "web")
    assert "limit" not in transport.asked[2][2]


@virtual
async def test_listed_objects_carry_their_kind(clock: VirtualClock) -> None:
    bare = {"metadata": {"name": "a"}}
    listing = await client(Scripted(page(bare, "noise")), clock).list(CONFIG_MAP, "web")
    assert listing.items == ({"apiVersion": "v1", "kind": "ConfigMap", **bare},)


@virtual
async def test_an_answer_without_metadata_is_no_object(clock: VirtualClock) -> None:
    with pytest.raises(Unavailable, match="no metadata"):
        await client(Scripted(ok({"metadata": "x"})), clock).get(CONFIG_MAP, "web", "a")


@virtual
async def test_a_kind_that_is_not_served_any_more_lists_nothing(clock: VirtualClock) -> None:
    assert (await client(Scripted(status(404)), clock).list(CONFIG_MAP)).items == ()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2fb", "../../nodes/x"])
def test_a_name_never_leads_to_another_path(name: str) -> None:
    with pytest.raises(Invalid, match="can not be an object's name"):
        CONFIG_MAP.path("web", name)
    with pytest.raises(Invalid):
        CONFIG_MAP.path(name, "a")


def test_odd_but_valid_names_are_encoded() -> None:
    assert CONFIG_MAP.path("web", "system:node?x#y") == f"{PATH}/system:node%3Fx%23y"


@virtual
async def test_a_list_without_an_end_is_given_up(clock: VirtualClock) -> None:
    endless = Scripted(*[page(token="more")] * 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kedge.kube.client.MAX_PAGES", 20)
        with pytest.raises(Unavailable, match="the server does not come to an end"):
            await client(endless, clock).list(CONFIG_MAP, "web")
    assert len(endless.asked) == 20


@virtual
async def test_a_list_that_is_too_large_is_given_up_before_all_of_it_is_read(clock: VirtualClock) -> None:
    large = Scripted(*[page(item("a", 1, data={"x": "y" * 32 * 1024 * 1024}), token="more")] * 20)
    with pytest.raises(Unavailable, match="256 MiB"):
        await client(large, clock).list(CONFIG_MAP, "web")
    assert len(large.asked) == 8


@virtual
async def test_writes_and_dry_runs_are_made_as_the_account_and_reads_are_not(clock: VirtualClock) -> None:
    transport = Scripted(ok(item("a", 1)), ok(item("a", 1)), ok(item("a", 1)), ok(item("a", 1)))
    own = client(transport, clock)
    other = own.acting_as("team/deployer")
    assert other.discovery is own.discovery
    await other.apply(CONFIG_MAP, "web", "a", b"{}", dry_run=True)
    await other.delete(CONFIG_MAP, "web", "a")
    await other.get(CONFIG_MAP, "web", "a")
    await own.apply(CONFIG_MAP, "web", "a", b"{}")
    assert own.acting_as("") is own
    named = [headers.get("impersonate-user") for _, _, _, headers, _ in transport.asked]
    assert named == ["system:serviceaccount:team:deployer"] * 2 + [None] * 2


LIES = {
    "another name": item("b", 1),
    "another kind": {**item("a", 1), "kind": "Secret"},
    "another namespace": {**item("a", 1), "metadata": {**item("a", 1)["metadata"], "namespace": "shop"}},
    "a success without an object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"},
    "no object": {"metadata": []},
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_about_another_object_is_not_believed(lie: str) -> None:
    """What was learnt of it was an object that nobody had applied."""

    @virtual
    async def story(clock: VirtualClock) -> None:
        for ask in (
            lambda kube: kube.get(CONFIG_MAP, "web", "a"),
            lambda kube: kube.apply(CONFIG_MAP, "web", "a", b"{}"),
            lambda kube: kube.json_patch(CONFIG_MAP, "web", "a", []),
        ):
            with pytest.raises(Unavailable, match=r"(about another object|no Kubernetes object)"):
                await ask(client(Scripted(ok(LIES[lie])), clock))

    story()


@virtual
async def test_a_404_of_what_stands_before_a_server_says_nothing_of_what_there_is(clock: VirtualClock) -> None:
    """An ingress without a backend had every object seem to be gone."""
    kube = client(Scripted(*[ok(b"<html>default backend - 404</html>", 404)] * 3), clock)
    for ask in (kube.get(CONFIG_MAP, "web", "a"), kube.list(CONFIG_MAP), kube.delete(CONFIG_MAP, "web", "a")):
        with pytest.raises(
            Unavailable, match=r"default backend - 404.*\n  look whether this address is that of a Kube"
        ):
            await ask
    assert kube.asker.pulse.ailment is not None
    unserved = client(Scripted(ok(b"404 page not found\n", 404)), clock)
    assert await unserved.get(CONFIG_MAP, "web", "a") is None


@virtual
async def test_a_redirect_is_told_as_one_and_the_cluster_ails(clock: VirtualClock) -> None:
    kube = client(Scripted(ok(b"", 302, location="https://login.example.com/")), clock)
    with pytest.raises(Unavailable, match=r"it sends us elsewhere \(https://login.example.com/\), and Kedge does not"):
        await kube.get(CONFIG_MAP, "web", "a")
    assert kube.asker.pulse.ailment is not None
    assert "elsewhere" in kube.asker.pulse.ailment.reason


@virtual
async def test_a_list_with_something_else_in_it_is_none(clock: VirtualClock) -> None:
    lie = page(item("a", 1), {**item("b", 1), "kind": "Secret"})
    with pytest.raises(Unavailable, match="there is a Secret in a list of ConfigMap"):
        await client(Scripted(lie), clock).list(CONFIG_MAP)
    nothing = ok({"kind": "ConfigMapList", "metadata": {"resourceVersion": "9"}, "items": None})
    assert (await client(Scripted(nothing), clock).list(CONFIG_MAP)).items == ()
