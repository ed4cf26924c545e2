"""Results and progress for people: colour on a terminal, plain lines elsewhere.

Data goes to standard output, progress to standard error; ``NO_COLOR`` is honoured.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from standby.deploy import Progress
from standby.verify import Observation

_BAD = ("FAILED", "ROLLBACK_COMPLETE")
_WORDS = {
    "CREATE_COMPLETE": "created",
    "UPDATE_COMPLETE": "updated",
    "DELETE_COMPLETE": "deleted",
    "UNCHANGED": "unchanged",
}


def say(text: str) -> None:
    """Print one line of progress."""
    _progress_console().print(escape(text))


@contextlib.contextmanager
def busy(doing: str) -> Iterator[None]:
    """Show on a terminal that something goes on, while it does."""
    console = _progress_console()
    with console.status(escape(doing)) if console.is_terminal else contextlib.nullcontext():
        yield


class DeploymentProgress:
    """Shows a deployment as it happens: each resource, and a line for each stack that is done.

    On a terminal the resources share one line that changes; elsewhere each has its own.
    """

    def __init__(self) -> None:
        self._console = _progress_console()
        self._status: Status | None = None
        self._begun: dict[str, float] = {}
        self._resources: Counter[str] = Counter()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("Deploying")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, event: Progress) -> None:
        """Show one event."""
        self._begun.setdefault(event.stack, time.monotonic())
        if event.resource is None:
            self._show_stack(event)
        else:
            self._show_resource(event)

    def _show_resource(self, event: Progress) -> None:
        what = f"{_place(event)}  {event.resource} ({event.type})"
        if event.status.endswith("_FAILED"):
            reason = f": {event.reason}" if event.reason else ""
            self._console.print(f"[red]{escape(f'{what} {event.status}{reason}')}[/]")
            return
        if event.status.endswith("_COMPLETE"):
            self._resources[event.stack] += 1
        if self._status:
            self._status.update(escape(f"{what} {event.status}"))
        elif event.status.endswith("_COMPLETE"):
            self._console.print(escape(f"{what} {event.status}"))

    def _show_stack(self, event: Progress) -> None:
        if event.status.endswith("_IN_PROGRESS"):
            if event.reason and "ROLLBACK" in event.status:
                self._console.print(escape(f"{_place(event)}  rolling back: {event.reason}"))
            return
        seconds = time.monotonic() - self._begun[event.stack]
        bad = event.status.endswith(_BAD)
        word = _WORDS.get(event.status, event.status)
        count = self._resources[event.stack]
        things = "resource" if count == 1 else "resources"
        detail = f", {count} {things}, {seconds:.1f} s" if count else ""
        mark = "[red]✗[/]" if bad else "[green]✓[/]"
        self._console.print(f"{mark} {escape(f'{_place(event)}  {word}{detail}')}")


def print_settings(values: Mapping[str, object], origins: Mapping[str, str] | None) -> None:
    """Print settings by key, with the layer each came from where ``origins`` are given."""
    _print_columns(
        [key, _shown(value), *([f"({origins[key]})"] if origins else [])]
        for key, value in values.items()
    )


def print_stacks(rows: Iterable[Sequence[str]]) -> None:
    """Print stacks, each a name, a region and a status."""
    _print_columns(rows)


def print_checks(rows: Iterable[tuple[str, bool, str]]) -> None:
    """Print checks, each what it is about, whether it is good, and what was found."""
    _print_columns(["✓" if good else "✗", name, found] for name, good, found in rows)


class ObservationPrinter:
    """Prints observations as they become known, by pillar, and what they come to."""

    def __init__(self, *, evidence: bool) -> None:
        """Start a report.

        Args:
            evidence: Whether to show for every probe what failed ones show in any case: what it
                expected, and by which calls it saw.
        """
        self._console = Console(highlight=False, soft_wrap=True)
        self._evidence = evidence
        self._pillar = ""
        self._begin = time.monotonic()
        self._failed: list[Observation] = []
        self._count = 0

    def add(self, seen: Observation) -> None:
        """Print one observation."""
        if seen.pillar != self._pillar:
            self._pillar = seen.pillar
            self._console.print(f"\n[bold]{seen.pillar}[/]")
        self._count += 1
        if not seen.ok:
            self._failed.append(seen)
        mark = "[green]✓[/]" if seen.ok else "[red]✗[/]"
        name = f"{seen.id.partition('.')[2]:<28} {seen.region:<12}"
        if seen.ok and not self._evidence:
            taken = len(f"  ✓ {name} ")
            room = self._console.width - taken if self._console.is_terminal else None
            self._console.print(f"  {mark} {escape(f'{name} {_fit(seen.seen, room)}')}")
            return
        self._console.print(f"  {mark} {escape(f'{name} {seen.title}')}")
        for label, text in (
            ("expected", seen.expected),
            ("seen", seen.seen),
            ("by", ", ".join(seen.calls) or "no call"),
        ):
            self._console.print(f"      [dim]{label:<9}[/]{escape(text)}")

    def finish(self) -> None:
        """Print what it came to."""
        passed = self._count - len(self._failed)
        colour = "red" if self._failed else "green"
        seconds = time.monotonic() - self._begin
        self._console.print(
            f"\n[{colour}]{passed} passed, {len(self._failed)} failed[/] in {seconds:.1f} s"
        )


def _progress_console() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def _print_columns(rows: Iterable[Sequence[str]]) -> None:
    """Print rows with their columns aligned; a long last one runs on, for programs to read."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        text = escape("   ".join(cells).rstrip())
        bad = line[0] == "✗" or line[-1].endswith(_BAD)
        console.print(f"[red]{text}[/]" if bad else text)


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
    return str(value)


def _place(event: Progress) -> str:
    width = len(str(event.total))
    return f"[{event.position:>{width}}/{event.total}] {event.stack} {event.region}"


def _fit(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: max(room - 1, 0)]}…"
