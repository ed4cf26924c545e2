"""The bench: where the measured commands run, with which environment, and how often."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench import process
from bench.figures import Usage
from standby import node

ROOT = Path(__file__).parents[1]
PEER = Path(__file__).with_name("peer")
_KEPT = {"HOME", "LANG", "LC_ALL", "LOGNAME", "SHELL", "TZ", "USER", "XDG_CACHE_HOME"}


@dataclass(frozen=True)
class Rig:
    """Settings of one run of the bench.

    Attributes:
        runs: How often each contender runs, after one warm-up.
        scratch: A folder for what they write; ``tmp`` in it is their TMPDIR.
    """

    runs: int
    scratch: Path

    @property
    def standby(self) -> str:
        """The command ``standby`` of this Python's environment."""
        return str(Path(sys.executable).with_name("standby"))

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """What the contenders see of the environment: nothing that changes what they do.

        Python may write compiled code, so that the warm-up leaves what `make setup` would.
        """
        folders = (Path(sys.executable).parent, Path(node.executable()).parent)
        return {name: value for name, value in os.environ.items() if name in _KEPT} | {
            "AWS_EC2_METADATA_DISABLED": "true",  # the CDK's CLI asks for credentials, to no end
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_VALIDATION": "false",
            "PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)]),
            "TMPDIR": str(self.scratch / "tmp"),
        }

    def take_turns(self, *commands: Sequence[str]) -> list[list[Usage]]:
        """Run the commands one after the other, again and again; give the runs of each.

        Raises:
            EnvironmentProblem: One of them failed.
        """
        runs: list[list[Usage]] = [[] for _ in commands]
        for turn in range(self.runs + 1):
            for command, taken in zip(commands, runs, strict=True):
                usage = process.run(command, environment=self.environment, folder=ROOT)
                if turn:
                    taken.append(usage)
        return runs
