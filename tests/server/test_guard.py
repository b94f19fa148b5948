import pytest
from tests.server.driver import TOKEN, Fakes, running, scope

from kedge.server.guard import BODY_LIMIT, host_name

SYNC = "/api/v1/units/shop/web/sync"


async def test_a_name_that_was_rebound_to_loopback_reaches_nothing():
    async with running(Fakes()) as client:
        for host in ("evil.example", "evil.example:7420", "127.0.0.1.evil.example", "[::1", ""):
            answer = await client.get("/healthz", headers={"host": host})
            assert (host, answer.status) == (host, 403)
        for host in ("localhost:7420", "127.0.0.1", "[::1]:7420", "LOCALHOST"):
            assert (await client.get("/healthz", headers={"host": host})).status == 200


async def test_a_page_of_another_site_can_not_ask():
    async with running(Fakes()) as client:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "http://[::1"):
            answer = await client.post(SYNC, headers={"origin": origin})
            assert (origin, answer.status) == (origin, 403)
        same = await client.post(SYNC, headers={"origin": "http://127.0.0.1:7420"})
        assert same.status == 404


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_a_body_that_is_not_json_is_not_read(media):
    async with running(Fakes()) as client:
        headers = {"content-type": media}
        assert (await client.ask("POST", SYNC, body=b"{}", headers=headers)).status == 415


async def test_an_announced_body_over_the_limit_is_refused_before_it_comes():
    async with running(Fakes()) as client:
        headers = {"content-type": "application/json", "content-length": str(BODY_LIMIT + 1)}
        assert (await client.ask("POST", SYNC, headers=headers)).status == 413


async def test_a_body_without_end_is_cut_off_at_the_limit():
    taken = 0

    async def endless():
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    async with running(Fakes()) as client:
        await client.app(scope("POST", SYNC, {"content-type": "application/json"}, TOKEN), endless, send)
    assert sent[0]["status"] == 413
    assert taken == BODY_LIMIT // 65536 + 1


async def test_every_answer_carries_the_security_headers():
    async with running(Fakes()) as client:
        for answer in (await client.get("/healthz"), await client.get("/nothing"), await client.get("/", token=None)):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("host", "name"), [("a:1", "a"), ("[::1]:80", "::1"), ("A", "a"), ("[", ""), ("", "")])
def test_a_host_is_told_without_its_port(host, name):
    assert host_name(host) == name
