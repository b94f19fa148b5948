"""Plain manifests: which files are read, and what becomes of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kedge.model.declaration import DirectorySection
from kedge.model.errors import Invalid
from kedge.model.source import EntryKind, Read
from kedge.model.unit import RenderSpec
from kedge.renderers import plain


def config(name: str, **data: str) -> str:
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).decode()


def chosen(files: Any, folder: str, section: DirectorySection) -> list[str]:
    entries = files.entries(folder, recurse=section.recurse)
    return [entry.path for entry in plain.select(folder, section, entries)]


def test_only_manifests_of_the_folder_itself_are_read_by_default(repository: Any) -> None:
    files = repository(dict.fromkeys(["a/x.yaml", "a/y.yml", "a/z.json", "a/README.md", "a/b/c.yaml", "d.yaml"], "-"))
    assert chosen(files, "a", DirectorySection()) == ["a/x.yaml", "a/y.yml", "a/z.json"]
    assert chosen(files, "a", DirectorySection(recurse=True)) == ["a/b/c.yaml", "a/x.yaml", "a/y.yml", "a/z.json"]


def test_exclude_wins_over_include(repository: Any) -> None:
    files = repository(dict.fromkeys(["a/x.yaml", "a/y.yaml", "a/z.yaml"], "-"))
    section = DirectorySection(include="{x,y}.yaml", exclude="y.yaml")
    assert chosen(files, "a", section) == ["a/x.yaml"]


def test_kedges_own_declarations_are_no_manifests(repository: Any) -> None:
    files = repository(dict.fromkeys(["kedge.yaml", ".kedge/app.yaml", "web.yaml", "sub/kedge.yaml"], "-"))
    assert chosen(files, "", DirectorySection(recurse=True)) == ["sub/kedge.yaml", "web.yaml"]


def test_a_symlinked_manifest_is_refused_and_other_symlinks_are_left_alone(repository: Any, link: Any) -> None:
    with pytest.raises(Invalid, match="symbolic link"):
        chosen(repository({"a/x.yaml": link("../../etc/passwd")}), "a", DirectorySection())
    files = repository({"a/x.yaml": "-", "a/docs": link("/etc"), "a/LICENSE": link("../LICENSE")})
    assert chosen(files, "a", DirectorySection(recurse=True)) == ["a/x.yaml"]


def test_the_refusal_of_a_symlink_does_not_tell_whether_its_target_exists(repository: Any, link: Any) -> None:
    said = []
    for files in ({"a/x.yaml": link("../there")}, {"a/x.yaml": link("../there"), "there": "secret"}):
        with pytest.raises(Invalid) as error:
            chosen(repository(files), "a", DirectorySection())
        said.append(str(error.value))
    assert said[0] == said[1]


async def test_every_document_of_every_file_becomes_a_manifest(renderer: Any, repository: Any, unit: Any) -> None:
    files = repository(
        {"a/1.yaml": f"# first\n---\n{config('one')}\n---\n---\n{config('two')}\n", "a/2.json": config("three")}
    )
    desired = await renderer.render(files, unit("a"))
    assert [(m.ref.name, m.where.file, m.where.line, m.where.document) for m in desired.manifests] == [
        ("one", "a/1.yaml", 2, 1),
        ("two", "a/1.yaml", 5, 2),
        ("three", "a/2.json", 1, 1),
    ]
    assert desired.renderer == "test"


async def test_a_manifest_is_canonical_json_whatever_it_was_written_in(
    renderer: Any, repository: Any, unit: Any
) -> None:
    text = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a, annotations: {z: '<&>', b: ü}}\ndata:\n  k: |\n    x\n"
    (manifest,) = (await renderer.render(repository({"a.yaml": text}), unit())).manifests
    assert manifest.body.decode() == (
        '{"apiVersion":"v1","data":{"k":"x\\n"},"kind":"ConfigMap","metadata":{"annotations":{"b":"ü","z":"<&>"},"name":"a"}}'
    )
    assert manifest.annotations == (("b", "ü"), ("z", "<&>"))


async def test_lists_are_flattened_and_lend_their_items_what_these_leave_out(
    renderer: Any, repository: Any, unit: Any
) -> None:
    typed = "- apiVersion: v1\n  kind: ConfigMapList\n  items:\n  - metadata: {name: two}\n"
    text = f"apiVersion: v1\nkind: List\nitems:\n- {config('one')}\n{typed}"
    desired = await renderer.render(repository({"a.yaml": text}), unit())
    assert [str(m.ref) for m in desired.manifests] == ["ConfigMap one", "ConfigMap two"]


async def test_the_folder_and_each_file_are_in_the_log_of_questions(renderer: Any, repository: Any, unit: Any) -> None:
    files = repository({"a/1.yaml": config("one"), "a/README": "-"})
    desired = await renderer.render(files, unit("a"))
    assert desired.reads == (
        Read("a", files.entry("a").id, EntryKind.FOLDER),
        Read("a/1.yaml", files.entry("a/1.yaml").id, EntryKind.FILE),
    )


@pytest.mark.parametrize(
    ("text", "line", "document", "said"),
    [
        (f"{config('a')}\n---\n# c\na: [\n", 4, 2, "did not find expected"),
        ("apiVersion: v1\nkind: ConfigMap\nkind: Secret\n", 3, 1, "already set"),
        ("- a\n", 1, 1, "mapping"),
        ("just text\n", 1, 1, "mapping"),
        ("apiVersion: v1\nmetadata: {name: a}\n", 1, 1, "apiVersion and kind"),
        ("apiVersion: v1\nkind: ConfigMap\n", 1, 1, "no metadata"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", 1, 1, "no metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1e3}\n", 1, 1, "quotes"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: yes}}\n", 1, 1, "the label x"),
        ('{"apiVersion": "v1", "kind": "A", "kind": "B"}', 1, 1, "duplicate"),
        ("a: \xff\n", 0, 0, "UTF-8"),
    ],
)
async def test_a_broken_document_is_an_error_that_names_file_document_and_line(
    renderer: Any, repository: Any, unit: Any, text: str, line: int, document: int, said: str
) -> None:
    with pytest.raises(Invalid, match=said) as error:
        await renderer.render(repository({"x/bad.yaml": text.encode("latin-1")}), unit("x"))
    where = error.value.problems[0].where
    assert (where.file, where.line, where.document) == ("x/bad.yaml", line, document)


async def test_an_object_declared_twice_is_refused_naming_both_places(
    renderer: Any, repository: Any, unit: Any
) -> None:
    with pytest.raises(Invalid, match=r"b\.yaml.*declared twice: the first stands in a\.yaml"):
        await renderer.render(repository({"a.yaml": config("x"), "b.yaml": config("x", k="v")}), unit())


async def test_a_hook_without_a_name_keeps_its_generated_one(renderer: Any, repository: Any, unit: Any) -> None:
    text = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: before-}\n"
    desired = await renderer.render(repository({"a.yaml": f"{text}---\n{text}"}), unit())
    assert [(m.ref.name, m.generate_name) for m in desired.manifests] == [("", "before-")] * 2


async def test_an_empty_folder_of_manifests_is_an_empty_set_and_a_missing_one_an_error(
    renderer: Any, repository: Any, unit: Any
) -> None:
    files = repository({"a/README.md": "-"})
    assert (await renderer.render(files, unit("a"))).manifests == ()
    with pytest.raises(Invalid, match="no folder b at commit c0ffee0"):
        await renderer.render(files, unit("b"))


async def test_declared_globs_reach_the_render(renderer: Any, repository: Any, unit: Any) -> None:
    files = repository({"a/x/1.yaml": config("one"), "a/2.yaml": config("two")})
    spec = RenderSpec(directory=DirectorySection(recurse=True, exclude="x/*"))
    assert [m.ref.name for m in (await renderer.render(files, unit("a", spec))).manifests] == ["two"]


def test_what_says_how_sops_encrypts_is_no_manifest(repository: Any) -> None:
    files = repository({"a/.sops.yaml": "creation_rules: []", "a/x.yaml": "-", "a/b/.sops.yaml": "-"})
    assert chosen(files, "a", DirectorySection(recurse=True)) == ["a/x.yaml"]
