"""Helm: the request for a chart. Charts are rendered, not released; `native/helm.go` says how."""

from __future__ import annotations

import re

from kedge.model.errors import Invalid, Where
from kedge.model.rendering import HelmSection
from kedge.model.source import Entry, EntryKind
from kedge.model.unit import Unit
from kedge.ports import Snapshot
from kedge.renderers.detect import CHART
from kedge.renderers.questions import Call, beside, listing, under

_UNSTABLE = re.compile(
    rb"\b(?:rand(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)|shuffle|uuidv4|now|ago|htpasswd|bcrypt|encryptAES"
    rb"|gen(?:PrivateKey|CA|CAWithKey|SignedCert|SignedCertWithKey|SelfSignedCert|SelfSignedCertWithKey))\b"
)
"""Sprig's functions whose answer is another one each time."""

_TEMPLATES = (".yaml", ".yml", ".tpl", ".txt", ".tgz")


def call(snapshot: Snapshot, unit: Unit, *, is_upgrade: bool = False) -> Call:
    """The request to render the chart at the unit's path. Raises Invalid when there is none."""
    folder, section = unit.source.path, unit.render.helm or HelmSection()
    entries = snapshot.entries(folder, recurse=True)
    if not any(entry.path == under(folder, CHART) for entry in entries):
        raise Invalid(f"there is no {CHART} in {folder or 'the root of the repository'}", where=Where(folder))
    options = {
        "chart": folder,
        "release": section.releaseName or unit.name.name,
        "namespace": section.namespace or unit.target.namespace or "default",
        "valuesFiles": [beside(folder, written, "helm.valuesFiles") for written in section.valuesFiles],
        "ignoreMissing": section.ignoreMissingValuesFiles,
        "values": section.values,
        "parameters": [
            {"name": given.name, "value": given.value, "string": given.forceString} for given in section.parameters
        ],
        "fileParameters": [
            {"name": given.name, "value": beside(folder, given.path, "helm.fileParameters")}
            for given in section.fileParameters
        ],
        "kubeVersion": section.kubeVersion,
        "apiVersions": list(section.apiVersions),
        "isUpgrade": is_upgrade,
        "skipCRDs": not section.includeCRDs,
        "skipTests": section.skipTests,
        "skipSchema": section.skipSchemaValidation,
    }
    files = tuple(entry for entry in entries if entry.kind is EntryKind.FILE)
    return Call("helm", options, listing(snapshot, folder, entries), files, folder)


class Steadiness:
    """Whether charts ask for what is another thing each time. A file is read for it once: what it holds never changes
    under its id. Bounded: the oldest files are forgotten first."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._unsteady: dict[str, bool] = {}

    def may_differ(self, snapshot: Snapshot, call: Call) -> bool:
        """Whether a chart asks for such a thing, or holds packed charts that may."""
        asked = (entry for entry in call.wanted if entry.path.endswith(_TEMPLATES))
        return any(entry.path.endswith(".tgz") or self._asks(snapshot, entry) for entry in asked)

    def _asks(self, snapshot: Snapshot, entry: Entry) -> bool:
        found = self._unsteady.get(entry.id)
        if found is None:
            found = bool(_UNSTABLE.search(snapshot.read(entry)))
            if len(self._unsteady) >= self._most:
                del self._unsteady[next(iter(self._unsteady))]
            self._unsteady[entry.id] = found
        return found
