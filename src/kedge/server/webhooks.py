"""Pushes announced by forges: a hint to look, once its signature is right. Off until a secret is set."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from kedge.dialects.webhooks import receive
from kedge.server import answers
from kedge.server.answers import answer
from kedge.server.problems import Absent
from kedge.server.reading import desk_of

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.post("/push", response_model=answers.Pushed)
async def push(request: Request) -> Response:
    """A push of GitHub, GitLab, Gitea, or the generic signed form. The signature is checked before the body is read."""
    desk = desk_of(request)
    if not desk.webhook_secret:
        raise Absent("webhooks are off here", hint="set KEDGE_WEBHOOK_SECRET where the server runs")
    pushed = receive(dict(request.headers), await request.body(), desk.webhook_secret)
    return answer(answers.Pushed(await desk.push(pushed) if pushed is not None else 0))
