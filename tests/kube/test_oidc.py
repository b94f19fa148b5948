"""Tokens from an OpenID Connect provider: asked for in time, kept while they last, and nothing of the secrets told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.parts.provider import Provider, providing

from kedge.certificate import server_context
from kedge.kube.oidc import LONGEST, Grant, Providers
from kedge.model.errors import Denied, Invalid, KedgeError, Unavailable


class Clock:
    def __init__(self) -> None:
        self.passed = 0.0
        self.jumped = 0.0

    def now(self) -> float:
        return time.time() + self.passed + self.jumped

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@asynccontextmanager
async def served(folder: Path, **how: Any) -> AsyncIterator[tuple[Provider, Grant]]:
    """A provider, and a grant of the client's own secret."""
    context, authority = server_context(folder, time.time())
    async with providing(Provider(**how), context) as provider:
        yield provider, Grant(provider.issuer, provider.client, provider.secret, ca=authority.decode())


async def refused(grant: Grant) -> KedgeError:
    with pytest.raises(KedgeError) as caught:
        await Providers(Clock()).token(grant)
    for secret in (grant.secret, grant.refresh, grant.assertion):
        assert not secret or secret not in f"{caught.value} {caught.value!r} {caught.value.problems!r}"
    return caught.value


async def test_a_client_shows_its_secret_and_is_given_a_token(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        token = await Providers(Clock()).token(replace(grant, audience="a cluster"))
        assert token == provider.issued[1]
        (form,) = provider.asked
        basic = base64.b64encode(b"kubernetes:s3cret%2Fwith%2Bsigns").decode()
        assert form == {
            "grant_type": "client_credentials",
            "scope": "openid",
            "audience": "a cluster",
            "authorization": f"Basic {basic}",
        }
        assert await Providers(Clock()).token(replace(grant, use="access_token")) == provider.issued[2]


async def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        await Providers(Clock()).token(grant)
        assert (provider.asked[0]["client_secret"], provider.asked[0]["authorization"]) == (grant.secret, "")


async def test_an_assertion_stands_for_a_secret(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        providers = Providers(Clock())
        first = await providers.token(replace(grant, secret="", assertion="signed.by.somebody"))
        asked = provider.asked[0]
        assert (asked["client_assertion"], asked["client_id"]) == ("signed.by.somebody", provider.client)
        assert asked["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        # The file was renewed: what we have lasts all the same.
        assert await providers.token(replace(grant, secret="", assertion="signed.once.more")) == first


async def test_a_token_is_asked_for_again_when_two_thirds_of_its_time_are_over(tmp_path: Path) -> None:
    async with served(tmp_path, lasting=600) as (provider, grant):
        clock = Clock()
        providers = Providers(clock)
        first = await providers.token(grant)
        clock.passed = 399.0
        assert await providers.token(grant) == first
        clock.passed = 401.0
        second = await providers.token(grant)
        assert second != first
        assert len(provider.asked) == 2


async def test_a_token_that_the_cluster_refuses_is_replaced_at_once_and_not_more_often_than_every_fifteen_seconds(
    tmp_path: Path,
) -> None:
    """A revoked one was shown until two thirds of its time were over."""
    async with served(tmp_path, lasting=3600) as (provider, grant):
        clock = Clock()
        providers = Providers(clock)
        first = await providers.token(grant)
        clock.passed = 60.0
        second = await providers.token(grant, first)
        assert second != first
        assert await providers.token(grant, first) == second
        for passed, asked in ((61.0, 2), (74.0, 2), (76.0, 3), (80.0, 3)):
            clock.passed = passed
            latest = await providers.token(grant, provider.issued[1] if passed < 76 else provider.issued[-1])
            assert (len(provider.asked), latest) == (asked, provider.issued[-1])
        provider.answer = lambda: web.json_response({"error": "temporarily_unavailable"}, status=503)
        clock.passed = 100.0
        assert await providers.token(grant, latest) == latest
        assert await providers.token(grant, latest) == latest
        assert len(provider.asked) == 4


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_clock_that_jumps_neither_ends_a_token_nor_keeps_it(tmp_path: Path, jump: float) -> None:
    async with served(tmp_path, lasting=600) as (_, grant):
        clock = Clock()
        providers = Providers(clock)
        first = await providers.token(grant)
        clock.jumped = jump
        clock.passed = 399.0
        assert await providers.token(grant) == first
        clock.passed = 401.0
        assert await providers.token(grant) != first


async def test_a_provider_that_is_away_costs_nothing_while_the_token_lasts(tmp_path: Path) -> None:
    async with served(tmp_path, lasting=600) as (provider, grant):
        clock = Clock()
        providers = Providers(clock)
        first = await providers.token(grant)
        provider.answer = lambda: web.json_response({"error": "temporarily_unavailable"}, status=503)
        clock.passed = 500.0
        assert await providers.token(grant) == first
        assert await providers.token(grant) == first
        assert len(provider.asked) == 2, "asked once, and then left alone for a while"
        clock.passed = 601.0
        with pytest.raises(Denied, match=r"the last token is over, and there is no other: .*temporarily_unavailable"):
            await providers.token(grant)
        provider.answer = None
        clock.passed = 617.0
        assert await providers.token(grant) == provider.issued[-1]


async def test_a_refresh_token_that_is_replaced_at_each_use_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path, rotating=True) as (provider, grant):
        clock, kept = Clock(), []

        async def keep(name: str, value: str) -> None:
            kept.append((name, value))

        grant = replace(grant, secret="", refresh="refresh-0", kept="prod-login")
        providers = Providers(clock, keep)
        first = await providers.token(grant)
        assert kept == [("prod-login", "refresh-1")]
        # As it is read from the store from now on: no other token is asked for.
        assert await providers.token(replace(grant, refresh="refresh-1")) == first
        clock.passed = 450.0
        assert await providers.token(replace(grant, refresh="refresh-1")) != first
        assert [form["refresh_token"] for form in provider.asked] == ["refresh-0", "refresh-1"]
        assert kept[-1] == ("prod-login", "refresh-2")


async def test_a_refresh_token_that_is_over_is_told_and_another_one_tried_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        providers, grant = Providers(Clock()), replace(grant, secret="", refresh="an-old-one")
        with pytest.raises(Denied, match=r"invalid_grant\n  .*log in anew and store the new one"):
            await providers.token(grant)
        assert await providers.token(replace(grant, refresh="refresh-0")) == provider.issued[-1]


async def test_a_providers_words_are_shown_without_what_we_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        text = f"secret {grant.secret} is wrong\x1b[31m" + "x" * 1000
        provider.answer = lambda: web.json_response({"error": "invalid_client", "error_description": text}, status=401)
        error = await refused(grant)
        assert isinstance(error, Denied)
        assert "gives the client kubernetes no token: invalid_client: secret … is wrong[31mx" in str(error)
        assert len(str(error)) < 700


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"issuer": "https://evil.example.com"}, "says that it is https://evil.example.com"),
        ({"token_endpoint": "http://127.0.0.1:1/token"}, "names no token endpoint that begins with https://"),
        ({"token_endpoint": "https://user:word@127.0.0.1/token"}, "names no token endpoint"),
        ({"token_endpoint": 7}, "names no token endpoint"),
        ({"token_endpoint": "https://169.254.169.254/token"}, "gives no answer: .*169.254.169.254"),
    ],
)
async def test_a_provider_that_leads_elsewhere_is_not_followed(
    tmp_path: Path, document: dict[str, Any], sentence: str
) -> None:
    async with served(tmp_path) as (provider, grant):
        provider.document = document
        error = await refused(grant)
        assert isinstance(error, Invalid | Unavailable)
        with pytest.raises(KedgeError, match=sentence):
            raise error
        assert provider.asked == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (web.Response(status=302, headers={"location": "https://127.0.0.1:1/"}), "HTTP 302.*\n.*does not follow"),
        (web.Response(text="<html>"), "answers without an id_token"),
        (web.Response(text="[]"), "answers without an id_token"),
        (web.json_response({"access_token": "x"}), "without an id_token\n  .*use: accessToken"),
        (web.json_response({"id_token": "a b"}), "that is no token"),
        (web.json_response({"id_token": "a\r\nhost: evil"}), "that is no token"),
        (web.json_response({"id_token": "x" * (LONGEST + 1)}), "that is no token"),
        (web.Response(body=b"x" * 300_000), "more than the 262144 allowed|bytes"),
    ],
)
async def test_an_answer_that_is_no_token_is_told(tmp_path: Path, answer: web.Response, sentence: str) -> None:
    async with served(tmp_path) as (provider, grant):
        provider.answer = lambda: answer
        error = await refused(grant)
        with pytest.raises(KedgeError, match=f"(?s){sentence}"):
            raise error


async def test_a_provider_of_an_authority_that_we_do_not_trust_is_told_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        error = await refused(replace(grant, ca=""))
        assert isinstance(error, Unavailable)
        assert "certificate" in str(error)
        assert provider.asked == []


async def test_a_token_that_says_nothing_of_its_end_is_not_kept_for_long(tmp_path: Path) -> None:
    async with served(tmp_path) as (provider, grant):
        provider.answer = lambda: web.Response(text=json.dumps({"access_token": "opaque", "expires_in": 30}))
        clock = Clock()
        providers = Providers(clock)
        grant = replace(grant, use="access_token")
        assert await providers.token(grant) == "opaque"
        clock.passed = 21.0
        assert await providers.token(grant) == "opaque"
        assert len(provider.asked) == 2


def test_a_grant_shows_none_of_its_secrets() -> None:
    assert "hidden" not in repr(Grant("https://login", "kedge", "hidden1", "hidden2", "hidden3"))
