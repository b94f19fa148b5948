"""Secrets of the store and encrypted files on the whole road: live in the cluster, and in clear nowhere else."""

from __future__ import annotations

import io
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.world import World, contents, standing

from kedge.model.event import Event
from kedge.model.unit import UnitName

pytestmark = pytest.mark.e2e

SOPS = Path(__file__).parents[1] / "renderers" / "fixtures" / "sops"
PROJECT = "apiVersion: kedge.dev/v1alpha1\nkind: Project\nmetadata: {name: shop}\nspec: {secrets: ['shop-*']}\n"
WEB = """\
apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {name: web, project: shop}
spec:
  source: {path: apps/web}
  target: {namespace: default}
  substitute: {variables: {who: web}, secrets: {pw: shop-db}}
  decrypt: {keys: [shop-age]}
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: '${who}'}\nstringData: {url: 'db://me:${pw}@db'}\n"
PATH = "/api/v1/namespaces/default/secrets"
FIRST, SECOND, ENCRYPTED = "canary-first-pw", "canary-second-pw", "canary-yaml-1"


async def keep(world: World, name: str, value: str) -> None:
    await world.house.doors.store.keep(name, value, Event("secret.kept", 1.0, "mona"))


async def live(world: World, name: str, key: str) -> str:
    secret: Any = await world.call("GET", f"{PATH}/{name}")
    return b64decode(secret["data"][key]).decode()


def told(world: World, *answers: str) -> bytes:
    """Everything that is kept on disk, and what people were answered."""
    return b"\n".join([*contents(world.data), *(answer.encode() for answer in answers)])


async def test_a_secret_of_the_store_is_live_rotates_and_is_nowhere_in_clear(tmp_path: Path, access: Any) -> None:
    async with standing(tmp_path, access=access) as world:
        await keep(world, "shop-db", FIRST)
        await keep(world, "shop-age", (SOPS / "age.key").read_text())
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/web.yaml": WEB,
                "apps/web/s.yaml": SECRET,
                "apps/web/sops.yaml": (SOPS / "secret.yaml").read_text(),
            }
        )
        await world.synced("shop/web", world.pushed("begin"))
        assert await live(world, "web", "url") == f"db://me:{FIRST}@db"
        assert await live(world, "db", "password") == ENCRYPTED

        await keep(world, "shop-db", SECOND)
        said = await world.said("Secret", "diff", "web")
        await world.kedge("sync", "web")
        await world.until("shop/web", lambda d: d.runs >= 2 and d.operation is None and d.shown.sync == "Synced")
        assert await live(world, "web", "url") == f"db://me:{SECOND}@db"

        shown = told(world, said, (await world.kedge("get", "web", "-o", "json")).out)
        for value in (FIRST, SECOND, ENCRYPTED):
            assert value.encode() not in shown
            assert b64encode(value.encode()).strip(b"=") not in shown


async def test_a_secret_that_is_kept_anew_or_deleted_is_seen_at_once(
    tmp_path: Path, access: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def given(value: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(value.encode())))
        assert (await world.kedge("create", "secret", "shop-db")).code == 0

    async with standing(tmp_path, access=access) as world:
        plain = WEB.replace("  decrypt: {keys: [shop-age]}\n", "")
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": plain, "apps/web/s.yaml": SECRET})
        world.pushed("before there is a secret")
        await world.until("shop/web", lambda d: "no secret shop-db" in d.shown.why)
        await given(FIRST)
        await world.synced("shop/web")
        assert await live(world, "web", "url") == f"db://me:{FIRST}@db"
        await given(SECOND)
        await world.until("shop/web", lambda d: d.runs >= 2 and d.operation is None and d.shown.sync == "Synced")
        assert await live(world, "web", "url") == f"db://me:{SECOND}@db"
        await world.kedge("delete", "secret", "shop-db")
        await world.until("shop/web", lambda d: "no secret shop-db" in d.shown.why)
        assert await live(world, "web", "url") == f"db://me:{SECOND}@db"


async def test_a_secret_that_is_not_the_project_s_makes_no_unit(tmp_path: Path, access: Any) -> None:
    async with standing(tmp_path, access=access) as world:
        await keep(world, "other-db", FIRST)
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": WEB.replace("shop-db", "other-db")})
        world.pushed("reach out")

        async def refused() -> bool:
            states = await world.house.doors.store.roots()
            return any("may not use the secret other-db" in str(p) for state in states for p in state.problems)

        await world.eventually(refused)
        assert await world.house.doors.store.load(UnitName("shop", "web")) is None
