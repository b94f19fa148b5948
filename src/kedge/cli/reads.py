"""What `kedge get` asks for each kind, and which view writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedge.cli.client import Server, unit_path
from kedge.cli.exits import Exit
from kedge.cli.names import resolve
from kedge.cli.views import fleet, objects, unit
from kedge.cli.views.machine import Output
from kedge.model.errors import Invalid

_PAGE = 1000
Read = Callable[[Server, str, Mapping[str, Any], Output], None]


def pages(server: Server, limit: int, **query: Any) -> dict[str, Any]:
    """The fleet up to `limit` rows, page by page; the first page's envelope with all items."""
    whole = server.get("/api/v1/units", limit=min(limit, _PAGE), **query)
    more = whole.get("next", "")
    while more and len(whole["items"]) < limit:
        page = server.get("/api/v1/units", limit=min(limit - len(whole["items"]), _PAGE), after=more, **query)
        whole["items"] += page["items"]
        more = page.get("next", "")
    whole["next"] = more
    return whole


def _filters(given: Mapping[str, Any]) -> dict[str, Any]:
    filters = {key: given.get(key, "") for key in ("project", "health", "sync", "cluster", "text")}
    return {**filters, "label": list(given.get("label", ()))}


def one_unit(server: Server, name: str, output: Output) -> int:
    """One unit; the exit code says how it stands only for `wait`, so it is 0 here."""
    answer = server.get(unit_path(name))
    if output.for_people:
        unit.summary(answer["unit"], wide=output.wide)
        fleet.problems(answer.get("problems", ()))
    else:
        output.write(answer, [name])
    return Exit.OK


def _units(server: Server, given: Mapping[str, Any], output: Output, kind: str) -> None:
    answer = pages(server, int(given.get("limit", _PAGE)), kind=kind, **_filters(given))
    if output.for_people:
        fleet.apps(answer, wide=output.wide)
    else:
        output.write(answer, [str(row["name"]) for row in answer["items"]])


def _sources(server: Server, name: str, given: Mapping[str, Any], output: Output) -> None:
    answer = server.get("/api/v1/sources")
    roots = server.get("/api/v1/roots")["items"]
    answer["items"] = [row for row in answer["items"] if not name or name in row["repository"]]
    if output.for_people:
        fleet.sources(answer["items"], roots, wide=output.wide)
    else:
        output.write({**answer, "roots": roots}, [f"{row['repository']} {row['ref']}" for row in answer["items"]])


def _runs(server: Server, name: str, given: Mapping[str, Any], output: Output) -> None:
    if not name:
        raise Invalid("runs are an application's: name it", hint="kedge get run NAME")
    full = resolve(server, name)
    answer = server.get(f"{unit_path(full)}/operations", limit=min(200, int(given.get("limit", 50))))
    if output.for_people:
        unit.runs(answer["items"], wide=output.wide)
    else:
        output.write(answer, [str(run["number"]) for run in answer["items"]])


def _events(server: Server, name: str, given: Mapping[str, Any], output: Output) -> None:
    wanted = resolve(server, name) if name else ""
    answer = server.get("/api/v1/events", unit=wanted, limit=min(500, int(given.get("limit", 100))))
    if output.for_people:
        fleet.events(answer["items"], wide=output.wide)
    else:
        output.write(answer, [str(event["id"]) for event in answer["items"]])


def cluster_events(server: Server, kind: str, name: str, output: Output) -> int:
    """What Kubernetes says of an application's objects and their children, newest last. Raises Invalid."""
    if kind != "event" or not name:
        raise Invalid("--objects is for the events of one application", hint="kedge get event NAME --objects")
    answer = server.get(f"{unit_path(resolve(server, name))}/cluster-events")
    if output.for_people:
        objects.events(answer, wide=output.wide)
    else:
        output.write(answer, [f"{event['object']} {event['reason']}" for event in answer["items"]])
    return Exit.OK


def _clusters(server: Server, name: str, given: Mapping[str, Any], output: Output) -> None:
    answer = server.get("/api/v1/clusters")
    answer["items"] = [row for row in answer["items"] if name in ("", row["name"])]
    if output.for_people:
        fleet.clusters(answer["items"])
    else:
        output.write(answer, [row["name"] for row in answer["items"]])


def _projects(server: Server, name: str, given: Mapping[str, Any], output: Output) -> None:
    """Projects that have units, with how their units stand."""
    found: dict[str, dict[str, int]] = {}
    for row in pages(server, 100_000, project=name)["items"]:
        count = found.setdefault(row["project"], {"units": 0, "healthy": 0, "synced": 0})
        count["units"] += 1
        count["healthy"] += row["health"] == "Healthy"
        count["synced"] += row["sync"] == "Synced"
    items = [{"name": project, **count} for project, count in sorted(found.items())]
    if output.for_people:
        fleet.projects(items)
    else:
        output.write({"items": items}, [str(item["name"]) for item in items])


def _secrets(server: Server, name: str, given: Mapping[str, Any], output: Output) -> None:
    """Names of kept secrets; their values never leave the server."""
    answer = server.get("/api/v1/secrets")
    answer["items"] = [found for found in answer["items"] if name in ("", found)]
    if output.for_people:
        fleet.secrets(answer["items"])
    else:
        output.write(answer, answer["items"])


READS: dict[str, Read] = {
    "unit": lambda server, name, given, output: _units(server, given, output, ""),
    "app": lambda server, name, given, output: _units(server, given, output, "app"),
    "stack": lambda server, name, given, output: _units(server, given, output, "stack"),
    "source": _sources,
    "run": _runs,
    "event": _events,
    "cluster": _clusters,
    "project": _projects,
    "secret": _secrets,
}
