"""Stories of commands, as people type them, told to both servers: what is printed is compared.

A story is a text file of `stories/`, a command a line, run in its own namespace. A word in brackets before a command
says how it is compared: `[code]` only by how it ended, `[last]` by its last line, `[lines]` in any order of the lines.
What a server makes up (ages, uids, addresses, random names) is replaced by a word for it. A command that only reads is
asked again for a while where the servers differ: controllers take their time. One that begins with `&` tells what there
is and goes on while the next ones run, until a line that says `end` and what its own last line is by then. One that
begins with `+` belongs to the long version.
"""

from __future__ import annotations

import asyncio
import difflib
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.accepted import LINES

STORIES = Path(__file__).parent / "stories"
READS = frozenset(
    {"get", "describe", "explain", "api-resources", "api-versions", "auth", "diff", "list", "logs", "history", "status"}
)
WORDS = re.compile(r"\[(code|last|lines)\] ")
PATIENCE = 60.0
LIMIT = 90.0
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC", "GOGC": "off", "KUBE_EDITOR": "sed -i s/nothing/much/"}

LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
MADE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(found), named)
    for found, named in (
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
        (r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4})?( [A-Z]{3,4})?", "TIME"),
        (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [ 0-9A-Z][\w :+-]{14,24} (20\d\d|[+-]\d{4})\b", "TIME"),
        (r"([rR]esource ?[vV]ersion\"?: +)\"?\d+\"?", r"\1VERSION"),
        (r"\b(127\.0\.0\.1|172\.18\.0\.2)$", "NODE-IP"),
        (r"\b10\.244\.\d+\.\d+", "POD-IP"),
        (r"\b10\.96\.\d+\.\d+", "ADDRESS"),
        (r"\b(sandbox|node-1)\b(?!\.kedge)", "NODE"),
        (rf"-{LETTERS}{{8,10}}-{LETTERS}{{5}}\b", "-HASH-DRAWN"),
        (rf"(pod-template-hash[=:]\s?\"?){LETTERS}{{8,10}}", r"\1HASH"),
        (rf"(web|shop)-{LETTERS}{{8,10}}\b", r"\1-HASH"),
        (rf"(once|nightly-by-hand)-{LETTERS}{{5}}\b", r"\1-DRAWN"),
        (r"(?<![\w.:-])(\d+[dhms])+(?![\w.:-])", "AGE"),
        (r"<invalid>", "AGE"),
        (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-DRAWN"),
        (r"\bhttps://127\.0\.0\.1:\d+", "SERVER"),
        (r"/tmp/(LIVE|MERGED)-\d+", r"/tmp/\1"),
    )
)


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a story; `how` is how it is compared, "" by all that it prints."""

    line: str
    how: str = ""

    @property
    def reads(self) -> bool:
        words = shlex.split(self.line)
        return any(word in READS for word in words[1:3]) and not {"-w", "--watch", "undo"} & set(words)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    error: str

    def plain(self, command: Command) -> tuple[str, ...]:
        """Line by line, without what the server made up."""
        if command.how == "code":
            return (f"code {self.code}",)
        lines = [*replaced(self.out), *(f"! {line}" for line in replaced(self.error))]
        if command.how == "last":
            lines = lines[-1:]
        elif command.how == "lines":
            lines.sort()
        return (f"code {self.code}", *lines)


def replaced(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for pattern, named in MADE:
            line = pattern.sub(named, line)
        # columns are as wide as what is in them, which is replaced
        yield re.sub(r"(?<=\S) {2,}", "  ", line.rstrip())


def story_of(name: str, long: bool = False) -> Iterator[Command]:
    """The commands of a story. Empty lines and those that begin with # are left out."""
    for line in (STORIES / f"{name}.txt").read_text().splitlines():
        if line.startswith("+ ") and long:
            line = line.removeprefix("+ ")
        if line and not line.startswith(("#", "+ ")):
            how = WORDS.match(line)
            yield Command(line[how.end() :], how[1]) if how else Command(line)


@dataclass
class Place:
    """Where the commands of one server are run: its kubeconfig, and a home of its own below `folder`."""

    folder: Path
    kubeconfig: Path
    programs: dict[str, Sequence[str]]
    space: str
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        homes = {f"{word}_HOME": str(self.folder / word) for word in ("HELM_CACHE", "HELM_CONFIG", "HELM_DATA")}
        self.env = {**ENV, **homes, "HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}
        self.env["HELM_NAMESPACE"] = self.space

    async def begin(self, command: Command) -> asyncio.subprocess.Process:
        first, *rest = shlex.split(command.line)
        words = [*self.programs[first], *(["-n", self.space] if first == "kubectl" else []), *rest]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=self.env, cwd=STORIES
        )

    async def say(self, command: Command) -> Said:
        child = await self.begin(command)
        try:
            out, error = await asyncio.wait_for(child.communicate(), LIMIT)
        except TimeoutError:
            child.kill()
            await child.wait()
            return Said(-1, "", f"did not end within {LIMIT:.0f} s")
        return Said(child.returncode or 0, out.decode(), error.decode())


@dataclass(frozen=True, slots=True)
class Parted:
    """A command that was answered differently: the lines that only the real server (-) or the sandbox (+) said."""

    command: Command
    lines: tuple[str, ...]

    def told(self) -> str:
        return "\n    ".join([f"$ {self.command.line}", *self.lines])


@dataclass
class Going:
    """A command that goes on at both servers."""

    command: Command
    places: tuple[Place, Place]
    children: list[asyncio.subprocess.Process] = field(default_factory=list)
    heard: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    news: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Future[list[None]] = field(init=False)

    async def begin(self) -> None:
        """Until both have told what there is: they miss nothing from here on."""
        self.children = [await place.begin(self.command) for place in self.places]
        pairs = zip(self.children, self.heard, strict=True)
        self.reading = asyncio.gather(*(self.read(child, lines) for child, lines in pairs))
        await self.until(lambda: all(self.heard))

    async def read(self, child: asyncio.subprocess.Process, lines: list[str]) -> None:
        assert child.stdout is not None
        async for line in child.stdout:
            lines.append(line.decode())
            self.news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Or until patience is over: what differs then is told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not true():
                    self.news.clear()
                    await self.news.wait()

    async def end(self, last: str) -> Parted | None:
        await self.until(lambda: self.compared() is None and all(last in lines[-1] for lines in self.heard))
        for child in self.children:
            child.terminate()
            await child.wait()
        await self.reading
        parted = self.compared()
        assert parted is not None or last in self.heard[0][-1], f"{self.command.line} ends otherwise: {self.heard}"
        return parted

    def compared(self) -> Parted | None:
        real, sandbox = (Said(0, "".join(lines), "") for lines in self.heard)
        return compared(self.command, real, sandbox)


async def told_to_both(story: Sequence[Command], real: Place, sandbox: Place) -> list[Parted]:
    """Every command that is answered differently, beside what `LINES` take away."""
    parted: list[Parted] = []
    going: list[Going] = []
    for command in story:
        if command.line.startswith("& "):
            going.append(Going(Command(command.line[2:]), (real, sandbox)))
            await going[-1].begin()
            continue
        if command.line.startswith("end "):
            parted += [found for found in [await going.pop().end(command.line[4:])] if found]
            continue
        due = time.monotonic() + PATIENCE
        found = compared(command, *await asyncio.gather(real.say(command), sandbox.say(command)))
        while found and command.reads and time.monotonic() < due:
            await asyncio.sleep(0.3)
            found = compared(command, *await asyncio.gather(real.say(command), sandbox.say(command)))
        if found:
            parted.append(found)
    return parted


def compared(command: Command, real: Said, sandbox: Said) -> Parted | None:
    left, right = (kept(command, side.plain(command)) for side in (real, sandbox))
    if left == right:
        return None
    lines = [
        line for line in difflib.unified_diff(left, right, n=0, lineterm="") if not line.startswith(("@", "---", "+++"))
    ]
    return Parted(command, tuple(lines))


def kept(command: Command, lines: Sequence[str]) -> tuple[str, ...]:
    rows = [row for row in LINES if re.search(row.command, command.line)]
    return tuple(line for line in lines if not any(re.search(row.line, line) for row in rows))
