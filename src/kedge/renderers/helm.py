"""Helm: the request for a chart. Charts are rendered, not released; `native/helm.go` says how."""

from __future__ import annotations

import posixpath
import re

from kedge.model.declaration import HelmSection
from kedge.model.errors import Invalid, Where
from kedge.model.source import EntryKind
from kedge.model.unit import Unit
from kedge.ports import Snapshot
from kedge.renderers.detect import CHART
from kedge.renderers.questions import Call, listing, under

_UNSTABLE = re.compile(
    rb"\b(?:rand(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)|shuffle|uuidv4|now|ago|htpasswd|bcrypt|encryptAES"
    rb"|gen(?:PrivateKey|CA|CAWithKey|SignedCert|SignedCertWithKey|SelfSignedCert|SelfSignedCertWithKey))\b"
)
"""Sprig's functions whose answer is another one each time."""

_TEMPLATES = (".yaml", ".yml", ".tpl", ".txt", ".tgz")


def values_path(folder: str, written: str) -> str:
    """Where a values file is, from the repository's root. Raises Invalid when it is out of the repository.

    The error says nothing of what is there: it is the same whether the target exists or not.
    """
    joined = posixpath.normpath(posixpath.join(folder, written))
    if posixpath.isabs(written) or "\\" in written or joined == ".." or joined.startswith("../"):
        raise Invalid(
            f"the values file “{written}” is not in the repository",
            where=Where(folder, path="helm.valuesFiles"),
            hint="name it relative to source.path",
        )
    return joined


def call(snapshot: Snapshot, unit: Unit, *, is_upgrade: bool = False) -> Call:
    """The request to render the chart at the unit's path. Raises Invalid when there is none."""
    folder, section = unit.source.path, unit.render.helm or HelmSection()
    entries = snapshot.entries(folder, recurse=True)
    if not any(entry.path == under(folder, CHART) for entry in entries):
        raise Invalid(f"there is no {CHART} in {folder or 'the root of the repository'}", where=Where(folder))
    options = {
        "chart": folder,
        "release": section.releaseName or unit.name.name,
        "namespace": unit.target.namespace or "default",
        "valuesFiles": [values_path(folder, written) for written in section.valuesFiles],
        "values": section.values,
        "kubeVersion": section.kubeVersion,
        "apiVersions": list(section.apiVersions),
        "isUpgrade": is_upgrade,
        "skipCRDs": not section.includeCRDs,
        "skipTests": True,
    }
    files = tuple(entry for entry in entries if entry.kind is EntryKind.FILE)
    return Call("helm", options, listing(snapshot, folder, entries), files, folder)


def may_differ(snapshot: Snapshot, call: Call) -> bool:
    """Whether the chart asks for what is another thing each time, or holds packed charts that may."""
    asked = (entry for entry in call.wanted if entry.path.endswith(_TEMPLATES))
    return any(entry.path.endswith(".tgz") or _UNSTABLE.search(snapshot.read(entry)) for entry in asked)
