"""Which repositories are talked to, and how a URL may look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.model.errors import Invalid
from kedge.sources.address import Allowed, parse

EVERYWHERE = Allowed(local=True, plain=True, loopback=True)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("https://git.example.com/shop/web.git", "https", "git.example.com", 443),
        ("https://git.example.com:8443/shop/web", "https", "git.example.com", 8443),
        ("ssh://git@git.example.com/shop/web.git", "ssh", "git.example.com", 22),
        ("ssh://git.example.com:2222/shop/web.git", "ssh", "git.example.com", 2222),
        ("git@git.example.com:shop/web.git", "ssh", "git.example.com", 22),
        ("https://[2001:db8::1]/x", "https", "2001:db8::1", 443),
        ("https://10.1.2.3/x", "https", "10.1.2.3", 443),
    ],
)
def test_https_and_ssh_are_understood(url: str, scheme: str, host: str, port: int) -> None:
    address = parse(url)
    assert (address.scheme, address.host, address.port, address.url) == (scheme, host, port, url)


@pytest.mark.parametrize("url", ["/srv/git/shop.git", "file:///srv/git/shop.git", "http://git.example.com/x"])
def test_local_paths_and_plain_http_are_only_for_who_allows_them(url: str) -> None:
    with pytest.raises(Invalid):
        parse(url)
    assert parse(url, EVERYWHERE).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-oProxyCommand=x",
        "--upload-pack=touch x",
        "ext::sh -c touch% /tmp/x",
        "ext::sh",
        "fd::17",
        "transport::https://x/y",
        "git://git.example.com/x",
        "ftp://git.example.com/x",
        "http+unix://x/y",
        "https://user:password@git.example.com/x",
        "https://token@git.example.com/x",
        "ssh://git:password@git.example.com/x",
        "ssh://-oProxyCommand=x/y",
        "ssh://-x@git.example.com/y",
        "git@-oProxyCommand=x:y",
        "-x@git.example.com:y",
        "git@git.example.com:-y",
        "https://git.example.com",
        "https://git.example.com/",
        "https:///x",
        "https://git.example.com/x?y=z",
        "https://git.example.com/x#y",
        "https://git.example.com:port/x",
        "https://git.example.com:99999/x",
        "https://git example.com/x",
        "https://git.example.com/x\ny",
        "https://git.example.com\\@evil/x",
        "file://elsewhere/x",
        "file:///srv/../etc",
        "../shop.git",
        "shop.git",
        "C:\\git",
        "https://169.254.169.254/latest",
        "ssh://[fe80::1]/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://0.0.0.0/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(url, Allowed(local=True, plain=True))
    assert "password@" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse(text, EVERYWHERE)
    except Invalid:
        return
    assert not address.url.startswith("-")
    assert not address.host.startswith("-")
