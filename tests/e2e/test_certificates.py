"""Certificates of a real server that go bad while it is in use, and are mended: by whoever runs it, or in Git."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from tests.e2e.test_clusters import Authority, documents
from tests.e2e.test_lying import Story, _hasty, told  # noqa: F401  (a fixture is found by name)
from tests.parts.fixtures import RealCluster

pytestmark = pytest.mark.e2e

DAY = timedelta(days=1)
ELSEWHERE = x509.IPAddress(ip_address("127.0.0.9"))
NAMED = x509.DNSName("other.example.com")

BAD: dict[str, tuple[Callable[[Authority, Path], Path], str]] = {
    "has expired": (lambda ours, place: ours.chain(place, -DAY), "the server's certificate has expired"),
    "is of tomorrow": (lambda ours, place: ours.chain(place, 2 * DAY, begun=DAY), "is not valid yet"),
    "is for another address": (
        lambda ours, place: ours.chain(place, DAY, names=(ELSEWHERE,)),
        "is for another address",
    ),
    "is for another name": (lambda ours, place: ours.chain(place, DAY, names=(NAMED,)), "is for another"),
    "is of an authority that nobody knows": (lambda ours, place: Authority().chain(place, DAY), "authority"),
}


async def told_meanwhile(story: Story, sentence: str) -> str:
    """The cluster and its unit say what is wrong, and the other unit goes on; answers the commit."""
    commit = story.changed()
    await story.world.synced("shop/web", commit)
    await story.world.said(sentence, "get", "cluster")
    shown = await story.world.said(sentence, "get", "sick")
    assert "far" in shown
    assert story.greeting() == "hello"
    return commit


@pytest.mark.parametrize("how", BAD)
async def test_a_certificate_that_goes_bad_is_told_and_a_good_one_mends_it(
    tmp_path: Path, real_cluster: RealCluster, how: str
) -> None:
    make, sentence = BAD[how]
    ours = Authority()
    async with told(tmp_path, real_cluster, ours.chain(tmp_path, DAY), ours.pem) as story:
        before = story.uids()
        story.proxy.show(make(ours, tmp_path))
        commit = await told_meanwhile(story, sentence)
        story.proxy.show(ours.chain(tmp_path, DAY))
        await story.itself_again(commit, before)
        assert story.greeting() == "goodbye"


async def test_an_authority_that_is_replaced_is_taken_up_from_git(tmp_path: Path, real_cluster: RealCluster) -> None:
    """With both of them for a while, as rotations go, nobody notices anything."""
    ours, theirs = Authority(), Authority()
    async with told(tmp_path, real_cluster, ours.chain(tmp_path, DAY), ours.pem) as story:
        before, world = story.uids(), story.world
        access = story.through
        story.proxy.show(theirs.chain(tmp_path, DAY))
        await told_meanwhile(story, "authority")
        world.repository.write({".kedge/far.yaml": documents("far", access, "token: {env: FAR}", ca=theirs.pem)})
        await story.itself_again(world.pushed("another authority"), before)
        both = theirs.pem + Authority().pem
        world.repository.write({".kedge/far.yaml": documents("far", access, "token: {env: FAR}", ca=both)})
        world.pushed("both authorities")
        story.proxy.show(theirs.chain(tmp_path, DAY))
        world.repository.write({"apps/sick/more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"})
        dossier = await world.synced("shop/sick", world.pushed("more"))
        assert {entry.ref.name for entry in dossier.inventory} >= {"more"}
