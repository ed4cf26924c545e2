"""What the figures were measured on and with."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version

from standby import node


def describe() -> dict[str, str]:
    """Name the machine's parts that the figures depend on."""
    told = subprocess.run(  # noqa: S603 - the node we chose
        [node.executable(), "--version"], capture_output=True, check=True, text=True
    )
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(_cores()),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "node": told.stdout.strip().removeprefix("v"),
        "aws-cdk-lib": version("aws-cdk-lib"),
    }


def _cores() -> int:
    """Count the processors that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
