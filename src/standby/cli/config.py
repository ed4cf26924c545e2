"""`standby config`: the settings in force, and where each came from."""

import json
from typing import Annotated, Literal

import typer

from standby.cli.choices import Choices, takes_settings


@takes_settings
def config(
    choices: Choices,
    show_origin: Annotated[
        bool, typer.Option("--show-origin", help="Say which layer each value came from.")
    ] = False,
    output_format: Annotated[
        Literal["console", "json"], typer.Option("--format", help="console or json.")
    ] = "console",
) -> None:
    """Show every setting, its value and where it came from.

    Layers, the strongest first: flag, STANDBY_* environment, -c key=value, standby.toml, preset,
    default.
    """
    values = choices.settings.model_dump(mode="json", by_alias=True)
    if output_format == "json":
        document = (
            {key: {"value": values[key], "origin": choices.origins[key]} for key in values}
            if show_origin
            else values
        )
        typer.echo(json.dumps(document, indent=2))
        return
    from standby.report.console import print_settings

    print_settings(values, choices.origins if show_origin else None)
