"""Archives, charts and indexes for the tests: proper ones, and ones that mean harm."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from hashlib import sha256


def packed(files: Mapping[str, bytes | str], extra: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """A packed archive of files, and of entries without contents."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in extra:
            archive.addfile(entry)
    return gzip.compress(held.getvalue(), mtime=0)


def chart(name: str, version: str, more: Mapping[str, str] | None = None, about: str = "") -> bytes:
    """A chart of one ConfigMap that tells its version and its greeting."""
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
        "data:\n  version: {{ .Chart.Version | quote }}\n  greeting: {{ .Values.greeting | quote }}\n"
    )
    files = {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n{about}",
        "values.yaml": "greeting: hello\n",
        "templates/config.yaml": template,
        **(more or {}),
    }
    return packed({f"{name}/{path}": text for path, text in files.items()})


def indexed(archives: Mapping[tuple[str, str], tuple[str, bytes]], *, digests: bool = True) -> bytes:
    """An index as Helm writes it: (name, version) → (URL, archive)."""
    lines = ["apiVersion: v1", "entries:"]
    for name in dict.fromkeys(name for name, _ in archives):
        lines.append(f"  {name}:")
        for (other, version), (url, raw) in archives.items():
            if other != name:
                continue
            lines += ["  - apiVersion: v2", '    created: "2026-01-02T03:04:05.123456789Z"']
            lines += ["    description: |", "      version: 9.9.9", f"      {name}:"]
            lines += [f"    digest: {sha256(raw).hexdigest()}"] if digests else []
            lines += [f"    name: {name}", "    urls:", f"    - {url}", f"    version: {version}"]
    return "\n".join([*lines, 'generated: "2026-01-02T03:04:05Z"', ""]).encode()
