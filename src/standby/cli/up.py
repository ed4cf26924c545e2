"""`standby up`: the local twin of both regions, with everything deployed."""

from pathlib import Path
from typing import Annotated

import typer

from standby.assembly.read import read_assembly
from standby.cli.assemblies import AssemblyOption, assembly_of
from standby.cli.choices import Choices, takes_settings
from standby.cloud import ENDPOINT_VARIABLE, Cloud
from standby.deploy import deploy
from standby.errors import EnvironmentProblem
from standby.report.console import DeploymentProgress, busy, say
from standby.twin import lifecycle
from standby.verify import OUTPUTS_FILE, write_outputs


@takes_settings
def up(
    choices: Choices,
    assembly: AssemblyOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything is deployed.")
    ] = False,
) -> None:
    """Start the local twin of both regions and deploy to it.

    The twin answers the AWS API on 127.0.0.1 until `standby down`; without --detach it also ends
    with Ctrl-C. A deployment that fails is rolled back, and the twin ends.
    """
    regions = _regions(choices, assembly)
    with busy("Starting the twin"):
        running, process = lifecycle.start(choices.settings.twin_port, regions)
    try:
        say(f"the twin of {' and '.join(regions)} answers at {running.endpoint_url}")
        directory = assembly_of(choices, assembly)
        with DeploymentProgress() as progress:
            outputs = deploy(read_assembly(directory), Cloud(running.endpoint_url), progress)
        write_outputs(outputs)
        say(f"outputs are in {OUTPUTS_FILE}")
        typer.echo(f"export {ENDPOINT_VARIABLE}={running.endpoint_url}")
        if detach:
            lifecycle.release(process)
            return
        say("running until `standby down` or Ctrl-C")
        code = process.wait()
    except BaseException:
        lifecycle.stop(running)
        process.wait()
        say(f"stopped the twin at {running.endpoint_url}")
        raise
    if code:
        raise EnvironmentProblem(
            f"the twin ended unexpectedly (exit {code}); see {lifecycle.log_file()}"
        )


def _regions(choices: Choices, assembly: Path | None) -> list[str]:
    """Name the regions the twin needs, before anything is synthesized."""
    if assembly:
        return sorted({stack.region for stack in read_assembly(assembly).stacks if stack.region})
    return [choices.settings.primary_region, choices.settings.standby_region]
