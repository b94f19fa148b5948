"""A plan as people read it, on a terminal and in a comment, and as programs do. Pure: a plan in, text out.

Everything in a plan comes from Git or a cluster and is hostile here: control, format and direction characters are
written out, and columns are counted as a terminal counts them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from kedge.engine.effects import Difference, difference
from kedge.model.change import Act, Change, FieldAct, FieldChange, Finding, Severity
from kedge.model.origin import spoken
from kedge.model.plan import Needs, Plan, Step, StepKind
from kedge.model.source import shortened

SCHEMA = "kedge.dev/plan/v1"

_SIGNS = {Act.CREATE: "+", Act.UPDATE: "~", Act.REPLACE: "±", Act.DELETE: "-", Act.FORGET: "."}
_COLOURS = {"+": "32", "~": "33", "±": "35", "-": "31", ".": "35", "!": "31;1", "dim": "2"}
_WIDEST_NAME = 48
_WIDEST_PATH = 56
_VALUE = 60
_NARROWEST = 40
_UNSAFE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


@dataclass(frozen=True, slots=True)
class View:
    """How to write: `width` in columns (0: as long as it takes), `colour` by ANSI codes, `hidden` lists what rules
    hide, `since` is the commit that is live now."""

    width: int = 0
    colour: bool = False
    hidden: bool = False
    since: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """The plan that somebody approved, where it is not the one that is shown, and what lies between the two."""

    plan: Plan
    by: str
    between: Difference

    @classmethod
    def of(cls, now: Plan, approved: Plan | None, by: str) -> Approved | None:
        return None if approved is None else cls(approved, by, difference(approved.changes, now.changes))


@dataclass(frozen=True, slots=True)
class _Row:
    sign: str
    name: str
    path: str = ""
    value: str = ""
    dim: bool = False


def text(plan: Plan, how: View = View(), approved: Approved | None = None) -> str:
    """The whole plan, ending in a newline; below it how it differs from the one that was approved."""
    lines = [_head(plan, how)]
    lines += _aligned(list(_rows(plan, how)), how)
    lines += _tail(plan, how)
    lines += _since_approved(approved, how) if approved is not None else []
    return "\n".join(lines) + "\n"


def fenced(plan: Plan, how: View = View()) -> str:
    """The plan as a Markdown code block that its content can not end."""
    body = text(plan, how)
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}{fence}\n"


def _head(plan: Plan, how: View) -> str:
    left = [clean(str(plan.unit))]
    revision = plan.revision
    if plan.removal:
        left.append("REMOVAL")
    if revision is not None:
        short = clean(revision.short)
        since = clean(shortened(how.since))
        moved = f"{since} → {short}" if since and since != short else short
        left.append(f"{clean(spoken(revision.ref))} {moved}")
        by = f" by {clean(revision.author)}" if revision.author else ""
        left += [f'"{cut(clean(revision.subject), _VALUE)}"{by}'] if revision.subject else []
    right = [f"effects {plan.effects[:4]}…"] if plan.changes else []
    if plan.needs is not None:
        right.append(f"needs: {needs(plan.needs)}")
    start, end = "  ".join(left), "  ".join(right)
    gap = max(2, min(how.width or 100, 100) - columns(start) - columns(end)) if end else 0
    if how.width and columns(start) + 2 + columns(end) > how.width:
        return f"{cut(start, how.width)}\n  {cut(end, max(how.width - 2, _NARROWEST))}"
    return start + " " * gap + end


def needs(wanted: Needs) -> str:
    """`1 of group:sre`, or `1 approval`."""
    if wanted.by:
        return f"{wanted.count} of {clean(', '.join(wanted.by))}"
    return f"{wanted.count} approval" + ("s" if wanted.count > 1 else "")


def _rows(plan: Plan, how: View) -> Iterator[_Row]:
    if plan.empty:
        yield _Row(" ", "nothing to do")
    for change in sorted(plan.changes, key=lambda change: change.act is Act.DELETE):
        yield from _change(change, plan, how)
    for step in plan.steps:
        if step.kind is StepKind.HOOK and step.act is not Act.DELETE:
            yield _Row(">", _hook_name(step), f"hook, {step.phase.value}")


def _hook_name(step: Step) -> str:
    name = clean(str(step.ref))
    return name if step.ref.name else f"{name}{clean(step.generate_name)}*"


def _change(change: Change, plan: Plan, how: View) -> Iterator[_Row]:
    sign, name = _SIGNS[change.act], clean(str(change.ref))
    cells = [*_first(change, plan), *map(_field, change.fields)]
    path, value = cells[0] if cells else ("", "")
    yield _Row(sign, name, path, value)
    for path, value in cells[1:]:
        yield _Row(" ", "", path, value)
    for note in _notes(change, plan):
        yield _Row(" ", "", note)
    if change.rejection:
        yield _Row("!", "", f"refused: {clean(change.rejection)}")
    if how.hidden:
        for hidden in change.hidden:
            yield _Row(" ", "", clean(hidden.path), f"hidden by {hidden.rule}", dim=True)


def _first(change: Change, plan: Plan) -> list[tuple[str, str]]:
    if change.act is Act.REPLACE:
        return [("REPLACE", "deleted and created anew")]
    if change.act is Act.DELETE:
        return [("deleted" if plan.removal or plan.whole else "pruned last, after the rest is healthy", "")]
    if change.act is Act.FORGET:
        return [("no longer managed", "it stays as it is")]
    return []


def _notes(change: Change, plan: Plan) -> Iterator[str]:
    if change.adopts:
        yield f"adopted from {clean(change.adopts)}"
    if change.why:
        yield clean(change.why)
    if change.drift:
        yield f"drift: the {'world' if plan.whole else 'cluster'} changed, Git did not"


def _field(change: FieldChange) -> tuple[str, str]:
    before, after = (cut(clean(value), _VALUE) for value in (change.before, change.after))
    match change.act:
        case FieldAct.GAIN:
            value = f"+ {after}"
        case FieldAct.LOSE:
            value = f"- {before}"
        case FieldAct.CHANGE:
            value = _both(change, before, after)
    return clean(change.path), value


def _both(change: FieldChange, before: str, after: str) -> str:
    """Both values; two that only differ behind the cut are shown from where they begin to differ."""
    if before != after:
        return f"{before} → {after}"
    old, new = clean(change.before), clean(change.after)
    start = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    skip = max(0, start - 10)
    return f"…{cut(old[skip:], _VALUE)} → …{cut(new[skip:], _VALUE)}"


def _aligned(rows: list[_Row], how: View) -> list[str]:
    names = min(_WIDEST_NAME, max((columns(row.name) for row in rows if row.path), default=0))
    paths = min(_WIDEST_PATH, max((columns(row.path) for row in rows if row.value), default=0))
    return [_line(row, names, paths, how) for row in rows]


def _line(row: _Row, names: int, paths: int, how: View) -> str:
    start = f"  {row.sign} {pad(row.name, names)}" if row.path else f"  {row.sign} {row.name}"
    line = start
    if row.path:
        line += f"  {pad(row.path, paths) if row.value else row.path}"
    if row.value:
        line += f"  {row.value}"
    line = cut(line.rstrip(), max(how.width, _NARROWEST)) if how.width else line.rstrip()
    code = _COLOURS["dim"] if row.dim else _COLOURS.get(row.sign, "")
    return f"\x1b[{code}m{line}\x1b[0m" if how.colour and code else line


def _tail(plan: Plan, how: View) -> Iterator[str]:
    count = sum(len(change.hidden) for change in plan.changes)
    if count and not how.hidden:
        yield f"hidden: {_counted(count, 'difference')} without meaning (--hidden lists them)"
    if plan.findings:
        yield f"findings: {_severities(plan.findings)}"
        yield from (f"  {_finding(finding)}" for finding in plan.findings)
    if plan.needs is not None:
        yield from (f"needs {needs(plan.needs)}: {clean(reason)}" for reason in plan.needs.reasons)
    yield from (f"blocked: {clean(sentence)}" for sentence in plan.blocked)
    yield from (f"waits for {clean(hole)}: shown as ‹{clean(hole)}›, filled once it is there" for hole in plan.holes)
    if plan.changes:
        yield plan.summary()


def _since_approved(approved: Approved, how: View) -> Iterator[str]:
    """What came is in the plan itself; what went, and how it was approved otherwise, is nowhere else."""
    then, between = approved.plan, approved.between
    yield f"not what {clean(approved.by)} approved (effects {then.effects[:4]}…):"
    yield from (f"  came since: {change.act} {clean(str(change.ref))}" for change in between.added)
    for title, changes in (
        ("is not to be done any more:", between.dropped),
        ("is to be done otherwise; approved was:", tuple(before for before, _ in between.altered)),
    ):
        if changes:
            yield f"  {title}"
            yield from (
                f"  {line}" for line in _aligned([row for one in changes for row in _change(one, then, how)], how)
            )


def _severities(findings: tuple[Finding, ...]) -> str:
    counts = [(severity, sum(1 for finding in findings if finding.severity is severity)) for severity in Severity]
    names = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    return ", ".join(_counted(count, names[severity]) for severity, count in counts if count)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _finding(finding: Finding) -> str:
    return f"{finding.severity.value} {clean(finding.rule)}: {clean(finding.text)}"


def clean(value: str) -> str:
    """Text with every character written out that could move the cursor, turn the reading direction or be unseen."""
    if value.isascii() and value.isprintable():
        return value
    return "".join(_escape(char) if unicodedata.category(char) in _UNSAFE else char for char in value)


def _escape(char: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}
    code = ord(char)
    return named.get(char) or (f"\\x{code:02x}" if code < 256 else f"\\u{{{code:x}}}")


def columns(value: str) -> int:
    """Columns that a terminal gives a text: two for wide characters, none for marks that combine."""
    return len(value) if value.isascii() else sum(map(_column, value))


def _column(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def pad(value: str, width: int) -> str:
    """Filled up to `width` columns; a longer text stays whole, for an identity cut short would be another one."""
    return value + " " * max(0, width - columns(value))


def cut(value: str, width: int) -> str:
    """At most `width` columns, ending in … when something was left out."""
    if columns(value) <= width:
        return value
    kept, used = [], 0
    for char in value:
        used += _column(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def as_json(plan: Plan, approved: Approved | None = None) -> dict[str, Any]:
    """The plan for programs. Values in it are masked already; `schemaVersion` changes when a field changes meaning.
    `approved` is what an approval was of that is not of this plan: null where there is none."""
    return {
        "schemaVersion": SCHEMA,
        "id": plan.id,
        "unit": str(plan.unit),
        "revision": asdict(plan.revision) if plan.revision else None,
        "rendered": plan.rendered,
        "effects": plan.effects,
        "summary": plan.summary(),
        "empty": plan.empty,
        "driftOnly": plan.drift_only,
        "removal": plan.removal,
        "madeAt": plan.made_at,
        "changes": [_change_json(change) for change in plan.changes],
        "steps": [_step_json(step) for step in plan.steps],
        "findings": [
            {
                "severity": finding.severity.value,
                "rule": finding.rule,
                "text": finding.text,
                "ref": asdict(finding.ref) if finding.ref else None,
            }
            for finding in plan.findings
        ],
        "needs": {"reasons": list(plan.needs.reasons), "by": list(plan.needs.by), "count": plan.needs.count}
        if plan.needs
        else None,
        "blocked": list(plan.blocked),
        "holes": list(plan.holes),
        "approved": _approved_json(approved) if approved is not None else None,
    }


def _approved_json(approved: Approved) -> dict[str, Any]:
    between = approved.between
    return {
        "by": approved.by,
        "effects": approved.plan.effects,
        "added": [_change_json(change) for change in between.added],
        "dropped": [_change_json(change) for change in between.dropped],
        "altered": [{"approved": _change_json(a), "now": _change_json(b)} for a, b in between.altered],
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "ref": asdict(change.ref),
        "act": change.act.value,
        "fields": [
            {"path": field.path, "act": field.act.value, "before": field.before, "after": field.after}
            for field in change.fields
        ],
        "hidden": [{"path": hidden.path, "rule": hidden.rule} for hidden in change.hidden],
        "effect": change.effect,
        "why": change.why,
        "adopts": change.adopts,
        "drift": change.drift,
        "rejection": change.rejection,
        "generated": change.generated,
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "key": step.key,
        "kind": step.kind.value,
        "act": step.act.value,
        "ref": asdict(step.ref),
        "phase": step.phase.value,
        "wave": step.wave,
        "rank": step.rank,
    }
