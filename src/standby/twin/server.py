"""The twin's own process: serves the AWS API on 127.0.0.1 until it is told to stop.

Run by `standby.twin.lifecycle`, as ``python -m standby.twin.server``. It writes its state file
once it answers, removes it when it ends, and ends with its parent (whose death closes the pipe
on standard input) unless the parent releases it.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from standby.errors import EnvironmentProblem
from standby.files import write_atomically
from standby.twin.bootstrap import bootstrap
from standby.twin.lifecycle import HOST, RELEASE, claim
from standby.twin.twin import Twin


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc]
    """Serves requests on persistent connections, without a log line for each."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        """Say nothing: a deployment makes thousands of requests."""


def serve(port: int, regions: list[str], state: Path) -> None:
    """Serve the AWS API until SIGTERM or SIGINT, or until the parent is gone.

    Args:
        port: Port on 127.0.0.1; 0 lets the system choose.
        regions: Regions that start bootstrapped for the CDK.
        state: File that says where the server is, written when it answers.
    """
    twin = Twin()
    server = make_server(HOST, port, twin.gateway, threaded=True, request_handler=_QuietHandler)
    for region in regions:
        bootstrap(twin, region)

    def stop(*_: Any) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=_after_parent, args=(stop,), daemon=True).start()
    where = {"pid": os.getpid(), "port": server.port, "regions": regions}
    write_atomically(state, json.dumps(where))
    threading.Thread(target=twin.warm_up, args=(regions,), daemon=True).start()
    try:
        server.serve_forever()
    finally:
        state.unlink(missing_ok=True)


def _after_parent(act: Callable[[], None]) -> None:
    """Act once the parent's end of the pipe is closed, unless it released the twin before."""
    said = b""
    # Not by sys.stdin: its lock, held while waiting, would keep the process from ending.
    while part := os.read(0, len(RELEASE)):
        said += part
    if said != RELEASE:
        act()


def main() -> None:
    """Read the arguments that `standby.twin.lifecycle` gives, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--region", action="append", default=[])
    parser.add_argument("--state", type=Path, required=True)
    options = parser.parse_args()
    try:
        claim(options.state.parent)
        options.state.unlink(missing_ok=True)  # of one that was killed
        serve(options.port, options.region, options.state)
    except EnvironmentProblem as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
