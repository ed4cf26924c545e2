"""Running probes: all at once, reported in the order of the pillars."""

import difflib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from standby.cloud import Cloud
from standby.errors import EnvironmentProblem, UsageError
from standby.verify.outputs import Outputs, Side
from standby.verify.probe import PILLARS, Observation, Probe
from standby.verify.site import Reader, Site

WORKERS = 12
"""Probes wait for AWS nearly all their time; AWS throttles reads well above this."""


def select(probes: Sequence[Probe], names: Sequence[str]) -> list[Probe]:
    """Keep the probes that ``names`` name, by id or by pillar; all of them without names.

    Raises:
        UsageError: A name is neither.
    """
    known = {p.id for p in probes} | {p.pillar for p in probes}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"pillars are {', '.join(PILLARS)}"
            raise UsageError(f"no probe or pillar is named {name!r}; {hint}")
    return [p for p in probes if not names or p.id in names or p.pillar in names]


def verify(cloud: Cloud, outputs: Outputs, probes: Sequence[Probe]) -> Iterator[Observation]:
    """Ask the probes that apply to a deployment, and give what they see as it becomes known.

    The order is that of ``probes``, primary before standby, however long each takes.

    Raises:
        EnvironmentProblem: Neither region answers, or the credentials are no good.
    """
    _reach(cloud, outputs)
    reader = Reader(cloud)
    questions = [
        (probe, Site(reader, outputs, side))
        for probe in probes
        if probe.applies(outputs)
        for side in probe.sides
    ]
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="probe")
    try:
        yield from pool.map(lambda question: question[0].observe(question[1]), questions)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt waits for no answer


def _reach(cloud: Cloud, outputs: Outputs) -> None:
    """Refuse to begin if nothing answers; one living region is enough to see that one is lost."""
    for side in Side:
        try:
            cloud.account(outputs.region(side))
        except EnvironmentProblem:
            if side is Side.STANDBY:
                raise
        else:
            return
