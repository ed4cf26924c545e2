"""The commands, each loaded only when it is called: `standby --help` loads none."""

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from standby import __version__
from standby.cli import COMMANDS

_COMPLETION = "_STANDBY_COMPLETE"


def build(arguments: Sequence[str]) -> typer.Typer:
    """Make the application that can run a command line; the other commands are only named."""
    app = typer.Typer(
        help=importlib.import_module("standby").__doc__,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, line in COMMANDS.items():
        if name in arguments or _COMPLETION in os.environ:
            app.command(name, short_help=line)(_load(name))
        else:
            app.command(name, help=line)(_only_named)
    return app


def _load(name: str) -> Callable[..., None]:
    """Give the function of a command; it has the name of its module."""
    command: Callable[..., None] = getattr(importlib.import_module(f"standby.cli.{name}"), name)
    return command


def _only_named() -> None:
    """Stand for a command that the command line does not name."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"standby {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    """Multi-region warm standby on AWS, proven before you need it."""
    _: Any = (version, debug)  # both are read elsewhere: by their callback, and from the words
