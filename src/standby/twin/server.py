"""The twin's own process: serves the AWS API on 127.0.0.1 until it is told to stop.

Run by `standby.twin.lifecycle`, as ``python -m standby.twin.server``. It writes its state file
once it answers, removes it when it ends, and ends with its parent when it was started bound to
it (a pipe on standard input that the parent's death closes).
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

from standby.files import write_atomically
from standby.twin.bootstrap import bootstrap
from standby.twin.twin import Twin

HOST = "127.0.0.1"


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc]
    """Serves requests on persistent connections, without a log line for each."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        """Say nothing: a deployment makes thousands of requests."""


def serve(port: int, regions: list[str], state: Path, *, bound: bool) -> None:
    """Serve the AWS API until SIGTERM or SIGINT, or until the parent is gone.

    Args:
        port: Port on 127.0.0.1; 0 lets the system choose.
        regions: Regions that start bootstrapped for the CDK.
        state: File that says where the server is, written when it answers.
        bound: Whether to end when standard input is closed.
    """
    twin = Twin()
    server = make_server(HOST, port, twin.gateway, threaded=True, request_handler=_QuietHandler)
    for region in regions:
        bootstrap(twin, region)

    def stop(*_: Any) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if bound:
        threading.Thread(target=_after_parent, args=(stop,), daemon=True).start()
    write_atomically(state, json.dumps({"pid": os.getpid(), "port": server.port}))
    try:
        server.serve_forever()
    finally:
        state.unlink(missing_ok=True)


def _after_parent(act: Callable[[], None]) -> None:
    """Act once the parent's end of the pipe is closed, by its own hand or by its death."""
    sys.stdin.read()
    act()


def main() -> None:
    """Read the arguments that `standby.twin.lifecycle` gives, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--region", action="append", default=[])
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--bound", action="store_true")
    options = parser.parse_args()
    serve(options.port, options.region, options.state, bound=options.bound)


if __name__ == "__main__":
    main()
