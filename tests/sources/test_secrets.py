"""Declared credentials: which fits a URL, and where its value comes from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kedge.model.declaration import Credential, OidcSection, SecretFrom
from kedge.model.errors import Denied
from kedge.sources.secrets import DeclaredSecrets, fits


@pytest.mark.parametrize(
    ("prefix", "url", "expected"),
    [
        ("https://git.example.com/org", "https://git.example.com/org/web.git", True),
        ("https://git.example.com/org/", "https://git.example.com/org/web.git", True),
        ("https://git.example.com/org", "https://git.example.com/org", True),
        ("https://git.example.com/org/web", "https://git.example.com/org/web.git", True),
        ("https://git.example.com/org/web.git", "https://git.example.com/org/web", True),
        ("https://git.example.com", "https://git.example.com/any/thing", True),
        ("https://GIT.example.com/org", "https://git.example.com:443/org/x", True),
        ("ssh://git@git.example.com/org", "git@git.example.com:org/web.git", True),
        ("https://git.example.com/org", "https://git.example.com/organisation/web", False),
        ("https://git.example.com/org", "https://git.example.com.evil/org/web", False),
        ("https://git.example.com", "https://git.example.com.evil/org/web", False),
        ("https://git.example.com", "https://git.example.com@evil/org", False),
        ("https://git.example.com/org", "https://git.example.com/other/../org/x", False),
        ("https://git.example.com/org", "https://git.example.com/org/../other", False),
        ("https://git.example.com/org", "http://git.example.com/org/web", False),
        ("https://git.example.com/org", "https://git.example.com:8443/org/web", False),
        ("https://git.example.com/org", "ssh://git.example.com/org/web", False),
        ("", "https://git.example.com/org/web", False),
        ("https://git.example.com:port/x", "https://git.example.com/x", False),
    ],
)
def test_a_prefix_fits_on_boundaries_of_host_and_path(prefix: str, url: str, expected: bool) -> None:
    assert fits(prefix, url) is expected


def secrets(*credentials: Credential, **environment: str) -> DeclaredSecrets:
    async def kept(name: str) -> str | None:
        return {"vaulted": "from the store"}.get(name)

    return DeclaredSecrets(lambda: credentials, environment, kept)


def credential(name: str, prefix: str = "https://git.example.com", **more: object) -> Credential:
    return Credential(name, prefix, **more)  # type: ignore[arg-type]


async def test_the_longest_prefix_wins() -> None:
    found = secrets(
        credential("all", token=SecretFrom(env="ALL")),
        credential("shop", "https://git.example.com/shop", username="mona", token=SecretFrom(env="SHOP")),
        ALL="a",
        SHOP="s",
    )
    assert await found.credential("https://git.example.com/shop/web") == {"username": "mona", "token": "s"}
    assert await found.credential("https://git.example.com/other") == {"token": "a"}
    assert await found.credential("https://elsewhere.example.com/shop") == {}


async def test_values_come_from_environment_file_and_store(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    found = secrets(
        credential(
            "all",
            token=SecretFrom(file=str(tmp_path / "token")),
            password=SecretFrom(store="vaulted"),
            sshKey=SecretFrom(env="KEY"),
        ),
        KEY="a\nb\n",
    )
    values = await found.credential("https://git.example.com/x")
    assert values == {"token": "from a file", "password": "from the store", "sshKey": "a\nb\n"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (SecretFrom(env="NOT_SET"), "environment variable NOT_SET"),
        (SecretFrom(env="EMPTY"), "environment variable EMPTY"),
        (SecretFrom(file="/nowhere/token"), "file /nowhere/token"),
        (SecretFrom(file="relative"), "file relative"),
        (SecretFrom(file="/etc"), "file /etc"),
        (SecretFrom(file="/dev/zero"), "file /dev/zero"),
        (SecretFrom(store="unknown"), "secret unknown"),
    ],
)
async def test_a_value_that_is_not_to_be_had_is_denied_by_name(place: SecretFrom, said: str) -> None:
    found = secrets(credential("shop", token=place), EMPTY="")
    with pytest.raises(Denied) as denied:
        await found.credential("https://git.example.com/x")
    assert said in str(denied.value)
    assert "credential shop" in str(denied.value)


async def test_a_symlink_out_of_its_folder_is_not_read_but_a_mounted_secret_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("stolen")
    mounted = tmp_path / "mounted"
    (mounted / "..data").mkdir(parents=True)
    (mounted / "..data" / "token").write_text("mounted")
    (mounted / "token").symlink_to("..data/token")
    (mounted / "out").symlink_to("../elsewhere")
    os.mkfifo(mounted / "pipe")
    good = secrets(credential("c", token=SecretFrom(file=str(mounted / "token"))))
    assert await good.credential("https://git.example.com/x") == {"token": "mounted"}
    for name in ("out", "pipe"):
        bad = secrets(credential("c", token=SecretFrom(file=str(mounted / name))))
        with pytest.raises(Denied):
            await bad.credential("https://git.example.com/x")


async def test_a_file_that_is_too_large_or_no_text_is_denied(tmp_path: Path) -> None:
    for content in (b"x" * 70_000, b"\xff\xfe"):
        (tmp_path / "token").write_bytes(content)
        found = secrets(credential("c", token=SecretFrom(file=str(tmp_path / "token"))))
        with pytest.raises(Denied):
            await found.credential("https://git.example.com/x")


async def test_a_credential_that_is_named_goes_only_to_its_own_servers() -> None:
    found = secrets(
        credential("all", "https://10.0.0.1", token=SecretFrom(env="ALL")),
        credential("prod", "https://10.0.0.1:6443", certificate=SecretFrom(env="CERT"), key=SecretFrom(env="KEY")),
        ALL="a",
        CERT="c",
        KEY="k",
    )
    assert await found.named("prod", "https://10.0.0.1:6443") == {"certificate": "c", "key": "k"}
    with pytest.raises(
        Denied, match=r"prod is not sent to https://10\.0\.0\.2:6443: it is for https://10\.0\.0\.1:6443"
    ):
        await found.named("prod", "https://10.0.0.2:6443")
    with pytest.raises(Denied, match="there is no credential stage"):
        await found.named("stage", "https://10.0.0.1:6443")


async def test_a_provider_s_credential_is_what_it_is_declared_with_and_the_secrets_of_it() -> None:
    oidc = OidcSection("https://login", "kedge", SecretFrom(env="SECRET"), SecretFrom(store="login"), audience="prod")
    found = DeclaredSecrets(lambda: [credential("prod", oidc=oidc)], {"SECRET": "s\n"}, stored)
    assert await found.credential("https://git.example.com") == {
        "issuer": "https://login",
        "clientId": "kedge",
        "scopes": "openid",
        "audience": "prod",
        "use": "idToken",
        "caData": "",
        "clientSecret": "s",
        "refreshToken": "kept login",
        "refreshTokenStore": "login",
    }


async def stored(name: str) -> str | None:
    return f"kept {name}"
