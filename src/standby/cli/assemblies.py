"""Which cloud assembly a command works on: one that is there, or that of the settings."""

from pathlib import Path
from typing import Annotated

import typer

from standby.cli.choices import Choices
from standby.cli.synth import ASSEMBLY
from standby.report.console import busy, say
from standby.synthesis import synthesize

AssemblyOption = Annotated[
    Path | None,
    typer.Option(
        "--assembly",
        metavar="DIR",
        help="Deploy this cloud assembly as it is; without it, the settings are synthesized.",
    ),
]


def assembly_of(choices: Choices, given: Path | None) -> Path:
    """Give the folder of the assembly, synthesizing it unless the user names one."""
    if given:
        return given
    with busy("Synthesizing"):
        made = synthesize(choices.settings, ASSEMBLY, context=choices.cdk_context)
    say(f"{ASSEMBLY}: {made.summary}{' (unchanged)' if made.unchanged else ''}")
    return ASSEMBLY
