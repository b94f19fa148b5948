"""Names in every Unicode shape: exact in the cluster, harmless on a terminal, and refused with their place."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.world import Said, World, standing

from kedge.kube.kubeconfig import Access
from kedge.model.dossier import Dossier
from kedge.model.errors import shown as seen
from kedge.model.fleet import UnitQuery

pytestmark = pytest.mark.e2e

TRICKY = {
    "right to left": "\u202egnp.exe\u202c \u200f\u05e9\u05dc\u05d5\u05dd\u2066x\u2069",
    "combining": "e\u0301 \u00e9 Z\u0351\u036b\u0343\u036a\u0302 \u1100\u1161\u11a8",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\u200d\u2620\ufe0f \U0001f1eb\U0001f1f7",
    "invisible": "a\u200bb\u2060c\ufeffd\u00ade\u3164",
    "terminal": "\u001b[2J\u001b]0;owned\u0007\u0008\u007f\u0085\u009b31m",
    "astral": "\U00010348\U0010fffd\ufdd0\uffff",
    "lines": "one\r\ntwo\u2028three\u2029four\n\nfive",
    "long": "ß" * 5_000,
}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


def harmless(said: Said) -> None:
    """Nothing that moves a cursor, changes a colour or turns the reading direction reaches a terminal."""
    for text in (said.out, said.err):
        bad = {c for c in text if c != "\n" and (unicodedata.category(c) in ("Cc", "Cs") or c in BIDI)}
        assert not bad, (sorted(map(hex, map(ord, bad))), text[:2000])


BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029"


async def shown(world: World) -> None:
    for words in (
        ("get",),
        ("get", "web"),
        ("diff", "web"),
        ("history", "web"),
        ("history", "web", "--events"),
        ("tree", "web"),
        ("get", "source"),
        ("get", "event"),
        ("trace", "ConfigMap/tricky", "-n", "web"),
    ):
        harmless(await world.kedge(*words))


async def test_values_of_every_shape_arrive_as_they_are_written_and_are_harmless_where_they_are_shown(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "tricky", "annotations": {"example.com/note": "".join(TRICKY.values())}},
            "data": {name.replace(" ", "-"): text for name, text in TRICKY.items()},
        }
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write({**folder_of("web", "hello"), "apps/web/tricky.json": json.dumps(body)})
        world.repository.git("config", "user.name", "x")
        await world.synced("shop/web", world.pushed(f"{TRICKY['terminal']} {TRICKY['right to left']}"))
        live = await world.call("GET", "/api/v1/namespaces/web/configmaps/tricky")
        assert live["data"] == body["data"]
        assert (
            live["metadata"]["annotations"]["example.com/note"] == body["metadata"]["annotations"]["example.com/note"]
        )
        await shown(world)
        changed = {**body, "data": {key: text + "!" for key, text in body["data"].items()}}
        world.repository.write({".kedge/web.yaml": application("web", "  sync: {auto: false}\n")})
        world.repository.write({"apps/web/tricky.json": json.dumps(changed)})
        commit = world.pushed("changed")
        await world.until("shop/web", lambda d: d.head.commit == commit and d.plan is not None)
        await shown(world)


FOLDERS = (
    "apps/\U0001f986 und Größe",
    "apps/\u202eevil\u200f",
    "apps/a\"b'c$(touch x)`;*?[!]{a,b}#%20&",
    "apps/e\u0301",
    "apps/" + "/".join(["ä" * 120] * 4),
)
BRANCH = "größe-\U0001f986-\u202eb"
AUTHOR = f"{TRICKY['right to left']} {TRICKY['emoji']}\u001b[31m <x@example.com>"


async def committed(world: World) -> None:
    """To both branches, by somebody whose name is a trick."""
    world.repository.git("add", "--all")
    world.repository.git("commit", "--quiet", "--message", TRICKY["terminal"], "--author", AUTHOR)
    world.repository.git("push", "--quiet", "--force", "origin", "HEAD:main", f"HEAD:refs/heads/{BRANCH}")
    world.hint()
    world.house.shift.push(lambda url: True, BRANCH)


async def test_folders_files_branches_and_authors_of_every_shape_work_and_are_harmless_where_they_are_shown(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT})
        for number, folder in enumerate(FOLDERS):
            source = json.dumps({"path": folder, "ref": BRANCH}, ensure_ascii=False)
            file = f"{folder}/{folder.rpartition('/')[2]}.yaml"
            unit = application(f"web{number}", source=source, namespace="default")
            world.repository.write({f".kedge/{number}.yaml": unit, file: config("hello", f"web{number}")})
        await committed(world)
        for number in range(len(FOLDERS)):
            await world.synced(f"shop/web{number}")
            assert await world.greeting("default", f"web{number}") == "hello"
        for folder in FOLDERS:
            world.repository.write(
                {f"{folder}/{folder.rpartition('/')[2]}.yaml": "kind: ConfigMap\nmetadata: {name: x\n"}
            )
        await committed(world)
        for number, folder in enumerate(FOLDERS):
            sick = await world.until(f"shop/web{number}", lambda d: d.trouble is not None)
            place = f"{folder}/{folder.rpartition('/')[2]}.yaml, line 2"
            assert seen(place) in sick.shown.why  # what turns the direction of a text around is in no error
            harmless(await world.kedge("get", f"web{number}"))
        for words in (("get",), ("get", "source"), ("get", "event"), ("get", "-o", "wide"), ("history", "web0")):
            harmless(await world.kedge(*words))


@pytest.mark.parametrize("path", ["apps/\u001b[31mred", "apps/two\nlines", "apps/back\\slash"])
async def test_a_path_with_a_control_character_is_refused_with_its_place(tmp_path: Path, path: str) -> None:
    async with standing(tmp_path) as world:
        source = json.dumps({"path": path})
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web", source=source)})
        world.pushed("begin")
        harmless(await world.kedge("get", "source"))
        said = await world.said("no control character", "get", "source")
        assert ".kedge/web.yaml, line 6, spec.source.path" in said


def written(**more: Any) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad", **more.pop("metadata", {})}, **more}
    return json.dumps(body, indent=1)


REFUSED = {
    "a key with a space": (written(data={"two words": "x"}), "data[two words]: Invalid value"),
    "a key in Unicode": (written(data={"gr\u00f6\u00dfe": "x"}), "a valid config key must consist of"),
    "a key that is too long": (written(data={"k" * 254: "x"}), "must be no more than 253"),
    "a name in Unicode": (written(metadata={"name": "\u202egnp"}), "a lowercase RFC 1123 subdomain must consist"),
    "a name that is too long": (written(metadata={"name": "n" * 254}), "must be no more than 253"),
    "a label in Unicode": (written(metadata={"labels": {"a": "\U0001f986"}}), "a valid label must be"),
    "a key of an annotation": (written(metadata={"annotations": {"\u202e/\u001b": "x"}}), "prefix part"),
    "a NUL": ('kind: ConfigMap\nmetadata: {name: bad}\ndata: {a: "x\x00y"}\n', "apps/web/bad.yaml, line"),
    "no UTF-8": ("kind: ConfigMap\nmetadata: {name: bad}\ndata: {a: \udcff}\n", "apps/web/bad.yaml is not UTF-8"),
}


async def test_names_that_kubernetes_refuses_are_told_before_anything_is_applied(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write(folder_of("web", "hello"))
        await world.synced("shop/web", world.pushed("begin"))
        world.repository.write({"apps/web/config.yaml": config("with it")})
        for shape, (text, sentence) in REFUSED.items():
            (world.repository.work / "apps/web/bad.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
            commit = world.pushed(shape)

            def told(dossier: Dossier, commit: str = commit, sentence: str = sentence) -> bool:
                return dossier.head.commit == commit and sentence in dossier.shown.why

            await world.until("shop/web", told)
            harmless(await world.kedge("get", "web"))
        assert await world.greeting("web") == "hello"
        assert [run.number for run in await world.house.doors.store.operations("shop/web")] == [1]


SHAPES = {
    "half a pair": "a\ud800b",
    "the other half": "\udfff",
    "NUL": "a\x00b",
    "right to left": "\u202egnp",
    "combining": "e\u0301",
    "one letter": "ß",
    "emoji": "\U0001f986",
    "digits of another script": "web\u0663",
    "wide letters": "\uff57\uff45\uff42",
    "a letter like another": "w\u0435b",
    "nothing to see": "a\u200bb",
    "two lines": "a\nb",
    "a terminal": "\x1b[2J",
    "a space": "a b",
    "upwards": "../up",
    "an option": "-x",
    "too long": "x" * 254,
    "far too long": "x" * 5_000,
}
UNWRITABLE = {
    **dict.fromkeys(("half a pair", "the other half"), "found invalid Unicode character escape code"),
    "NUL": "a text holds a NUL or half a character",
}
"""Those that are not even read, and so have no place but their file."""
PLACES = {
    "metadata.name": ("metadata", "name"),
    "metadata.project": ("metadata", "project"),
    "spec.target.namespace": ("spec", "target", "namespace"),
    "spec.target.cluster": ("spec", "target", "cluster"),
    "spec.after[0]": ("spec", "after"),
}


def declared(place: tuple[str, ...], value: str) -> str:
    """An application with a value of that shape, as JSON, whose escapes can write what no UTF-8 can."""
    found: dict[str, Any] = {
        "apiVersion": "kedge.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "bad", "project": "shop"},
        "spec": {"source": {"path": "apps/web"}, "target": {"namespace": "bad"}},
    }
    inner = found
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = [value] if place[-1] == "after" else value
    return json.dumps(found, ensure_ascii=any(0xD800 <= ord(letter) < 0xE000 for letter in value))


@pytest.mark.parametrize("where", PLACES)
async def test_names_in_declarations_of_every_shape_are_refused_with_their_place(tmp_path: Path, where: str) -> None:
    async with standing(tmp_path) as world:
        files = {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "hello")}
        world.repository.write(files)
        await world.synced("shop/web", world.pushed("begin"))
        for number, value in enumerate(SHAPES.values()):
            world.repository.write({f".kedge/bad{number}.yaml": declared(PLACES[where], value)})
        world.repository.write(folder_of("web", "meanwhile"))
        await world.synced("shop/web", world.pushed("every shape"))
        assert await world.greeting("web") == "meanwhile"
        (root,) = [state for state in await world.house.doors.store.roots() if state.problems]
        told = {problem.where.file: f"{problem.where.path} {problem.text}" for problem in root.problems}
        for number, shape in enumerate(SHAPES):
            sentence = UNWRITABLE.get(shape, where)
            assert sentence in told.get(f".kedge/bad{number}.yaml", ""), (shape, told)
        assert [row.name for row in (await world.house.doors.store.units(UnitQuery())).items] == ["shop/web"]
        for words in (("get",), ("get", "source"), ("get", "event"), ("get", "source", "-o", "json")):
            harmless(await world.kedge(*words))
        for number in range(len(SHAPES)):
            world.repository.write({f".kedge/bad{number}.yaml": None})
        world.pushed("mend")
        await world.whole()


HALVES = {
    "a key of a map": ({"data": {"x\udfff": "y"}}, "a valid config key must consist of"),
    "a name": ({"metadata": {"name": "\ud83e"}}, "a lowercase RFC 1123 subdomain must consist"),
    "a label": ({"metadata": {"name": "bad", "labels": {"a": "\udd86\ud83e"}}}, "a valid label must be"),
}


async def test_halves_of_characters_are_read_as_kubectl_reads_them_and_are_no_names(
    tmp_path: Path, access: Access | None
) -> None:
    """Only an escape can write one; no UTF-8 holds it, and so no cluster: each becomes the sign for what is none."""
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        half = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "half"}, "data": {"a": "x\ud800y"}}
        world.repository.write({**folder_of("web", "hello"), "apps/web/half.json": json.dumps(half)})
        await world.synced("shop/web", world.pushed("begin"))
        assert (await world.call("GET", "/api/v1/namespaces/web/configmaps/half"))["data"] == {"a": "x\ufffdy"}
        world.repository.write({"apps/web/config.yaml": config("with it")})
        for shape, (part, sentence) in HALVES.items():
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}, **part}
            world.repository.write({"apps/web/bad.json": json.dumps(body)})
            commit = world.pushed(shape)

            def told(dossier: Dossier, commit: str = commit, sentence: str = sentence) -> bool:
                return dossier.head.commit == commit and sentence in dossier.shown.why

            await world.until("shop/web", told)
            harmless(await world.kedge("get", "web"))
            harmless(await world.kedge("diff", "web"))
        assert await world.greeting("web") == "hello"
