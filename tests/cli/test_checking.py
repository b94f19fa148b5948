"""`kedge check`: which units are rendered where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedge.cli.checking import check
from kedge.compose import built_worker
from kedge.model.errors import Invalid, Unavailable

HEAD = "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  source: "


@pytest.mark.parametrize(
    "source",
    [
        "{repository: 'https://charts.example.com', chart: web, version: 1.x}",
        "{path: web, others: [{name: values, repository: 'https://git.example.com/v'}]}",
        "{path: web, allow: ['https://charts.example.com']}",
    ],
)
def test_a_unit_that_is_put_together_of_other_sources_is_left_to_the_server(tmp_path: Path, source: str) -> None:
    (tmp_path / ".kedge").mkdir()
    (tmp_path / ".kedge" / "web.yaml").write_text(HEAD + source + "\n")
    found = check(tmp_path, render=False)
    assert found.elsewhere == ("default/web",)


PROJECT = "apiVersion: kedge.dev/v1alpha1\nkind: Project\nmetadata: {name: shop}\nspec: {sources: [https://git.example.com/*]}\n"
ROOT = (
    "apiVersion: kedge.dev/v1alpha1\nkind: Root\nmetadata: {{name: {name}}}\n"
    "spec: {{repository: '{url}', projects: [shop]}}\n"
)
BASE = (
    "apiVersion: kedge.dev/v1alpha1\nkind: Application\n"
    "metadata: {name: base, project: shop}\nspec: {source: {path: base}}\n"
)
WEB = BASE.replace("base", "web").replace("}}", "}, after: [app/base]}")


def roots(folder: Path, *, url: str = "https://git.example.com/team") -> tuple[Path, Path]:
    """An admin root and another that it names, each in a folder."""
    admin, team = folder / "admin" / ".kedge", folder / "team" / ".kedge"
    admin.mkdir(parents=True)
    team.mkdir(parents=True)
    (admin / "shop.yaml").write_text(f"{PROJECT}---\n{ROOT.format(name='team', url=url)}---\n{BASE}")
    (team / "web.yaml").write_text(WEB)
    return admin.parent, team.parent


def test_what_hangs_on_a_value_that_only_a_server_knows_is_no_problem(tmp_path: Path) -> None:
    """The chart refuses whatever is not the value, and the check said so of the declaration."""
    try:
        built_worker()
    except Unavailable as error:
        pytest.skip(str(error))
    spec = "inputs: {host: {from: app/base, output: host}}, helm: {values: {host: {$input: host}}}"
    web = BASE.replace("base", "web").replace("}}", f"}}, {spec}}}")
    picky = '{{ if ne .Values.host "db.local" }}{{ fail "not there" }}{{ end }}'
    files = {
        ".kedge/shop.yaml": f"{PROJECT}---\n{BASE}---\n{web}",
        "base/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\n",
        "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "web/templates/c.yaml": f"{picky}\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert check(tmp_path).problems == ()


def test_a_further_root_is_checked_by_what_the_admin_root_says(tmp_path: Path) -> None:
    """Its project and what its units come after are declared in another repository: nothing of it could be checked."""
    admin, team = roots(tmp_path)
    assert check(admin, render=False).clean
    (alone,) = check(team, render=False).problems
    assert (alone.text, "--admin" in alone.hint) == ("there is no project “shop”", True)
    found = check(team, render=False, admin=admin)
    assert (found.clean, [str(unit.name) for unit in found.units]) == (True, ["shop/web"])
    (team / ".kedge" / "shop.yaml").write_text(PROJECT)
    assert "only the admin root declares Projects" in check(team, render=False, admin=admin).problems[0].text


def test_the_project_of_a_further_root_has_to_allow_where_it_is_kept(tmp_path: Path) -> None:
    admin, team = roots(tmp_path, url="https://elsewhere.example.com/team")
    (problem,) = check(team, render=False, admin=admin).problems
    assert "does not allow the repository https://elsewhere.example.com/team" in problem.text


def test_which_root_is_checked_is_asked_where_there_are_several(tmp_path: Path) -> None:
    admin, team = roots(tmp_path)
    (admin / ".kedge" / "other.yaml").write_text(ROOT.format(name="other", url="https://git.example.com/other"))
    with pytest.raises(Invalid, match="declares other, team"):
        check(team, render=False, admin=admin)
    assert check(team, render=False, admin=admin, root="team").clean
    (admin / ".kedge" / "bad.yaml").write_text("apiVersion: kedge.dev/v1alpha1\nkind: Nothing\n")
    with pytest.raises(Invalid) as told:
        check(team, render=False, admin=admin, root="team")
    assert "the admin root has problems itself" in str(told.value)
