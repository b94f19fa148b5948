import hmac
import json
from hashlib import sha256

from tests.server.driver import Fakes, running

SECRET = "a-shared-secret"
BODY = json.dumps({"repository": "https://git.example.com/shop.git", "ref": "refs/heads/main"}).encode()


def signed(body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, sha256).hexdigest()
    return {"content-type": "application/json", "x-kedge-signature": f"sha256={digest}"}


async def test_without_a_secret_there_is_no_webhook():
    async with running(Fakes()) as client:
        answer = await client.ask("POST", "/webhooks/push", body=BODY, headers=signed(), token=None)
    assert answer.status == 404


async def test_a_signed_push_is_handed_on_under_whatever_name_the_forge_knows_us_by():
    fakes = Fakes(secret=SECRET)
    async with running(fakes) as client:
        headers = {**signed(), "host": "kedge.example.com"}
        answer = await client.ask("POST", "/webhooks/push", body=BODY, headers=headers, token=None)
    assert (answer.status, answer.json) == (200, {"checked": 1})
    assert fakes.pushes[0].ref == "refs/heads/main"


async def test_a_body_is_not_looked_into_before_its_signature_fits():
    fakes = Fakes(secret=SECRET)
    async with running(fakes) as client:
        for headers in (signed(secret="another-secret"), {"content-type": "application/json"}):
            answer = await client.ask("POST", "/webhooks/push", body=b"{broken", headers=headers, token=None)
            assert answer.status in (403, 422)
            assert b"JSON" not in answer.body
    assert fakes.pushes == []


async def test_a_signed_body_that_makes_no_sense_is_a_problem_and_no_crash():
    async with running(Fakes(secret=SECRET)) as client:
        for body in (b"{broken", b"[]", b'{"ref": 5}', b"[" * 50_000):
            answer = await client.ask("POST", "/webhooks/push", body=body, headers=signed(body), token=None)
            assert answer.status == 422
