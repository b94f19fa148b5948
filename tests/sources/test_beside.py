"""Charts that depend on others of the same repository, where nothing is fetched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kedge.model.errors import Invalid
from kedge.model.origin import Assembly, of_assembly
from kedge.model.source import SourceSpec
from kedge.ports import Snapshot
from kedge.sources.beside import LOCAL, put_together
from kedge.sources.folder import FolderSnapshot


def chart(name: str, *wanted: tuple[str, str]) -> str:
    listed = "".join(f"- {{name: {other}, version: 1.x, repository: '{url}'}}\n" for other, url in wanted)
    return f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n" + (f"dependencies:\n{listed}" if listed else "")


def written(folder: Path, **files: str) -> FolderSnapshot:
    for name, text in files.items():
        place = folder / name.replace("__", "/") / "Chart.yaml"
        place.parent.mkdir(parents=True)
        place.write_text(text)
    return FolderSnapshot(folder)


def with_neighbours(snapshot: Snapshot, folder: str) -> Snapshot:
    source = SourceSpec(LOCAL, of_assembly(Assembly("", folder, allow=("file://",))), folder)
    return asyncio.run(put_together(snapshot, source))


def paths(snapshot: FolderSnapshot, folder: str) -> list[str]:
    return [entry.path for entry in with_neighbours(snapshot, folder).entries(folder, recurse=True)]


def test_what_a_chart_depends_on_is_found_in_it_with_what_that_depends_on(tmp_path: Path) -> None:
    found = with_neighbours(
        written(
            tmp_path,
            apps__top=chart("top", ("base", "file://../../base")),
            base=chart("base", ("deep", "file://../deep")),
            deep=chart("deep"),
        ),
        "apps/top",
    )
    entries = found.entries("apps/top", recurse=True)
    assert [entry.path for entry in entries if entry.kind == "file"] == [
        "apps/top/Chart.yaml",
        "apps/top/charts/base/Chart.yaml",
        "apps/top/charts/base/charts/deep/Chart.yaml",
    ]
    assert [found.read(entry) for entry in entries if entry.path.endswith("deep/Chart.yaml")] == [
        chart("deep").encode()
    ]
    assert [entry.path for entry in found.entries("apps/top")] == ["apps/top/Chart.yaml", "apps/top/charts"]
    assert [entry.path for entry in found.entries("apps/top/charts")] == ["apps/top/charts/base"]
    assert [entry.path for entry in found.entries("")] == ["apps", "base", "deep"]
    assert found.entry("apps/top/charts/base/Chart.yaml") is not None
    assert found.entry("apps/top/charts/other") is None


def test_a_folder_is_another_one_when_what_is_put_into_it_is(tmp_path: Path) -> None:
    """What was rendered of a chart was taken for that of another commit, in which its neighbour had changed."""
    top = {"top": chart("top", ("base", "file://../base"))}
    one = with_neighbours(written(tmp_path / "one", **top, base=chart("base")), "top").entry("top")
    other = written(tmp_path / "other", **top, base=chart("base"))
    (tmp_path / "other" / "base" / "values.yaml").write_text("a: b\n")
    again = with_neighbours(other, "top").entry("top")
    assert one is not None
    assert again is not None
    assert one.id != again.id


def test_what_is_there_already_is_taken_as_it_is(tmp_path: Path) -> None:
    files = {"top": chart("top", ("base", "file://../base")), "base": chart("base")}
    plain = written(tmp_path, **files, top__charts__base=chart("base") + "description: mine\n")
    assert with_neighbours(plain, "top") is plain
    assert with_neighbours(plain, "base") is plain
    assert with_neighbours(plain, "") is plain


def test_a_chart_in_the_root_finds_its_neighbours(tmp_path: Path) -> None:
    snapshot = written(tmp_path, base=chart("base"))
    (tmp_path / "Chart.yaml").write_text(chart("top", ("base", "file://base")))
    assert "charts/base/Chart.yaml" in paths(snapshot, "")


def test_what_is_elsewhere_or_not_there_or_comes_round_again_is_told(tmp_path: Path) -> None:
    snapshot = written(
        tmp_path,
        far=chart("far", ("web", "https://charts.example.com")),
        lost=chart("lost", ("base", "file://../base")),
        out=chart("out", ("base", "file://../../base")),
        round=chart("round", ("round", "file://../round")),
    )
    for folder, sentence in (
        ("far", "web is at https://charts.example.com, and nothing is fetched"),
        ("lost", "there is no chart base"),
        ("out", "out of the repository"),
        ("round", "more than 5 deep"),
    ):
        with pytest.raises(Invalid, match=sentence):
            with_neighbours(snapshot, folder)
