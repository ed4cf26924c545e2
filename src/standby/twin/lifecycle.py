"""Starts, finds and stops the twin's process."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from standby.errors import EnvironmentProblem

HOST = "127.0.0.1"
STATE_DIR = Path(".standby")
RELEASE = b"release"
"""What a parent writes to the twin's standard input to let it live on without the parent."""
START_TIMEOUT, STOP_TIMEOUT = 30.0, 10.0
"""Seconds that the process may take to answer, and to end."""
CLAIM_TIMEOUT = 3.0
"""Seconds that one which ends may take to do so."""


@dataclass(frozen=True)
class Running:
    """A twin that answers.

    Attributes:
        regions: Regions that it started bootstrapped for the CDK.
    """

    pid: int
    port: int
    regions: tuple[str, ...]
    state_dir: Path

    @property
    def endpoint_url(self) -> str:
        """The value for ``AWS_ENDPOINT_URL``."""
        return f"http://{HOST}:{self.port}"


def log_file(state_dir: Path = STATE_DIR) -> Path:
    """Give the file that a twin's process writes its messages to."""
    return state_dir / "twin.log"


def find(state_dir: Path = STATE_DIR) -> Running | None:
    """Give the twin that runs from here, or None; what one that died has left tells of none."""
    if not _is_claimed(state_dir):
        return None
    try:
        content = json.loads(_state_file(state_dir).read_text(encoding="utf-8"))
        return Running(content["pid"], content["port"], tuple(content["regions"]), state_dir)
    except FileNotFoundError:
        return None  # it is only starting


def claim(state_dir: Path) -> None:
    """Hold a folder for the twin that this process is; the system lets go of it at our very end.

    Raises:
        EnvironmentProblem: Another twin holds it.
    """
    folder = os.open(state_dir, os.O_RDONLY)  # and never closed
    deadline = time.monotonic() + CLAIM_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.02)
    raise EnvironmentProblem("another twin is being started from this folder, or still ends")


def _is_claimed(state_dir: Path) -> bool:
    try:
        folder = os.open(state_dir, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False


def start(
    port: int, regions: Sequence[str], *, state_dir: Path = STATE_DIR
) -> tuple[Running, subprocess.Popen[bytes]]:
    """Start a twin's process and wait until it answers; it ends when this process does.

    Args:
        port: Port on 127.0.0.1; 0 lets the system choose.
        regions: Regions that start bootstrapped for the CDK.
        state_dir: Folder of its state file and log.

    Raises:
        EnvironmentProblem: One runs already, the port is taken, or the process died.
    """
    if running := find(state_dir):
        raise EnvironmentProblem(
            f"a twin is already running on port {running.port} (process {running.pid}); "
            "stop it with `standby down`"
        )
    if port and _answers(port):
        raise EnvironmentProblem(
            f"port {port} on {HOST} is taken by another program; "
            "choose one with --twin-port or twinPort"
        )
    state_dir.mkdir(parents=True, exist_ok=True)
    log = log_file(state_dir)
    arguments = ["--port", str(port), "--state", str(_state_file(state_dir).absolute())]
    for region in regions:
        arguments += ["--region", region]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "standby.twin.server", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A thread per request, each with a heap of its own, would hold 20 MiB more.
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},
        )
    try:
        return _await(process, state_dir, log), process
    except BaseException:
        process.kill()
        process.wait()
        raise


def release(process: subprocess.Popen[bytes]) -> None:
    """Let a twin that `start` gave live on when this process ends."""
    if process.stdin is not None:
        process.stdin.write(RELEASE)
        process.stdin.close()


def stop(running: Running) -> None:
    """Stop a twin and wait until its process is gone.

    Raises:
        EnvironmentProblem: It does not end, or belongs to another user.
    """
    deadline = time.monotonic() + STOP_TIMEOUT
    try:
        os.kill(running.pid, signal.SIGTERM)
        while _is_claimed(running.state_dir):
            if time.monotonic() > deadline:
                os.kill(running.pid, signal.SIGKILL)
            time.sleep(0.02)
    except ProcessLookupError:
        pass  # it ended by itself, which is what was wanted
    except PermissionError:
        raise EnvironmentProblem(f"process {running.pid} belongs to another user") from None
    _state_file(running.state_dir).unlink(missing_ok=True)


@contextlib.contextmanager
def running_twin(regions: Sequence[str], state_dir: Path, port: int = 0) -> Iterator[Running]:
    """Give a twin for the length of a ``with`` block; it ends with the block, or with us."""
    running, process = start(port, regions, state_dir=state_dir)
    try:
        yield running
    finally:
        stop(running)
        process.wait()


def _state_file(state_dir: Path) -> Path:
    return state_dir / "twin.json"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _await(process: subprocess.Popen[bytes], state_dir: Path, log: Path) -> Running:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            why = "".join(last) or "it could not say why; is the disk full?"
            raise EnvironmentProblem(f"the twin did not start: {why} (all of it: {log})")
        if (running := find(state_dir)) and running.pid == process.pid:
            return running
        time.sleep(0.02)
    raise EnvironmentProblem(f"the twin did not answer within {START_TIMEOUT:.0f} s (see {log})")
