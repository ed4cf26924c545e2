"""`standby doctor`: what this machine has, and lacks, of what standby needs."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from standby import node
from standby.errors import EnvironmentProblem
from standby.report.console import print_checks
from standby.twin import lifecycle


def doctor() -> None:
    """Check what this machine has of what standby needs.

    Nothing is sent anywhere. Exit code 3 if something is missing that every command needs; what
    only some need is told with its use.
    """
    needed = [(name, *_outcome(check)) for name, check in _NEEDED.items()]
    optional = [(name, True, check()) for name, check in _OPTIONAL.items()]
    print_checks([*needed, *optional])
    if missing := [name for name, good, _ in needed if not good]:
        raise EnvironmentProblem(f"{', '.join(missing)}: not ready; mend what is marked above")


def _outcome(check: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, check()
    except EnvironmentProblem as problem:
        return False, str(problem)


def _python() -> str:
    return f"{sys.version.split()[0]} at {sys.executable}"


def _node() -> str:
    path = node.executable()
    try:
        run = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - the node that synth runs
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentProblem(f"{path} does not run: {error}; check JSII_NODE") from None
    return f"{run.stdout.strip()} at {path}"


def _cdk() -> str:
    try:
        return f"aws-cdk-lib {importlib.metadata.version('aws-cdk-lib')}"
    except importlib.metadata.PackageNotFoundError:
        raise EnvironmentProblem("aws-cdk-lib is not installed; run `make setup`") from None


def _folder() -> str:
    here = Path.cwd()
    if not os.access(here, os.W_OK):
        raise EnvironmentProblem(f"{here} cannot be written to; go to a folder of your own")
    return f"{here} can be written to"


def _twin() -> str:
    running = lifecycle.find()
    return f"answers at {running.endpoint_url}" if running else "not running (`standby up`)"


def _credentials() -> str:
    names = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
    given = [name for name in names if os.environ.get(name)]
    if given:
        return f"{given[0]} is set; not tried"
    if (Path.home() / ".aws").is_dir():
        return "~/.aws is there; not tried"
    return "none; only deploying to AWS needs them"


def _npx() -> str:
    return shutil.which("npx") or "none; only the CDK's own CLI needs it"


_NEEDED: dict[str, Callable[[], str]] = {
    "Python": _python,
    "Node.js": _node,
    "CDK library": _cdk,
    "folder": _folder,
}
_OPTIONAL: dict[str, Callable[[], str]] = {
    "twin": _twin,
    "AWS credentials": _credentials,
    "npx": _npx,
}
