"""A folder in which a user works with the command line, each command a process of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standby.twin import lifecycle

ROOT = Path(__file__).parents[1]


def interruptible() -> None:
    """Let a child be interrupted, also where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Workspace:
    """A folder in which a user works, and the commands they give there."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def begin(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command of the ``standby`` command line."""
        return subprocess.Popen(
            [sys.executable, "-m", "standby.cli", *command],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interruptible,
            **options,
        )

    def standby(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Give a command of the ``standby`` command line, and wait for its end."""
        process = self.begin(*command)
        out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def into(self, stdout: int, *command: str) -> subprocess.CompletedProcess[str]:
        """Give a command whose standard output goes to an open file or pipe."""
        return subprocess.run(
            [sys.executable, "-m", "standby.cli", *command],
            cwd=self.folder,
            env=self._environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        unwanted = ("AWS_", "STANDBY_", "CDK_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
        settings = {"STANDBY_WORKLOAD_PATH": str(ROOT / "workload"), "STANDBY_TWIN_PORT": "0"}
        return inherited | settings | self.environment

    @property
    def twin(self) -> lifecycle.Running | None:
        """The twin that runs from this folder."""
        return lifecycle.find(self.folder / lifecycle.STATE_DIR)

    def outputs(self, name: str = "outputs.json") -> dict[str, Any]:
        """Read what the last deployment put out."""
        content: dict[str, Any] = json.loads((self.folder / "cfn-outputs" / name).read_text())
        return content

    def down(self) -> None:
        """Stop the twin, if one still runs."""
        if running := self.twin:
            lifecycle.stop(running)
