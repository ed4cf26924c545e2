"""How much memory a process and all below it occupy."""

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WHAT = "of all its processes, after verification"
_PROC = Path("/proc")


class _Process(NamedTuple):
    pid: int
    parent: int
    kib: int


def resident_mib(pid: int) -> float:
    """Add up what a process and its descendants hold in memory, in MiB."""
    children = defaultdict(list)
    sizes = {}
    for process in _from_proc() if (_PROC / "self").exists() else _from_ps():
        children[process.parent].append(process.pid)
        sizes[process.pid] = process.kib
    family, waiting = [], [pid]
    while waiting:
        family.append(waiting.pop())
        waiting += children[family[-1]]
    return sum(sizes.get(member, 0) for member in family) / 1024


def _from_proc() -> Iterator[_Process]:
    for path in _PROC.glob("[0-9]*/status"):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue  # it ended meanwhile
        fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        resident = fields.get("VmRSS", ["0"])
        yield _Process(int(path.parent.name), int(fields["PPid"][0]), int(resident[0]))


def _from_ps() -> Iterator[_Process]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,rss="],  # noqa: S607 - a fixed command, where there is no /proc
        capture_output=True,
        check=True,
        text=True,
    )
    for line in listing.stdout.splitlines():
        yield _Process(*map(int, line.split()))
