"""Files that SOPS itself has encrypted (`fixtures/sops`), and what becomes of them when somebody lays hands on them."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import orjson
import pytest

from kedge.model.errors import Invalid
from kedge.model.rendering import DecryptSection, HelmSection, KustomizeSection
from kedge.model.unit import RenderSpec
from kedge.renderers.render import WorkerRenderer

HERE = Path(__file__).parent / "fixtures" / "sops"
KEYS = {"age-key": (HERE / "age.key").read_text(), "pgp-key": (HERE / "pgp.asc").read_text(), "bad": "no key at all"}
OTHER = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
CHART = {"c/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n"}


def text(name: str) -> str:
    return (HERE / name).read_text()


@pytest.fixture
def made(pool: Any, repository: Any, unit: Any) -> Any:
    """The objects by name."""

    async def kept(name: str) -> str | None:
        return KEYS.get(name)

    renderer = WorkerRenderer(pool, "test", kept=kept)

    async def render(files: dict[str, str], *keys: str, **render: Any) -> dict[str, Any]:
        spec = RenderSpec(decrypt=DecryptSection(keys or ("age-key",)), **render)
        desired = await renderer.render(repository(files), unit("c", spec))
        return {m.ref.name: orjson.loads(m.body) for m in desired.manifests}

    return render


async def test_every_document_of_an_encrypted_manifest_is_opened(made: Any) -> None:
    found = await made({"c/s.yaml": text("secret.yaml")})
    assert found["db"]["stringData"] == {"password": "canary-yaml-1", "port": "5432", "empty": ""}
    assert found["db"]["metadata"]["labels"] == {"tier": "3"}
    assert found["second"]["stringData"] == {"token": "canary-yaml-2"}
    assert "sops" not in found["db"]


@pytest.mark.parametrize(
    ("name", "keys"), [("macless.yaml", ["age-key"]), ("pgp.yaml", ["pgp-key"]), ("pgp.yaml", ["age-key", "pgp-key"])]
)
async def test_other_keys_and_other_macs_are_read(made: Any, name: str, keys: list[str]) -> None:
    found = await made({"c/s.yaml": text(name)}, *keys)
    assert found["db"]["stringData"]["password"] == "canary-yaml-1"


async def test_a_mac_over_encrypted_values_alone_lets_the_others_change(made: Any) -> None:
    whole = text("macless.yaml")
    found = await made({"c/s.yaml": whole.replace('tier: "3"', 'tier: "4"')})
    assert found["db"]["metadata"]["labels"] == {"tier": "4"}


async def test_json_is_opened(made: Any) -> None:
    assert (await made({"c/s.json": text("s.json")}))["j"]["stringData"] == {"p": "canary-json-1"}


async def test_kustomize_makes_secrets_of_encrypted_files(made: Any) -> None:
    generator = "secretGenerator: [{name: g, envs: [app.env], files: [app.conf]}]\n"
    files = {
        "c/kustomization.yaml": f"resources: [s.yaml]\ngeneratorOptions: {{disableNameSuffixHash: true}}\n{generator}",
        "c/s.yaml": text("secret.yaml"),
        "c/app.env": text("app.env"),
        "c/app.conf": text("app.conf"),
    }
    found = await made(files, kustomize=KustomizeSection())
    data = {key: b64decode(value).decode() for key, value in found["g"]["data"].items()}
    assert data == {
        "PASSWORD": "canary-env-1",
        "MULTI": "one\\ntwo",
        "EMPTY": "",
        "app.conf": "canary-binary-1\nsecond line\n",
    }
    assert found["db"]["stringData"]["password"] == "canary-yaml-1"


TEMPLATE = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {all: {{ .Values | toJson | quote }}}\n"


async def test_a_chart_takes_its_values_from_an_encrypted_file_with_their_types(made: Any) -> None:
    files = {**CHART, "c/templates/t.yaml": TEMPLATE, "c/v.yaml": text("values.yaml")}
    found = await made(files, helm=HelmSection(valuesFiles=("v.yaml",)))
    values = orjson.loads(found["a"]["stringData"]["all"])
    assert values["db"] == {
        "password": "canary-values-1",
        "port": 5432,
        "ratio": 1.5,
        "tls": True,
        "since": "2024-01-02T03:04:05Z",
        "hosts": ["a.example", "b.example"],
    }
    assert values["public_unencrypted"] == "shown"


@pytest.mark.parametrize(
    "template",
    [
        "kind: ConfigMap\nmetadata: {name: a}\ndata: {p: 'x-{{ .Values.db.password }}'}",
        "kind: Secret\nmetadata: {name: a, annotations: {p: '{{ .Values.db.password }}'}}",
        "kind: Pod\nmetadata: {name: a}\nspec: {args: ['--p={{ .Values.db.password }}']}",
    ],
)
async def test_what_was_encrypted_is_shown_nowhere_but_in_a_secret_s_data(made: Any, template: str) -> None:
    files = {**CHART, "c/templates/t.yaml": f"apiVersion: v1\n{template}\n", "c/v.yaml": text("values.yaml")}
    with pytest.raises(Invalid, match=r"shows a value of the encrypted file c/v\.yaml") as caught:
        await made(files, helm=HelmSection(valuesFiles=("v.yaml",)))
    assert "canary" not in str(caught.value)


async def test_what_a_chart_says_of_its_values_shows_nothing_of_them(made: Any) -> None:
    files = {
        **CHART,
        "c/templates/t.yaml": '{{ fail (printf "no %s" .Values.db.password) }}',
        "c/v.yaml": text("values.yaml"),
    }
    with pytest.raises(Invalid, match=r"no \+\+\+\+\+\+\+\+") as caught:
        await made(files, helm=HelmSection(valuesFiles=("v.yaml",)))
    assert "canary" not in str(caught.value)


def swapped(whole: str) -> str:
    """The values of two encrypted leaves, each in the other's place."""
    one, two = re.findall(r"(?:password|port): (ENC\[[^]]*\])", whole)[:2]
    return whole.replace(one, "@").replace(two, one).replace("@", two)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda whole: whole.replace('tier: "3"', 'tier: "4"'), "its MAC does not fit"),
        (lambda whole: whole.replace("    labels:\n", "    added: x\n    labels:\n"), "its MAC does not fit"),
        (swapped, r"stringData\.\w+: the value was changed, or moved"),
        (lambda whole: re.sub(r"password: ENC\[[^]]*\]", "password: clear", whole), "should be encrypted, and is not"),
        (lambda whole: re.sub(r"mac: ENC\[[^]]*\]", "mac: ''", whole), "it has no MAC"),
        (lambda whole: re.sub(r"lastmodified: \S+", "lastmodified: soon", whole), "it has no MAC"),
        (lambda whole: re.sub(r'lastmodified: "2026', 'lastmodified: "2025', whole), "its MAC does not fit"),
        (lambda whole: whole.replace("iv:", "iv:A", 1), "can not be decrypted"),
        (lambda whole: re.sub(r"tag:[^,]*", "tag:AAAA", whole, count=1), "cut short"),
        (lambda whole: whole.replace("regex: ^(data|stringData)$", "regex: ("), "can not be decrypted"),
        (lambda whole: whole.replace("labels:", "labels: &a", 1).replace("type: Opaque", "type: *a"), "aliases"),
        (lambda whole: whole.replace("sops:\n", "sops:\n    key_groups: [{}, {}]\n"), "split among groups"),
        (lambda whole: whole.replace("sops:\n", "sops: 3\nx:\n"), "can not be decrypted"),
    ],
)  # fmt: skip
async def test_a_file_that_somebody_changed_is_refused_whole(made: Any, change: Any, why: str) -> None:
    whole = text("secret.yaml")
    assert change(whole) != whole
    with pytest.raises(Invalid, match=rf"c/s\.yaml can not be decrypted: .*{why}|{why}") as caught:
        await made({"c/s.yaml": change(whole)})
    assert caught.value.problems[0].where.file == "c/s.yaml"
    assert "canary" not in str(caught.value)


async def test_a_key_that_does_not_open_a_file_names_file_and_recipient(made: Any) -> None:
    recipient = re.findall(r"age1\w+", KEYS["age-key"])[0]
    with pytest.raises(Invalid, match=rf"c/s\.yaml can not be decrypted: it is encrypted for {recipient}, and none"):
        await made({"c/s.yaml": text("secret.yaml")}, "pgp-key")
    with pytest.raises(Invalid, match=r"encrypted for PGP [0-9A-F]{40}, and none"):
        await made({"c/s.yaml": text("pgp.yaml")}, "age-key")


async def test_a_secret_that_is_no_key_is_told_by_its_name(made: Any) -> None:
    with pytest.raises(Invalid, match="the secret bad holds neither age identities nor a PGP private key"):
        await made({"c/s.yaml": text("secret.yaml")}, "bad")


async def test_without_keys_an_encrypted_file_stays_as_it_is(renderer: Any, repository: Any, unit: Any) -> None:
    desired = await renderer.render(repository({"c/s.yaml": text("secret.yaml")}), unit("c"))
    assert all(b"ENC[AES256_GCM" in manifest.body for manifest in desired.manifests)


async def test_no_key_outlives_its_request(made: Any, renderer: Any, repository: Any, unit: Any) -> None:
    await made({"c/s.yaml": text("secret.yaml")})
    for name in ("a", "b"):
        desired = await renderer.render(repository({"c/s.yaml": text("secret.yaml")}), unit("c", name=name))
        assert b"canary" not in b"".join(manifest.body for manifest in desired.manifests)
