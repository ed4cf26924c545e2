"""``--format NAME[:PATH]``: in which forms a command gives its results, and where to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from standby.errors import UsageError
from standby.files import write_atomically
from standby.report.console import say

CONSOLE = "console"
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME[:PATH]",
        help="Form of the result: console, or one for programs, to a file if a path is given; "
        "repeatable.",
    ),
]


def destinations(wanted: Sequence[str] | None, known: Sequence[str]) -> Mapping[str, Path | None]:
    """Read the values of ``--format``: a path for each form, or None for standard output.

    Raises:
        UsageError: An unknown form, or two for one place.
    """
    chosen: dict[str, Path | None] = {}
    for text in wanted or [CONSOLE]:
        name, colon, path = text.partition(":")
        if name not in known:
            raise UsageError(f"--format {text!r}: the forms are {', '.join(known)}")
        if colon and (not path or name == CONSOLE):
            raise UsageError(f"--format {text!r}: write NAME or NAME:PATH; console takes no path")
        if name in chosen:
            raise UsageError(f"--format {name} is given twice")
        chosen[name] = Path(path) if colon else None
    if sum(path is None for path in chosen.values()) > 1:
        raise UsageError(
            f"{' and '.join(name for name, path in chosen.items() if path is None)} would both go "
            "to standard output; give one a path, as in json:result.json"
        )
    return chosen


def write(text: str, path: Path | None) -> None:
    """Write a result to its place."""
    if path is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(path, text)
        say(f"results are in {path}")
