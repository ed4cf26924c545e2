"""`standby verify`: is what was deployed as it should be?"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from standby.cli.connection import EndpointUrl, Profile, connect
from standby.cli.formats import CONSOLE, Formats, destinations, write
from standby.errors import AnswerIsNo
from standby.report import json, junit
from standby.report.console import ObservationPrinter
from standby.verify import OUTPUTS_FILE, Observation, Outputs, all_probes, select
from standby.verify import verify as ask

DOCUMENTS = {"json": json.observations, "junit": junit.observations}


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROBE|PILLAR]...", help="What to ask; everything if not given."),
    ] = None,
    *,
    endpoint_url: EndpointUrl = None,
    profile: Profile = None,
    outputs: Annotated[
        Path, typer.Option("--outputs", metavar="FILE", help="The deployment's outputs.")
    ] = OUTPUTS_FILE,
    formats: Formats = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Show what each probe expected, and its API calls.")
    ] = False,
) -> None:
    """Ask AWS or the twin whether a deployment is as it should be.

    The probes only read. Exit code 1 if one fails or cannot be answered.
    """
    places = destinations(formats, [CONSOLE, *DOCUMENTS])
    probes = select(all_probes(), names or [])
    answers = ask(connect(endpoint_url, profile), Outputs.read(outputs), probes)
    seen = _shown(answers, evidence=evidence) if CONSOLE in places else list(answers)
    for name, path in places.items():
        if name != CONSOLE:
            write(DOCUMENTS[name](seen), path)
    if failed := [each for each in seen if not each.ok]:
        raise AnswerIsNo(f"{len(failed)} of {len(seen)} probes failed, first {failed[0].id}")


def _shown(answers: Iterable[Observation], *, evidence: bool) -> list[Observation]:
    """Print each observation as it comes, and give them all."""
    printer = ObservationPrinter(evidence=evidence)
    seen = []
    for each in answers:
        printer.add(each)
        seen.append(each)
    printer.finish()
    return seen
