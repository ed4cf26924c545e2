"""`standby synth`: from settings to a cloud assembly on disk."""

from pathlib import Path
from typing import Annotated

import typer

from standby import synthesis
from standby.cli import ahead
from standby.cli.choices import Choices, takes_settings

ASSEMBLY = Path("cdk.out")


@takes_settings
def synth(
    choices: Choices,
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the assembly.")
    ] = ASSEMBLY,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Answer from memory if nothing changed.")
    ] = True,
    validate: Annotated[
        bool, typer.Option("--validate", help="Check with the CDK's own rules too (slower).")
    ] = False,
) -> None:
    """Write the cloud assembly of both regions.

    The folder is replaced whole when the synthesis has succeeded. `standby deploy --assembly` and
    `cdk deploy --app` take it as it is.
    """
    made = synthesis.synthesize(
        choices.settings,
        output,
        cache=cache,
        validate=validate,
        context=choices.cdk_context,
        worker=ctx.obj.worker,
    )
    if cache:
        synthesis.remember(ctx.obj.arguments, made, output, [choices.config_file])
    typer.echo(ahead.told(made.summary, unchanged=made.unchanged))
