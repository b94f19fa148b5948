"""A name as people write it → the full name of one unit."""

from __future__ import annotations

from difflib import get_close_matches

from kedge.cli.client import Server
from kedge.model.errors import Invalid
from kedge.model.ref import UnitName


def resolve(server: Server, text: str) -> str:
    """`project/name[@environment]` as it stands; a bare `name[@environment]` where just one unit has it.

    Raises Invalid for a name that no unit or more than one has, or that cannot be a name.
    """
    if "/" in text:
        return _full(text)
    _full(f"any/{text}")
    rows = server.get("/api/v1/units", text=text.partition("@")[0], limit=1000)["items"]
    known = [str(row["name"]) for row in rows]
    found = [name for name in known if name.partition("/")[2] == text]
    if not found:
        found = [name for name in known if name.partition("/")[2].partition("@")[0] == text]
    if len(found) == 1:
        return found[0]
    if found:
        raise Invalid(f"“{text}” may be any of {', '.join(found[:5])}", hint=f"write it in full: {found[0]}")
    raise Invalid(f"there is no unit “{text}”", hint=_nearest(server, text))


def _full(text: str) -> str:
    try:
        return str(UnitName.parse(text))
    except ValueError as error:
        raise Invalid(str(error)) from None


def _nearest(server: Server, text: str) -> str:
    known = [str(row["name"]) for row in server.get("/api/v1/units", limit=1000)["items"]]
    near = get_close_matches(text, [name.partition("/")[2] for name in known], 1)
    whole = next((name for name in known if near and name.partition("/")[2] == near[0]), "")
    return f"the nearest is {whole}" if whole else "kedge get lists them"
