"""Pushes announced by forges: deployed at once, where the poll would come in an hour; forged ones do nothing."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import aiohttp
import pytest
from tests.e2e.stories import PROJECT, application, folder_of, hasten
from tests.e2e.world import PATIENCE, World, standing

pytestmark = pytest.mark.e2e

SECRET = "a-secret-of-forges"
HOUR = 3600.0


def signed(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def github(body: bytes, secret: str) -> dict[str, str]:
    return {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signed(body, secret)}"}


def gitlab(body: bytes, secret: str) -> dict[str, str]:
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret}


def gitea(body: bytes, secret: str) -> dict[str, str]:
    return {"X-Gitea-Event": "push", "X-Gitea-Signature": signed(body, secret)}


def generic(body: bytes, secret: str) -> dict[str, str]:
    return {"X-Kedge-Event": "push", "X-Kedge-Signature": f"sha256={signed(body, secret)}"}


def payload(forge: Callable[..., Any], url: str, before: str, after: str) -> dict[str, Any]:
    """What the forge sends of a push, as far as anybody reads it."""
    pushed = {"ref": "refs/heads/main", "before": before, "after": after}
    if forge is generic:
        return {**pushed, "repository": url}
    if forge is gitlab:
        project = {"git_http_url": url, "default_branch": "main", "web_url": url.removesuffix(".git")}
        return {**pushed, "object_kind": "push", "project": project}
    return {**pushed, "repository": {"clone_url": url, "html_url": url.removesuffix(".git"), "default_branch": "main"}}


async def announce(world: World, forge: Callable[..., Any], commit: str, secret: str = SECRET) -> tuple[int, Any]:
    """POST what the forge would; answers status and body."""
    body = json.dumps(payload(forge, world.repository.url, "0" * 40, commit)).encode()
    headers = {"Content-Type": "application/json", **forge(body, secret)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{world.url}/webhooks/push", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def deployed(world: World) -> None:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "one")}
    )
    await world.synced("shop/web", world.pushed("begin"))
    await world.whole()


async def test_each_forge_s_push_is_deployed_long_before_the_next_poll(tmp_path, access, monkeypatch):
    hasten(monkeypatch)
    async with standing(tmp_path, access=access, poll=HOUR, secret=SECRET) as world:
        await deployed(world)
        for forge in (github, gitlab, gitea, generic):
            world.repository.write(folder_of("web", forge.__name__))
            commit = world.repository.push(f"for {forge.__name__}")
            assert await announce(world, forge, commit) == (200, {"checked": 1})
            await world.synced("shop/web", commit)
            assert await world.greeting("web") == forge.__name__


async def test_a_push_with_a_wrong_signature_is_refused_and_nobody_looks(tmp_path, access):
    async with standing(tmp_path, access=access, poll=HOUR, secret=SECRET) as world:
        await deployed(world)
        world.repository.write(folder_of("web", "forged"))
        commit = world.repository.push("forged")
        asked = len(world.forge.server.requests)
        for forge in (github, gitlab, gitea, generic):
            status, body = await announce(world, forge, commit, "not-the-secret")
            assert status in (401, 403)
            assert "signature does not fit" in body["error"]["what"]
        assert (await world.house.doors.store.heads())[0].revision.commit != commit
        # A real one afterwards finds the only news: nothing was under way before it.
        assert len(world.forge.server.requests) == asked
        await announce(world, github, commit)
        await world.synced("shop/web", commit)


async def test_hints_while_a_look_is_under_way_cost_one_more_look(tmp_path, access):
    async with standing(tmp_path, access=access, poll=HOUR, secret=SECRET) as world:
        await deployed(world)
        world.repository.write(folder_of("web", "two"))
        commit = world.repository.push("two")
        before = world.forge.looks
        with world.forge.held() as asked:
            await announce(world, github, commit)
            async with asyncio.timeout(PATIENCE):
                while not asked():
                    await asyncio.sleep(0.02)
            for _ in range(20):
                status, _ = await announce(world, github, commit)
                assert status == 200
        await world.synced("shop/web", commit)
        world.repository.write(folder_of("web", "three"))
        newest = world.repository.push("three")
        await announce(world, github, newest)
        await world.synced("shop/web", newest)
        # Two commits were looked for and fetched, and one look was for all the hints in between.
        assert world.forge.looks - before <= 2 + 1 + 2
