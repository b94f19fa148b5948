"""Who waits for which namespace, and how much is asked for it."""

from __future__ import annotations

from kedge.targets.kubernetes.awaited import SPACES_AT_ONCE, AwaitedThings


async def test_a_namespace_rings_everybody_who_waits_for_it_once() -> None:
    awaited, there = AwaitedThings(), {"late"}

    async def asked(name: str) -> bool:
        return name in there

    awaited.declare("shop/a", (), ["late", "later"])
    awaited.declare("shop/b", (), ["late"])
    assert awaited.waits("shop/a", "late")
    assert await awaited.appeared(asked) == ("shop/a", "shop/b")
    assert await awaited.appeared(asked) == ()
    assert (awaited.waits("shop/a", "late"), awaited.waits("shop/a", "later")) == (False, True)
    awaited.declare("shop/a", ())
    there.add("later")
    assert await awaited.appeared(asked) == ()


async def test_many_missing_namespaces_are_looked_for_in_turns() -> None:
    awaited = AwaitedThings()
    names = [f"late-{number}" for number in range(2 * SPACES_AT_ONCE)]
    awaited.declare("shop/a", (), names)
    looked: list[str] = []

    async def asked(name: str) -> bool:
        looked.append(name)
        return False

    await awaited.appeared(asked)
    assert len(looked) == SPACES_AT_ONCE
    await awaited.appeared(asked)
    assert sorted(looked) == sorted(names)
    awaited.declare("shop/a", (), ())
    await awaited.appeared(asked)
    assert len(looked) == len(names)
