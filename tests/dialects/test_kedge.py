"""Kedge's own kinds: what people write, and what they are told when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kedge.dialects.kedge import Reading, laid_over, read
from kedge.model.declaration import (
    AllowedTarget,
    Application,
    ApproveSection,
    Cluster,
    Credential,
    Heal,
    HelmSection,
    KustomizeSection,
    OnRemove,
    Project,
    Root,
    SecretFrom,
    Stack,
    TargetSection,
    When,
)

HEAD = "apiVersion: kedge.dev/v1alpha1\n"
OIDC = f"{HEAD}kind: Credential\nmetadata: {{name: c}}\nspec: {{prefix: 'https://x', oidc: "


def told(text: str) -> list[str]:
    return [str(problem) for problem in read(text.encode(), "a.yaml").problems]


def application(spec: str, metadata: str = "{name: web, project: shop}") -> Reading:
    return read(f"{HEAD}kind: Application\nmetadata: {metadata}\nspec: {spec}\n".encode(), "a.yaml")


def only(reading: Reading) -> Any:
    assert [str(problem) for problem in reading.problems] == []
    (declaration,) = reading.declarations
    return declaration


FULL = """apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {name: web, project: shop, labels: {tier: front, area: "1"}}
spec:
  source: {path: apps/web}
  helm: {values: {db: {host: local, port: 5432}}}
  after: [app/ingress]
  sync: {auto: true, prune: true, heal: never, timeout: 1h30m}
  onRemove: ask
  environments:
    staging: {target: {cluster: stg, namespace: web}}
    prod:
      target: {cluster: prod, namespace: web}
      helm: {valuesFiles: [prod.yaml], values: {db: {host: remote}}}
      approve: {when: always, by: ["group:sre"], count: 2}
"""


def test_an_application_is_read_with_each_environment_laid_over_it() -> None:
    web = only(read(FULL.encode(), "a.yaml"))
    assert (web.project, web.name, web.labels) == ("shop", "web", (("area", "1"), ("tier", "front")))
    assert (web.spec.sync.heal, web.spec.sync.timeout, web.spec.onRemove) == (Heal.NEVER, 5400.0, OnRemove.ASK)
    assert [name for name, _ in web.spec.environments] == ["prod", "staging"]
    prod = dict(web.spec.environments)["prod"]
    assert prod.target == TargetSection("prod", "web")
    assert prod.helm == HelmSection(valuesFiles=("prod.yaml",), values={"db": {"host": "remote", "port": 5432}})
    assert prod.approve == ApproveSection(When.ALWAYS, ("group:sre",), 2)
    assert (prod.source.path, prod.sync.timeout, prod.after) == ("apps/web", 5400.0, ("app/ingress",))
    assert web.spec.helm.values == {"db": {"host": "local", "port": 5432}}


def test_everything_has_a_cautious_default() -> None:
    web = only(application("{}", "{name: web}"))
    assert web == Application("web", "default", where=web.where)
    assert str(web.where) == "a.yaml, line 1"


def test_a_section_with_nothing_in_it_is_declared() -> None:
    assert only(application("{kustomize: }")).spec.kustomize == KustomizeSection()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Root\nmetadata: {name: r}\nspec: {repository: 'https://x/y', projects: [shop]}", Root),
        ("kind: Project\nmetadata: {name: p}\nspec: {targets: [{namespace: 'a-*'}], approve: {count: 2}}", Project),
        ("kind: Cluster\nmetadata: {name: c}\nspec: {server: 'https://10.0.0.1', credential: k}", Cluster),
        ("kind: Cluster\nmetadata: {name: c}\nspec: {inCluster: true}", Cluster),
        ("kind: Cluster\nmetadata: {name: c}\nspec: {server: 'http://127.0.0.1:8001'}", Cluster),
        ("kind: Project\nmetadata: {name: p}\nspec: {serviceAccount: team/deployer.v1}", Project),
        ("kind: Credential\nmetadata: {name: k}\nspec: {prefix: 'https://x', token: {env: T}}", Credential),
        ("kind: Credential\nmetadata: {name: k}\nspec: {prefix: 'https://x', kubeconfig: {store: K}}", Credential),
    ],
)
def test_the_other_kinds_are_read(text: str, expected: type) -> None:
    assert isinstance(only(read((HEAD + text).encode())), expected)


def test_sections_in_lists_and_options_are_read_deeply() -> None:
    text = "kind: Project\nmetadata: {name: p}\nspec: {targets: [{namespace: 'a-*'}], approve: {count: 2}}"
    project = only(read((HEAD + text).encode()))
    assert project.targets == (AllowedTarget("*", "a-*"),)
    assert project.approve == ApproveSection(count=2)
    text = (
        "kind: Credential\nmetadata: {name: k}\nspec: {prefix: 'ssh://x', sshKey: {file: /k}, knownHosts: {store: h}}"
    )
    found = only(read((HEAD + text).encode()))
    assert (found.sshKey, found.knownHosts) == (SecretFrom(file="/k"), SecretFrom(store="h"))


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec: {}",
        "include: ['**']",
        "just a text",
        "- a\n- list",
        "apiVersion: 5",
        "apiVersion: kedge.dev.evil/v1\nkind: Application",
    ],
)
def test_what_is_not_ours_is_left_alone(text: str) -> None:
    assert read(text.encode()) == Reading()


def test_every_problem_is_told_with_its_place_and_the_nearest_name() -> None:
    text = HEAD + (
        "kind: Application\nmetadata: {nam: web, name: Web}\nspec:\n"
        "  sync: {heel: never, heal: alway}\n  source:\n    path: ../x\n  sorce: {}\n"
    )
    assert told(text) == [
        "a.yaml, line 3, metadata.nam: there is no field “nam”\n  did you mean “name”?",
        "a.yaml, line 3, metadata.name: “Web”: a name has lower-case letters, digits and dashes, "
        "begins and ends with a letter or digit, at most 63",
        "a.yaml, line 5, spec.sync.heal: one of always, never is wanted, not the text “alway”\n"
        "  did you mean “always”?",
        "a.yaml, line 5, spec.sync.heel: there is no field “heel”\n  did you mean “heal”?",
        "a.yaml, line 7, spec.source.path: “../x”: a path does not lead out of the repository, nor into .git",
        "a.yaml, line 8, spec.sorce: there is no field “sorce”\n  did you mean “source”?",
    ]


def test_a_broken_document_hides_none_of_its_neighbours() -> None:
    good = f"{HEAD}kind: Application\nmetadata: {{name: NAME}}\n"
    text = "---\n".join([good.replace("NAME", "one"), "a: [\n", f"{HEAD}kind: Nonsense\n", good.replace("NAME", "two")])
    reading = read(text.encode(), "a.yaml")
    assert [declaration.name for declaration in reading.declarations] == ["one", "two"]
    assert [problem.where.document for problem in reading.problems] == [2, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("apiVersion: kedge.dev/v1\nkind: Application", "no version “kedge.dev/v1”"),
        ("kind: Application\nspec: {}", "apiVersion is missing"),
        ("kind: Aplication\nmetadata: {name: web}", "apiVersion is missing"),
        (HEAD + "kind: Aplication", "did you mean “Application”?"),
        (HEAD + "kind: application", "did you mean “Application”?"),
        (HEAD + "kind: 5", "a kind is wanted"),
        (HEAD + "kind: Cluster\nspec: {}", "metadata with a name"),
        (HEAD + "kind: Cluster\nmetadata: {name: c, project: p}", "no field “project”"),
        (HEAD + "kind: Cluster\nmetadata: {name: 5}", "a name is wanted, not the number 5"),
        (HEAD + "kind: Root\nmetadata: {name: r}\nspec: {repository: x, kinds: [Projct]}", "did you mean “Project”?"),
        (HEAD + "kind: Root\nmetadata: {name: r}", "a repository is wanted"),
        (HEAD + "kind: Credential\nmetadata: {name: c}\nspec: {prefix: git.example.com}", "with its scheme"),
        (HEAD + "kind: Credential\nmetadata: {name: c}\nspec: {prefix: 'https://x', token: {}}", "exactly one of env"),
        (HEAD + "kind: Credential\nmetadata: {name: c}\nspec: {prefix: 'https://u:p@x'}", "no user or password"),
        (HEAD + "kind: Credential\nmetadata: {name: c}\nspec: {prefix: 'https://x', key: {env: K}}", "two secrets"),
        (OIDC + "{clientId: k, clientSecret: {env: S}}}", "issuer is wanted"),
        (OIDC + "{issuer: 'https://l', clientSecret: {env: S}}}", "clientId is wanted"),
        (OIDC + "{issuer: 'http://l', clientId: k, clientSecret: {env: S}}}", "for loopback only"),
        (OIDC + "{issuer: 'https://l', clientId: k}}", "something has to say who Kedge is"),
        (OIDC + "{issuer: 'https://l', clientId: k, refreshToken: {}}}", "exactly one of env"),
        (OIDC + "{issuer: 'https://l', clientId: k, clientSecret: {env: S}, assertion: {file: /f}}}", "not both"),
        (HEAD + "kind: Cluster\nmetadata: {name: c}\nspec: {server: 'http://10.0.0.1'}", "for loopback only"),
        (HEAD + "kind: Cluster\nmetadata: {name: c}\nspec: {server: 'http://localhost.evil.com'}", "for loopback"),
        (HEAD + "kind: Cluster\nmetadata: {name: c}\nspec: {server: 'https://mona:s3cret@x'}", "no user or password"),
        (HEAD + "kind: Cluster\nmetadata: {name: c}\nspec: {server: 'https://x?a=b'}", "no query"),
        (HEAD + "kind: Cluster\nmetadata: {name: c}\nspec: {server: 'https://x', inCluster: true}", "without server"),
        (HEAD + "kind: Project\nmetadata: {name: p}\nspec: {serviceAccount: deployer}", "write NAMESPACE/NAME"),
        (HEAD + "kind: Project\nmetadata: {name: p}\nspec: {serviceAccount: 'a/b:c'}", "write NAMESPACE/NAME"),
    ],
)
def test_what_a_document_is_has_to_be_clear(text: str, said: str) -> None:
    (problem,) = told(text)
    assert said in problem
    assert "u:p" not in said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{source: {path: /etc}}", "without a slash"),
        ("{source: {path: 'a\\b'}}", "no backslash"),
        ("{source: {path: 'a/.git/config'}}", ".git"),
        ('{source: {path: "a\\u0001b"}}', "no control character"),
        ("{source: {repository: 'https://mona:geheim@x/y'}}", "Credential"),
        ("{source: {repository: 'ext::sh -c x'}}", "repository"),
        ("{source: {ref: '--upload-pack=x'}}", "a ref is"),
        ("{source: {ref: 1.10}}", "put quotes around it"),
        ("{target: {namespace: Web_1}}", "a name has"),
        ("{target: }\n  x", "it is not YAML"),
        ("{sync: {timeout: 5}}", "a duration such as"),
        ("{sync: {timeout: 0s}}", "a duration such as"),
        ("{sync: {timeout: 5x}}", "a duration such as"),
        ("{sync: {auto: 'true'}}", "true or false is wanted, not the text “true”"),
        ("{sync: []}", "a mapping is wanted, not a list"),
        ("[]", "a mapping is wanted, not a list"),
        ("{after: app/x}", "a list is wanted"),
        ("{after: [pod/x]}", "app/NAME or stack/NAME"),
        ("{helm: {}, kustomize: {}}", "at most one of"),
        ("{helm: {values: []}}", "a mapping is wanted"),
        ("{helm: {releaseName: " + "a" * 54 + "}}", "53"),
        ("{approve: {by: [sre]}}", "group:NAME"),
        ("{approve: {count: 0}}", "at least 1"),
        ("{approve: {count: true}}", "whole number"),
        ("{inputs: {a: {from: stack/db}}}", "`from` and `output`"),
        ("{inputs: {a: {from: db, output: x}}}", "app/NAME or stack/NAME"),
        ("{inputs: {a: {from: stack/db, output: x, type: text}}}", "one of any, string"),
        ("{outputs: {a: {object: Service/web}}}", "`object` and `path`"),
        ("{outputs: {a: {object: web, path: x}}}", "Kind/name"),
        ("{substitute: {variables: {a: {b: c}}}}", "a variable is a text"),
        ("{environments: []}", "a mapping of names"),
        ("{environments: {Prod: {}}}", "a name has"),
        ("{environments: {prod: 5}}", "a mapping is wanted"),
        ("{environments: {prod: {environments: {}}}}", "no field “environments”"),
        ("{environments: {prod: {sync: {heel: x}}}}", "spec.environments.prod.sync.heel"),
    ],
)
def test_what_a_field_holds_has_to_fit(spec: str, said: str) -> None:
    reading = application(spec)
    assert reading.declarations == ()
    assert said in "\n".join(map(str, reading.problems))


@pytest.mark.parametrize(
    "url", ["https://mona:geheim@x/y", "https://geheim@x/y", "ssh://git:geheim@x/y", "https://mona:ge/heim@x/y"]
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    (problem,) = application(f"{{source: {{repository: '{url}'}}}}").problems
    assert "Credential" in problem.text
    assert "heim" not in str(problem)


@pytest.mark.parametrize("url", ["https://x:8443/y", "ssh://git@x:22/y", "git@x:y", "https://[2001:db8::1]:443/y"])
def test_hosts_ports_and_ssh_users_are_no_secrets(url: str) -> None:
    assert only(application(f"{{source: {{repository: '{url}'}}}}")).spec.source.repository == url


def test_what_is_wrong_above_is_not_told_again_for_each_environment() -> None:
    reading = application("{sync: {heal: x}, environments: {a: {}, b: {}, c: {}}}")
    assert len(reading.problems) == 1


def test_two_renderers_are_noticed_across_an_overlay() -> None:
    (problem,) = application("{helm: {}, environments: {a: {}, b: {kustomize: {}}}}").problems
    assert "at most one" in problem.text


def test_a_flood_of_problems_is_cut() -> None:
    reading = application("{" + ", ".join(f"x{n}: 1" for n in range(500)) + "}")
    assert len(reading.problems) == 50


def test_laying_over_merges_mappings_and_replaces_the_rest() -> None:
    base = {"a": {"x": 1, "y": {"z": 1}}, "b": [1, 2], "c": 1}
    top = {"a": {"y": {"w": 2}}, "b": [3], "d": None}
    assert laid_over(base, top) == {"a": {"x": 1, "y": {"z": 1, "w": 2}}, "b": [3], "c": 1, "d": None}
    assert base == {"a": {"x": 1, "y": {"z": 1}}, "b": [1, 2], "c": 1}


WORDS = st.sampled_from(
    ["spec", "sync", "heal", "source", "path", "helm", "values", "environments", "prod", "always", "after", "approve"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["Application", "Root", "Project", "Cluster", "Credential"]), VALUES, VALUES)
def test_any_shape_is_read_or_explained(kind: str, metadata: Any, spec: Any) -> None:
    document = {"apiVersion": "kedge.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    reading = read(yaml.safe_dump(document).encode(), "a.yaml")
    assert len(reading.declarations) + bool(reading.problems) == 1
    assert all(problem.where.line and problem.where.file for problem in reading.problems)


def test_a_source_follows_a_ref_or_a_range_of_versions() -> None:
    assert only(application('{source: {version: ">=1.2 <2"}}')).spec.source.version == ">=1.2 <2"
    (problem,) = application('{source: {version: "latest"}}').problems
    assert "a range of versions is wanted" in problem.text
    (problem,) = application('{source: {version: "1.x", ref: main}}').problems
    assert problem.text == "a source has either a ref or a version, not both"


def test_a_stack_is_read_with_each_environment_laid_over_it() -> None:
    text = f"""{HEAD}kind: Stack
metadata: {{name: db, project: shop}}
spec:
  source: {{path: infra/db}}
  inputs: {{vpc: {{from: stack/net, output: id, type: string}}}}
  variables: {{size: small, vpc: {{$input: vpc}}}}
  environments: {{staging: {{}}, prod: {{variables: {{size: large}}, approve: {{by: ["group:sre"]}}}}}}
"""
    reading = read(text.encode(), "a.yaml")
    assert reading.problems == ()
    (stack,) = reading.declarations
    assert isinstance(stack, Stack)
    specs = dict(stack.spec.environments)
    assert specs["prod"].variables == {"size": "large", "vpc": {"$input": "vpc"}}
    assert specs["staging"].variables["size"] == "small"
    assert specs["prod"].approve.when == "always", "a stack waits for an approval unless it says otherwise"
    assert stack.spec.inputs["vpc"].from_ == "stack/net"


@pytest.mark.parametrize("name", ["a/b", "a b", "..", "-x", "ä", "a?", "a%20b", "a,b", "'x;y'", "x" * 251, "a\\n"])
def test_a_workspace_that_the_tools_would_refuse_is_refused_at_its_line(name: str) -> None:
    text = f'{HEAD}kind: Stack\nmetadata: {{name: a}}\nspec:\n  source: {{path: x}}\n  workspace: "{name}"\n'
    (problem,) = read(text.encode(), "a.yaml").problems
    assert (problem.where.line, problem.where.path) == (6, "spec.workspace")


@pytest.mark.parametrize("name", ["default", "prod", "team_a.EU-1~x", "a$&+=:@b"])
def test_a_workspace_may_have_any_name_that_the_tools_take(name: str) -> None:
    reading = read(f'{HEAD}kind: Stack\nmetadata: {{name: a}}\nspec: {{workspace: "{name}"}}\n'.encode())
    assert reading.problems == ()
    (stack,) = reading.declarations
    assert isinstance(stack, Stack)
    assert stack.spec.workspace == name


@pytest.mark.parametrize("name", ["TF_CLI_ARGS", "TF_WORKSPACE", "LD_PRELOAD", "PATH", "HOME", "A B", "1A"])
def test_a_credential_does_not_decide_what_is_run(name: str) -> None:
    reading = read(
        f'{HEAD}kind: Credential\nmetadata: {{name: a}}\nspec: {{environment: {{"{name}": {{env: X}}}}}}'.encode()
    )
    assert "no variable that a tool may be given" in str(reading.problems[0])


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ('{from: "24:00"}', "hours and minutes"),
        ('{to: "6:00"}', "hours and minutes"),
        ("{to: 6}", "put quotes around it"),
        ("{zone: Europe/Berlín}", "no time zone of that name"),
        ("{zone: ../../etc/passwd}", "no time zone of that name"),
        ("{zone: ''}", "no time zone of that name"),
        ("{days: [monday]}", "one of mon, tue, wed, thu, fri, sat, sun is wanted"),
        ("{day: [mon]}", "did you mean “days”"),
    ],
)
def test_a_window_that_is_none_is_told_with_its_place(window: str, why: str) -> None:
    text = "{apiVersion: kedge.dev/v1alpha1, kind: Stack, metadata: {name: net, project: shop}, "
    reading = read(f"{text}spec: {{sync: {{driftWindows: [{window}]}}}}}}".encode(), "stack.yaml")
    told = "\n".join(str(problem) for problem in reading.problems)
    assert why in told
    assert "spec.sync.driftWindows[0]" in told
