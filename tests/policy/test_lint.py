"""Checks of a rendered set that are nearly always right."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kedge.model.change import Finding, Severity
from kedge.model.errors import Where
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import Ref
from kedge.policy.lint import lint

_BEGIN = "-----BEGIN "


def manifest(ref: Ref, *, api: str = "v1", line: int = 0, data: str = "") -> Manifest:
    body = json.dumps({"data": {"a": data}}).encode()
    return Manifest(ref, api, body, "d", where=Where("web.yaml", line))


CONFIG = Ref("", "ConfigMap", "web", "settings")


def lint_of(manifests: list[Manifest], *notes: str) -> tuple[Finding, ...]:
    return lint(Desired(tuple(manifests), "d", notes=notes))


def test_what_the_renderer_noted_is_a_finding() -> None:
    (finding,) = lint_of([manifest(CONFIG)], "renders differently each time")
    assert (finding.severity, finding.rule) == (Severity.WARNING, "lint/render")
    assert "differently" in finding.text


def test_an_object_that_is_still_encrypted_is_an_error() -> None:
    still = manifest(CONFIG)
    body = b'{"data":{"a":"ENC[AES256_GCM,data:x]"},"sops":{"age":[]}}'
    (finding,) = lint_of([replace(still, body=body)])
    assert (finding.severity, finding.rule) == (Severity.ERROR, "lint/encrypted")
    assert "decrypt.keys" in finding.text


def test_a_plain_set_has_no_findings() -> None:
    assert lint_of([manifest(CONFIG), manifest(Ref("apps", "Deployment", "web", "web"), api="apps/v1")]) == ()


def test_two_objects_of_one_name_are_an_error_that_names_both_places() -> None:
    (finding,) = lint_of([manifest(CONFIG, line=1), manifest(CONFIG, line=9, api="v2")])
    assert (finding.severity, finding.rule, finding.ref) == (Severity.ERROR, "lint/duplicate", CONFIG)
    assert "web.yaml, line 1 and web.yaml, line 9" in finding.text


def test_objects_whose_names_the_server_gives_are_no_duplicates() -> None:
    hook = Ref("batch", "Job", "web", "")
    assert lint_of([manifest(hook), manifest(hook)]) == ()


@pytest.mark.parametrize(
    "kind", ["PRIVATE KEY-----", "RSA PRIVATE KEY-----", "OPENSSH PRIVATE KEY-----", "PGP PRIVATE KEY BLOCK-----"]
)
def test_a_private_key_in_a_config_map_is_a_warning_that_does_not_quote_it(kind: str) -> None:
    (finding,) = lint_of([manifest(CONFIG, data=f"{_BEGIN}{kind}\nMIIcanary")])
    assert (finding.severity, finding.rule) == (Severity.WARNING, "lint/private-key")
    assert "canary" not in finding.text
    assert lint_of([manifest(Ref("", "Secret", "web", "s"), data=f"{_BEGIN}{kind}")]) == ()


def test_a_public_key_in_a_config_map_is_fine() -> None:
    assert (
        lint_of([manifest(CONFIG, data=f"{_BEGIN}CERTIFICATE-----"), manifest(Ref("", "ConfigMap", "web", "b"))]) == ()
    )


def test_an_object_that_needs_a_namespace_and_names_none_is_a_warning() -> None:
    (finding,) = lint_of([manifest(Ref("", "Service", "", "web"))])
    assert (finding.severity, finding.rule) == (Severity.WARNING, "lint/namespace")


def test_a_retired_api_version_names_the_release_and_what_took_its_place() -> None:
    (finding,) = lint_of([manifest(Ref("networking.k8s.io", "Ingress", "web", "web"), api="networking.k8s.io/v1beta1")])
    assert finding.severity is Severity.WARNING
    assert "1.22" in finding.text
    assert "networking.k8s.io/v1" in finding.text
