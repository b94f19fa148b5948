"""`[KIND/]NAME`, as people write it, among objects that are known."""

from __future__ import annotations

from collections.abc import Iterable

from kedge.kube.discovery import Catalog
from kedge.model.errors import Invalid
from kedge.model.ref import Ref

_SHOWN = 8


def named(text: str, refs: Iterable[Ref], catalog: Catalog) -> tuple[Ref, ...]:
    """Those of `refs` that `text` means, in order: a bare name may mean objects of several kinds.

    `[GROUP/]KIND/NAME` is taken as well, and the kind in any form that kubectl takes. Raises Invalid when none is
    meant, or the word is no kind that the cluster serves."""
    known = sorted(set(refs))
    word, _, name = text.rpartition("/")
    found = [ref for ref in known if ref.name == name]
    if word:
        group, _, kind = word.rpartition("/")
        plain = f"{kind}.{group}" if group else kind
        kinds = {(entry.group, entry.kind) for entry in catalog.named(plain)}
        kinds |= {ref.group_kind for ref in known if ref.kind.lower() == kind.lower() and group in ("", ref.group)}
        if not kinds:
            raise Invalid(f"this cluster serves no kind “{word}”", hint="write it as kubectl does: deploy/web")
        found = [ref for ref in found if ref.group_kind in kinds]
    if not found:
        raise Invalid(f"the unit has no object “{text}”", hint=listed(known))
    return tuple(found)


def listed(refs: Iterable[Ref]) -> str:
    """`one of Deployment/web, Service/web …`."""
    words = [f"{ref.kind}/{ref.name}" for ref in refs]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return f"one of {', '.join(words[:_SHOWN])}{more}" if words else "it has none"
