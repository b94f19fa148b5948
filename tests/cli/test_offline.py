import json

import pytest
import yaml
from tests.cli.calling import call

from kedge.cli.durations import seconds
from kedge.compose import built_worker
from kedge.model.errors import Unavailable

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: %s}\n"


@pytest.fixture
def worker():
    try:
        return built_worker()
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def root(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".kedge").mkdir()
    (tmp_path / "apps" / "web").mkdir(parents=True)
    (tmp_path / "apps" / "web" / "map.yaml").write_text(MAP % '"on"')
    (tmp_path / ".kedge" / "web.yaml").write_text(call("create", "app", "web").out)
    return tmp_path


def test_what_create_prints_is_what_check_accepts(root, worker):
    result = call("check", str(root))
    assert (result.code, result.out) == (0, "")
    assert "1 units, nothing wrong" in result.err


def test_check_names_file_line_and_nearest_field_and_is_exit_one(root):
    file = root / ".kedge" / "web.yaml"
    file.write_text(file.read_text().replace("source:", "sourze:"))
    result = call("check", "--no-render", str(root))
    assert result.code == 1
    assert ".kedge/web.yaml, line 7" in result.out
    assert "source" in result.out
    item = call("check", "--no-render", str(root), "-o", "json").json["items"][0]
    assert item["where"].startswith(".kedge/web.yaml")


def test_check_finds_a_path_that_is_not_there(root, worker):
    (root / "apps" / "web" / "map.yaml").unlink()
    (root / "apps" / "web").rmdir()
    result = call("check", str(root))
    assert result.code == 1
    assert "apps/web" in result.out


def test_one_broken_file_does_not_hide_its_neighbours(root):
    (root / ".kedge" / "broken.yaml").write_text("apiVersion: kedge.dev/v1alpha1\nkind: [")
    result = call("check", "--no-render", str(root), "-o", "json")
    assert result.code == 1
    assert result.json["units"] == ["default/web"]


def test_check_leaves_symlinks_alone(root, tmp_path):
    (root / ".kedge" / "link.yaml").symlink_to("/etc/passwd")
    assert call("check", "--no-render", str(root)).code == 0


def test_rendered_yaml_means_the_same_to_every_reader(root, worker):
    result = call("render", str(root / "apps" / "web"))
    assert result.code == 0, result.err
    assert 'mode: "on"' in result.out
    assert yaml.load(result.out, yaml.BaseLoader)["data"] == {"mode": "on"}
    assert json.loads(call("render", "-o", "json", str(root / "apps" / "web")).out)["items"][0]["kind"] == "ConfigMap"
    assert call("render", "-o", "name", str(root / "apps" / "web")).out == "ConfigMap settings\n"


def test_a_directory_that_does_not_render_is_exit_two_with_file_and_line(root, worker):
    (root / "apps" / "web" / "bad.yaml").write_text("kind: [")
    result = call("render", str(root / "apps" / "web"))
    assert (result.code, result.out) == (2, "")
    assert "bad.yaml" in result.err


def test_a_directory_that_yields_nothing_says_so(root, worker):
    (root / "docs").mkdir()
    result = call("render", str(root / "docs"))
    assert (result.code, result.out) == (0, "")
    assert "renders to nothing" in result.err


def test_two_directories_are_compared_field_by_field(root, worker):
    other = root / "apps" / "other"
    other.mkdir()
    (other / "map.yaml").write_text(MAP % '"off"')
    result = call("diff", str(root / "apps" / "web"), str(other))
    assert result.code == 1, result.err
    assert "data.mode" in result.out
    assert call("diff", str(root / "apps" / "web"), str(root / "apps" / "web")).code == 0


def test_a_secret_is_masked_in_a_comparison(root, worker):
    for name, value in (("a", "Y2FuYXJ5MQ=="), ("b", "Y2FuYXJ5Mg==")):
        (root / name).mkdir()
        text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{password: {value}}}\n"
        (root / name / "s.yaml").write_text(text)
    for form in ("table", "wide", "json", "yaml"):
        result = call("diff", str(root / "a"), str(root / "b"), "-o", form)
        assert result.code == 1
        assert "canary" not in result.out
        assert "Y2FuYXJ5" not in result.out


def test_values_and_set_reach_a_chart(root, worker, tmp_path):
    chart = root / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 0.1.0\n")
    (chart / "templates" / "m.yaml").write_text(MAP % '"{{ .Values.a.b }}{{ .Values.c }}{{ .Release.Name }}"')
    (tmp_path / "values.yaml").write_text("a: {b: one}\nc: two\n")
    result = call("render", str(chart), "-f", str(tmp_path / "values.yaml"), "--set", "a.b=three", "--name", "rel")
    assert result.code == 0, result.err
    assert "threetworel" in result.out


@pytest.mark.parametrize("kind", ["app", "Application", "root", "PROJECT", "cluster", "credential", ""])
def test_a_schema_is_printed_for_every_kind(kind):
    schema = json.loads(call("schema", kind).out)
    assert schema["$schema"]


def test_a_schema_accepts_what_create_prints_and_refuses_a_wrong_field():
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(call("schema", "app").out))
    made = yaml.load(call("create", "app", "shop/web", "--path", "x").out, yaml.CSafeLoader)
    assert list(validator.iter_errors(made)) == []
    made["spec"]["sourze"] = {}
    assert len(list(validator.iter_errors(made))) == 1


def test_create_refuses_a_name_that_can_not_be():
    result = call("create", "app", "Web_1")
    assert (result.code, result.out) == (2, "")
    assert "name" in result.err


@pytest.mark.parametrize(("text", "wanted"), [("5m", 300), ("90", 90), ("1h30m", 5400), ("2d", 172800), ("1.5s", 1.5)])
def test_durations_are_read_as_people_write_them(text, wanted):
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "m", "5 m", "-1s", "1w", "1e9", "5m5", "∞"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


def test_outside_of_any_repository_an_overlay_finds_its_base_and_errors_name_whole_paths(tmp_path, worker):
    # It was taken for leading out of the repository, though there was none.
    base, overlay = tmp_path / "base", tmp_path / "overlays" / "prod"
    for folder in (base, overlay):
        folder.mkdir(parents=True)
    (base / "kustomization.yaml").write_text("resources: [map.yaml]\n")
    (base / "map.yaml").write_text(MAP % '"on"')
    (overlay / "kustomization.yaml").write_text("namePrefix: prod-\nresources: [../../base]\n")
    assert call("render", "-o", "name", str(overlay)).out == "ConfigMap prod-settings\n"
    (base / "map.yaml").write_text("kind: [")
    refused = call("render", str(base.parent / "base"))
    assert refused.code == 2
    assert str(base) in refused.err
