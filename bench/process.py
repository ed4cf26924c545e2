"""Runs a command as a whole process, and says what that took."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import Usage
from standby.errors import EnvironmentProblem

_STOP_SECONDS = 10.0


def run(command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Usage:
    """Run a command in ``folder`` and wait for it and all that it started and waited for.

    Raises:
        EnvironmentProblem: It cannot be started, or fails; the message has its last line.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(  # noqa: S603 - commands of the bench's own
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        except OSError as error:
            raise EnvironmentProblem(f"cannot run {command[0]}: {error.strerror}") from None
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _end(process)
            raise
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            last = output.read().decode(errors="replace").strip().splitlines()[-1:]
            raise EnvironmentProblem(
                f"{' '.join(command)} failed (exit {process.returncode}): {''.join(last)}"
            )
    return Usage(wall, usage.ru_utime + usage.ru_stime)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
