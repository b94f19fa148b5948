"""A program that pretends to be a tool: it works until a gate is opened, and misbehaves as it is told to."""

from __future__ import annotations

from pathlib import Path

_SCRIPT = r"""#!/bin/sh
# GATE: a file that is waited for; WILD: what it does instead of its work
say() { printf '{"@level":"info","@message":"%s","type":"log"}\n' "$1"; }
await() { while [ ! -e "$GATE" ]; do sleep 0.02; done; }
for word; do case "$word" in -out=*) out=${word#-out=} ;; esac; done
case "$1" in
version) echo '{"terraform_version": "1.12.6"}' ;;
init) say "ready to work" ;;
show) echo '{"shown": true}' ;;
output)
  [ "$WILD" != slow-outputs ] || while [ ! -e "$GATE.outputs" ]; do sleep 0.02; done
  echo '{}' ;;
plan | apply)
  case "$WILD" in
  deaf) trap '' INT TERM; say "hears nothing" ;;
  flood) yes "a line that is repeated until there are twenty million bytes" | head -c 20000000; exit 0 ;;
  endless) head -c 20000000 /dev/zero | tr '\0' x; echo ;;
  mute) exit 3 ;;
  greedy)
    trap 'say "lets go"; exit 1' INT
    { head -c 300000000 /dev/zero; sleep 100; } | tail -n 1 & wait ;;
  *) trap 'say "lets go"; exit 1' INT ;;
  esac
  say "at work"
  await
  [ "$1" = apply ] || echo "the plan" > "$out" ;;
esac
"""


def pretender(folder: Path) -> Path:
    """The program, as a `tofu` in a folder."""
    folder.mkdir(exist_ok=True)
    place = folder / "tofu"
    place.write_text(_SCRIPT)
    place.chmod(0o755)
    return place
