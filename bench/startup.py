"""How soon the command line answers when there is nothing to do."""

from bench.figures import Figure
from bench.rig import Rig

HELP_SECONDS = 0.3


def measure(rig: Rig) -> Figure:
    """Time ``standby --help``."""
    (runs,) = rig.take_turns([rig.standby, "--help"])
    return Figure("standby --help", "s", [run.wall for run in runs], HELP_SECONDS, ours=runs)
