"""Lists with an end."""

from __future__ import annotations

import pytest
from tests.kube.scripted import CONFIG_MAP, Scripted, client, item, ok, status, virtual
from tests.simulation.loop import VirtualClock

from kedge.kube.survey import survey
from kedge.model.errors import Denied


def page(*items: dict, more: str = "") -> dict:
    return {"kind": "List", "metadata": {"continue": more}, "items": list(items)}


@virtual
async def test_pages_are_read_until_there_is_enough(clock: VirtualClock) -> None:
    transport = Scripted(ok(page(item("a", 1), more="x")), ok(page(item("b", 2), more="y")))
    found = await survey(client(transport, clock), CONFIG_MAP, "web", 2)
    assert [one["metadata"]["name"] for one in found.items] == ["a", "b"]
    assert found.cut
    assert [asked[2].get("continue") for asked in transport.asked] == [None, "x"]


@virtual
async def test_metadata_alone_is_asked_for_and_carries_its_kind(clock: VirtualClock) -> None:
    bare = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}}
    transport = Scripted(ok(page(bare)))
    found = await survey(client(transport, clock), CONFIG_MAP, "web", 10, whole=False)
    assert found.items == ({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}},)
    assert "as=PartialObjectMetadataList" in transport.asked[0][3]["accept"]


@virtual
async def test_a_kind_that_is_gone_is_empty_and_what_expired_is_cut(clock: VirtualClock) -> None:
    transport = Scripted(status(404), ok(page(item("a", 1), more="x")), status(410))
    asking = client(transport, clock)
    assert (await survey(asking, CONFIG_MAP, "web", 10)).items == ()
    found = await survey(asking, CONFIG_MAP, "web", 10)
    assert (len(found.items), found.cut) == (1, True)


@virtual
async def test_what_is_not_permitted_is_denied(clock: VirtualClock) -> None:
    with pytest.raises(Denied):
        await survey(client(Scripted(status(403)), clock), CONFIG_MAP, "web", 10)


@virtual
async def test_what_is_no_object_is_left_out(clock: VirtualClock) -> None:
    transport = Scripted(ok({"kind": "List", "items": [1, {}, {"metadata": "x"}, item("a", 1)]}))
    assert len((await survey(client(transport, clock), CONFIG_MAP, "web", 10)).items) == 1
