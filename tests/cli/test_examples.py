"""The example applications of Argo CD and Flux offline: checked, rendered and compared without server or cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.sources.packing import chart

from .calling import call

SHARED = Path(os.environ.get("KEDGE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
ARGO, FLUX = SHARED / "cases" / "example-apps", SHARED / "cases" / "flux-example"
OURS = Path(__file__).resolve().parents[1] / "cases" / "examples"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ARGO.exists() and FLUX.exists()), reason="the shared examples are not here"),
]

EXAMPLES = {
    "apps": (14, "apps/values.yaml", "targetRevision: master", "targetRevision: main"),
    "blue-green": (3, "blue-green/values.yaml", "tag: v5", "tag: v6"),
    "guestbook": (2, "guestbook/guestbook-ui-deployment.yaml", "replicas: 1", "replicas: 2"),
    "helm-dependency": (1, "helm-dependency/values.yaml", "wordpressPassword: foo", "greeting: welcome"),
    "helm-guestbook": (2, "helm-guestbook/values.yaml", "replicaCount: 1", "replicaCount: 2"),
    "helm-hooks": (5, "helm-hooks/manifests.yaml", "replicas: 1", "replicas: 2"),
    "jsonnet-guestbook": (2, "jsonnet-guestbook/params.libsonnet", "replicas: 1", "replicas: 2"),
    "jsonnet-guestbook-tla": (2, "jsonnet-guestbook-tla/guestbook-ui.jsonnet", "replicas=1", "replicas=2"),
    "kustomize-guestbook": (2, "kustomize-guestbook/guestbook-ui-deployment.yaml", "replicas: 1", "replicas: 2"),
    "pre-post-sync": (4, "kustomize-guestbook/guestbook-ui-deployment.yaml", "replicas: 1", "replicas: 2"),
    "sock-shop": (29, "sock-shop/base/front-end-dep.yaml", "replicas: 1", "replicas: 2"),
    "sync-waves": (7, "sync-waves/manifests.yaml", "replicas: 1", "replicas: 2"),
}
"""How many objects each has, and a change of one of its files."""


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Mona", "-c", "user.email=mona@example.com")
    env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["git", *identity, *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def clone(folder: Path, upstream: Path, ours: Path) -> Path:
    """As a user has it: the upstream files with the declarations beside them."""
    shutil.copytree(upstream, folder, copy_function=shutil.copyfile)
    shutil.copytree(ours, folder, dirs_exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "begin")
    return folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the dependency where `helm dependency build` puts it, and a second commit that changes every example."""
    folder = clone(tmp_path_factory.mktemp("offline") / "examples", ARGO, OURS / "argocd")
    charts = folder / "helm-dependency" / "charts"
    charts.mkdir()
    (charts / "wordpress-9.0.3.tgz").write_bytes(chart("wordpress", "9.0.3"))
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "its dependency")
    for _, file, before, after in EXAMPLES.values():
        text = (folder / file).read_text()
        assert before in text or after in text, file
        (folder / file).write_text(text.replace(before, after))
    git(folder, "commit", "--quiet", "--all", "--message", "change every example")
    return folder


def test_what_the_examples_declare_is_sound(examples: Path) -> None:
    system = OURS / "system"
    assert call("check", str(system)).code == 0
    found = call("check", str(examples), "--admin", str(system))
    assert (found.code, found.out) == (0, ""), found.out
    assert "14 units, nothing wrong" in found.err


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_rendered_and_compared_offline(examples: Path, name: str) -> None:
    declared = ("--declared", str(examples / ".kedge" / f"{name}.yaml"))
    objects, _, _, after = EXAMPLES[name]
    found = call("render", str(examples / name), *declared, "-o", "name")
    assert (found.code, len(found.out.splitlines())) == (0, objects), found.err
    same = call("diff", "--from", "HEAD", str(examples / name), *declared)
    assert same.code == 0, same.out
    moved = call("diff", "--from", "HEAD~1", "--to", "HEAD", str(examples / name), *declared)
    assert moved.code == 1, moved.err
    assert moved.out.startswith(f"offline/{name} "), moved.out
    assert after.replace("=", ": ").rpartition(": ")[2] in moved.out.partition("→")[2], moved.out


def test_a_chart_that_depends_on_another_of_the_repository_is_rendered_and_compared_offline(examples: Path) -> None:
    words = (str(examples / "plugins/kustomized-helm"), "--declared", str(examples / ".kedge/kustomized-helm.yaml"))
    found = call("render", *words, "-o", "name")
    name = "kustomize-release-name-helm-guestbook"
    assert found.out.splitlines() == [f"Service {name}", f"apps/Deployment {name}"], found.err
    moved = call("diff", "--from", "HEAD~1", "--to", "HEAD", *words)
    assert "spec.replicas  1 → 2" in moved.out, moved.err


def test_what_a_plugin_did_to_the_guestbook_is_a_patch(examples: Path) -> None:
    declared = str(examples / ".kedge" / "kasane.yaml")
    found = call("render", str(examples / "guestbook"), "--declared", declared, "-o", "json")
    (replicas,) = [each["spec"]["replicas"] for each in found.json["items"] if each["kind"] == "Deployment"]
    assert replicas == 2


def test_a_dependency_that_is_not_there_is_told_with_what_allows_it(tmp_path: Path) -> None:
    folder = clone(tmp_path / "examples", ARGO, OURS / "argocd")
    found = call("render", str(folder / "helm-dependency"))
    assert found.code == 2
    assert "missing in charts/ directory: wordpress" in found.err
    assert "source.allow" in found.err
    assert "helm dependency build" in found.err


def test_what_is_declared_of_the_clusters_of_flux_is_sound(tmp_path: Path) -> None:
    folder = clone(tmp_path / "flux", FLUX, OURS / "flux")
    found = call("check", str(folder))
    assert (found.code, found.out) == (0, ""), found.out
    assert "12 units, nothing wrong" in found.err
    declared = ("--declared", str(folder / ".kedge" / "infrastructure.yaml"), "--unit")
    for environment, server in (("staging", "acme-staging-v02"), ("production", "acme-v02")):
        found = call("render", str(folder / "infrastructure/configs"), *declared, f"infra-configs@{environment}")
        assert f"https://{server}.api.letsencrypt.org" in found.out, found.err
    names = call(
        "render", str(folder / "infrastructure/controllers"), *declared, "infra-namespaces@staging", "-o", "name"
    )
    assert names.out.splitlines() == ["Namespace cert-manager", "Namespace envoy-gateway-system"]
