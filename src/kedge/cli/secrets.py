"""Secrets go to the server's store from stdin: not from an argument, where others on the machine would see them."""

from __future__ import annotations

import sys
from urllib.parse import quote

import click

from kedge.cli.client import Server
from kedge.cli.views.human import say
from kedge.model.errors import Invalid
from kedge.model.ref import is_name

LARGEST = 64 * 1024


def keep(server: Server, name: str) -> None:
    """Raises Invalid for what is no name, and for a value that is empty, too long or no text."""
    path = _path(name)
    server.put(path, {"value": _value()})
    say(f"secret {name} is kept; a Credential names it as {{store: {name}}}")


def forget(server: Server, name: str) -> None:
    server.delete(_path(name))
    say(f"secret {name} is deleted")


def _path(name: str) -> str:
    if not is_name(name):
        raise Invalid(f"“{name}” is not a secret's name", hint="small letters, digits and dashes: forge-token")
    return f"/api/v1/secrets/{quote(name, safe='')}"


def _value() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True))
    raw = sys.stdin.buffer.read(LARGEST + 1)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("the secret on stdin is not UTF-8 text", hint="base64 keeps binary data") from None
    if not text.strip() or len(raw) > LARGEST:
        raise Invalid(f"a secret of 1 to {LARGEST} bytes is wanted on stdin", hint="kedge create secret NAME < FILE")
    return text
