"""The pool: deadlines, deaths, cancellation and what is sent twice."""

from __future__ import annotations

import asyncio
import resource
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from kedge import process
from kedge.model.declaration import HelmSection
from kedge.model.errors import Invalid, Unavailable
from kedge.model.unit import RenderSpec
from kedge.renderers import worker as workers
from kedge.renderers.frames import Decoder, Frame, FrameKind, encode
from kedge.renderers.questions import Call
from kedge.renderers.render import WorkerRenderer, request
from kedge.renderers.worker import Died, Limits, Pool, Refused

HELM = RenderSpec(helm=HelmSection())
GOOD = {"g/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}


def chart(template: str) -> dict[str, str]:
    head = "apiVersion: v2\nname: demo\nversion: 0.1.0\n"
    return {"c/Chart.yaml": head, "c/templates/t.yaml": template, **GOOD}


ENDLESS = {
    "a range that never ends": "{{ range until 1000000000 }}x{{ end }}",
    "loops in loops": "{{ range until 9999 }}{{ range until 9999 }}{{ range until 9999 }}{{ end }}{{ end }}{{ end }}",
    "tpl that calls itself": '{{ define "l" }}{{ tpl "{{ include \\"l\\" . }}" . }}{{ end }}{{ include "l" . }}',
    "memory": '{{ repeat 2000000000 "xxxxxxxxxx" | len }}',
    "doubling": '{{ $x := "xxxxxxxxxxxxxxxx" }}{{ range until 60 }}{{ $x = printf "%s%s" $x $x }}{{ end }}',
}


@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS.keys())
async def test_a_template_that_never_ends_is_ended_and_the_next_render_is_served(
    impatient: Pool, repository: Any, unit: Any, template: str
) -> None:
    renderer = WorkerRenderer(impatient, "test")
    files = repository(chart(template))
    with pytest.raises((Unavailable, Invalid)):
        await renderer.render(files, unit("c", HELM))
    impatient.limits = Limits()
    assert len((await renderer.render(files, unit("g"))).manifests) == 1


async def test_an_input_that_kills_twice_is_refused_until_it_changes(
    impatient: Pool, repository: Any, unit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = WorkerRenderer(impatient, "test")
    files = repository(chart("{{ range until 1000000000 }}x{{ end }}"))
    with pytest.raises(Died):
        await renderer.render(files, unit("c", HELM))
    with pytest.raises(Invalid, match=r"^c: .*not tried again until it changes") as told:
        await renderer.render(files, unit("c", HELM))
    assert "goroutine" not in str(told.value)
    asked = len(files.read_paths)
    with pytest.raises(Invalid, match="not tried again"):
        await renderer.render(files, unit("c", HELM))
    assert len(files.read_paths) == asked
    impatient.limits = Limits()
    mended = repository(chart("{{ range until 3 }}{{ end }}"))
    assert (await renderer.render(mended, unit("c", HELM))).manifests == ()


async def test_a_cancelled_render_takes_its_child_with_it(worker: str, repository: Any, unit: Any) -> None:
    spawned: list[process.Child] = []
    born = asyncio.Event()

    async def spawn(*args: Any, **kwargs: Any) -> process.Child:
        spawned.append(await process.spawn(*args, **kwargs))
        born.set()
        return spawned[-1]

    pool = Pool(worker, spawn, size=1)
    files = repository(chart("{{ range until 1000000000 }}x{{ end }}"))
    rendering = asyncio.get_running_loop().create_task(WorkerRenderer(pool, "test").render(files, unit("c", HELM)))
    await born.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await rendering
    await spawned[0].gone()
    assert not spawned[0].alive
    assert len((await WorkerRenderer(pool, "test").render(files, unit("g"))).manifests) == 1
    assert len(spawned) == 2
    await pool.close()


async def test_a_file_is_sent_once_however_often_it_is_rendered(pool: Pool, repository: Any, unit: Any) -> None:
    files = repository(GOOD)
    for _ in range(3):
        await pool.call(request(files, unit("g")), files)
    assert files.read_paths == ["g/a.yaml"]


async def test_a_file_that_the_child_has_forgotten_is_asked_for_again(worker: str, repository: Any, unit: Any) -> None:
    pool = Pool(worker, process.spawn, size=1)
    big = {f"f{n}/a.yaml": "# " + f"{n}" * (9 << 20) + f"\n{GOOD['g/a.yaml']}" for n in range(9)}
    files = repository(big)
    for name in ["f0", *(f"f{n}" for n in range(1, 9)), "f0"]:
        assert len((await pool.call(request(files, unit(name)), files)).objects) == 1
    assert files.read_paths.count("f0/a.yaml") == 2
    assert files.read_paths.count("f8/a.yaml") == 1
    await pool.close()


async def test_a_child_is_replaced_after_its_share_of_requests(worker: str, repository: Any, unit: Any) -> None:
    started = 0

    async def spawn(*args: Any, **kwargs: Any) -> process.Child:
        nonlocal started
        started += 1
        return await process.spawn(*args, **kwargs)

    pool = Pool(worker, spawn, size=1, limits=Limits(recycle=2))
    files = repository(GOOD)
    for _ in range(5):
        await pool.call(request(files, unit("g")), files)
    await pool.close()
    assert started == 3


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(object=40), "an object may have 40"),
        (Limits(objects=1), "larger than 1 objects"),
        (Limits(total=100), "100 bytes"),
        (Limits(file=20), "larger than a render may read"),
        (Limits(read=90), "larger than a render may read"),
    ],
)
async def test_a_result_or_an_input_over_its_bound_is_refused(
    worker: str, repository: Any, unit: Any, limits: Limits, said: str
) -> None:
    pool = Pool(worker, process.spawn, size=1, limits=limits)
    files = repository({**GOOD, "g/b.yaml": GOOD["g/a.yaml"].replace("name: a", "name: b")})
    with pytest.raises(Invalid, match=said):
        await pool.call(request(files, unit("g")), files)
    await pool.close()


async def test_a_missing_worker_is_unavailable_and_says_so() -> None:
    with pytest.raises(Unavailable, match="/nonexistent/worker can not be run"):
        await Pool("/nonexistent/worker", process.spawn).versions()


async def test_the_versions_of_the_libraries_are_told(pool: Pool) -> None:
    versions = await pool.versions()
    assert versions["helm.sh/helm/v4"] == "v4.2.4"
    assert versions["sigs.k8s.io/kustomize/api"].startswith("v0.21")


class Scripted:
    """A child that answers the request with given frames, then ends."""

    def __init__(self, answers: list[Frame | bytes]) -> None:
        self.answers = answers
        self.alive = True
        self.last_words = ""
        self.killed = False
        self.heard: list[Frame] = []
        self._decoder = Decoder()

    def write(self, data: bytes) -> None:
        self.heard += self._decoder.feed(data)

    async def read(self) -> bytes:
        if not self.answers:
            return b""
        answer = self.answers.pop(0)
        return answer if isinstance(answer, bytes) else encode(answer)

    def kill(self) -> None:
        self.killed, self.alive = True, False

    reaped = True

    async def gone(self) -> None: ...


HELLO = Frame(0, FrameKind.HELLO, {"versions": {}})
HEADER = {"apiVersion": "v1", "kind": "A", "name": "a"}
BODY = b'{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}'
OBJECT = Frame(1, FrameKind.OBJECT, HEADER, BODY)
LOOK = Frame(1, FrameKind.ASK, {"ask": "look", "path": "g"})
READ = Frame(1, FrameKind.ASK, {"ask": "read", "path": "g/a.yaml"})


@pytest.fixture
def scripted(repository: Any) -> Callable[[list[Frame | bytes]], Any]:
    def make(answers: list[Frame | bytes]) -> Any:
        child = Scripted([HELLO, *answers])

        async def spawn(*args: Any, **kwargs: Any) -> Scripted:
            return child

        limits = Limits(objects=2, total=200, read=200, file=100, questions=20)
        return child, Pool("worker", spawn, limits=limits), repository(GOOD)

    return make


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [b"\xff" * 40],
        [Frame(7, FrameKind.DONE, {})],
        [Frame(1, FrameKind.HELLO, {})],
        [OBJECT, OBJECT, OBJECT],
        [Frame(1, FrameKind.OBJECT, HEADER, BODY.replace(b"}}", b',"x":"' + b"x" * 200 + b'"}}'))],
        [LOOK] * 30,
        [READ] * 10,
        [Frame(1, FrameKind.ASK, {"ask": "read"})],
        [Frame(1, FrameKind.ASK, {"ask": "read", "path": ["g"]})],
        [Frame(1, FrameKind.OBJECT, {**HEADER, "name": "b"}, BODY)],
        [Frame(1, FrameKind.OBJECT, {**HEADER, "namespace": "kube-system"}, BODY)],
        [Frame(1, FrameKind.OBJECT, {**HEADER, "kind": "Role"}, BODY)],
        [Frame(1, FrameKind.OBJECT, {**HEADER, "annotations": {"kedge.dev/hook": "x"}}, BODY)],
        [Frame(1, FrameKind.OBJECT, {"kind": "A", "name": "a"}, BODY)],
        [Frame(1, FrameKind.OBJECT, {**HEADER, "line": "1"}, BODY)],
        [Frame(1, FrameKind.OBJECT, HEADER, b"not JSON")],
        [Frame(1, FrameKind.OBJECT, HEADER, b"[]")],
        [Frame(1, FrameKind.OBJECT, HEADER, b'{"apiVersion":"v1","kind":"A","metadata":[]}')],
        [Frame(1, FrameKind.DONE, {"reads": {"a": {"kind": "nothing", "id": "x"}}})],
        [Frame(1, FrameKind.DONE, {"reads": ["a"]})],
        [Frame(1, FrameKind.DONE, {"warnings": 1})],
        [Frame(1, FrameKind.ERROR, {"error": ["a"]})],
        [Frame(1, FrameKind.ERROR, {"error": {"what": "x", "line": "first"}})],
        [b"\x07\xff\xff\xff" + bytes(3) + b"\x01\x05" + b"\x03\x00\x00\x00"],
    ],
    ids=[
        "ends",
        "noise",
        "another request",
        "another frame",
        "too many",
        "too much",
        "questions without end",
        "more files than it may read",
        "a question about nothing",
        "a question about a list",
        "an object of another name",
        "an object of another namespace",
        "an object of another kind",
        "an object with other annotations",
        "an object without a version",
        "an object on a line that is none",
        "an object that is no JSON",
        "an object that is a list",
        "an object whose metadata are a list",
        "a log of things that are not",
        "a log that is none",
        "notes that are none",
        "an error that is none",
        "an error on a line that is none",
        "a header of 50 MB",
    ],
)
async def test_a_child_that_goes_astray_is_ended(
    scripted: Callable[[list[Frame | bytes]], Any], answers: list[Frame | bytes]
) -> None:
    child, pool, files = scripted(answers)
    with pytest.raises(Died):
        await pool.call(Call("plain", {}), files)
    assert child.killed


async def test_questions_are_answered_from_the_snapshot(scripted: Callable[[list[Frame | bytes]], Any]) -> None:
    asks = [("look", "g"), ("read", "g/a.yaml"), ("look", "nope"), ("read", "../x")]
    frames: list[Frame | bytes] = [Frame(1, FrameKind.ASK, {"ask": ask, "path": path}) for ask, path in asks]
    child, pool, files = scripted([*frames, Frame(1, FrameKind.DONE, {})])
    await pool.call(Call("kustomize", {}), files)
    folder, file, absent, climbing = child.heard[1:]
    assert folder.header["entries"] == {"a.yaml": {"kind": "file", "id": files.entry("g/a.yaml").id}}
    assert file.raw.decode() == GOOD["g/a.yaml"]
    assert absent.header == climbing.header == {"kind": "", "id": ""}


def test_a_worker_gets_no_paths_no_credentials_and_no_way_out() -> None:
    environment = workers.confined(2 << 30)
    assert environment["HOME"] == "/nonexistent"
    assert environment["PATH"] == ""
    assert environment["GOMEMLIMIT"] == "1024MiB"
    assert all(value.startswith("http://127.0.0.1:") for key, value in environment.items() if "PROXY" in key.upper())


async def test_what_a_child_says_is_bounded_before_it_is_kept(
    scripted: Callable[[list[Frame | bytes]], Any],
) -> None:
    error = {"what": "\x1b[31m" + "x" * 5_000_000, "path": "p" * 5_000_000}
    _, pool, files = scripted([Frame(1, FrameKind.ERROR, {"error": error})])
    with pytest.raises(Refused) as told:
        await pool.call(Call("plain", {}), files)
    assert len(str(told.value)) < 10_000
    assert "\x1b" not in str(told.value)
    _, pool, files = scripted([Frame(1, FrameKind.DONE, {"warnings": ["w" * 20_000] * 1_000})])
    assert sum(map(len, (await pool.call(Call("plain", {}), files)).warnings)) < 1_000_000


@pytest.mark.parametrize("program", ["/bin/sh -c 'cat /dev/zero'", "/bin/sh -c 'cat /dev/zero >&2'"])
async def test_a_child_that_floods_costs_no_memory(program: str, unit: Any, repository: Any) -> None:
    async def spawn(_: Any, **kwargs: Any) -> process.Child:
        return await process.spawn(shlex.split(program), **{**kwargs, "env": {"PATH": "/bin:/usr/bin"}})

    pool = Pool("worker", spawn, limits=Limits(deadline=0.5))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unavailable):
        await pool.call(request(repository(GOOD), unit("g")), repository(GOOD))
    await pool.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
