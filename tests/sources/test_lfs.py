"""Git LFS: where a server sends us for a file's bytes."""

from __future__ import annotations

from hashlib import sha256

import orjson
import pytest

from kedge.model.errors import KedgeError
from kedge.sources.lfs import Pointer, fetch, pointer
from kedge.sources.web import Web

from .conftest import CANARY, LOCAL, Vault
from .web import Asked, Reply, Site

WANTED = Pointer(sha256(b"data").hexdigest(), 4)


def answering(site: Site, href: str) -> None:
    said = orjson.dumps({"objects": [{"actions": {"download": {"href": href}}}]})
    site.rule = lambda asked: Reply(said) if asked.path.endswith("/objects/batch") else None


@pytest.mark.parametrize(
    "href",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/x",
        "file:///etc/passwd",
        "ftp://example.com/x",
        "http://user:pass@example.com/x",
        "gopher://127.0.0.1/_x",
        "//x y",
        "",
    ],
)
async def test_a_file_is_not_fetched_from_where_nothing_is_fetched_from(site: Site, href: str) -> None:
    answering(site, href)
    vault = Vault({"username": "u", "password": CANARY})
    with pytest.raises(KedgeError) as told:
        await fetch(Web(vault, LOCAL), f"{site.url}/shop.git", WANTED, 100)
    assert CANARY not in str(told.value)
    assert len(site.asked) == 1


async def test_other_bytes_than_the_pointer_says_are_refused_and_larger_ones_cut_off(site: Site) -> None:
    for body in (b"dat!", bytes(1 << 20)):
        answering(site, f"{site.url}/bytes")
        site.pages["/bytes"] = Reply(body)
        with pytest.raises(KedgeError, match=r"other bytes|more than the"):
            await fetch(Web(Vault(), LOCAL), f"{site.url}/shop.git", WANTED, 100)


async def test_the_credential_of_the_repository_stays_with_its_host(site: Site) -> None:
    elsewhere = Site()
    try:
        elsewhere.pages["/bytes"] = Reply(b"data")
        answering(site, f"{elsewhere.url}/bytes")

        class Bound(Vault):
            async def credential(self, url: str) -> dict[str, str]:
                return {"username": "u", "password": CANARY} if url.startswith(site.url) else {}

        assert await fetch(Web(Bound(), LOCAL), f"{site.url}/shop.git", WANTED, 100) == b"data"
        (asked,) = elsewhere.asked
        assert isinstance(asked, Asked)
        assert not asked.authorization
    finally:
        elsewhere.close()


@pytest.mark.parametrize("size", ["9" * 16, "-1", "1e9"])
def test_a_pointer_to_nonsense_is_a_file_of_its_own(size: str) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize {size}\n"
    assert pointer(text.encode()) is None
