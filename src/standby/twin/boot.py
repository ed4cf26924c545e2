"""What happens on an instance after its launch: it boots, runs its user data, and serves.

The control plane starts and stops machines here, and asks since when one serves; nothing else
about them is its business. What a machine does at boot is a `Program`: `simulated` for now,
which reads the user data instead of running it. A data plane that runs real processes replaces
that function alone.
"""

import logging
import re
import shlex
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from standby.twin.twin import Twin

log = logging.getLogger(__name__)

BOOT_SECONDS = 90.0
"""From the launch of an instance to the end of its user data, on AWS's own clock. Assumption:
AWS publishes no figure; it covers the start of Amazon Linux 2023 and the installation of a few
packages."""
SEPARATORS = frozenset(["&", "&&", "|", "||", ";", "(", ")", "{", "}"])


@dataclass(frozen=True)
class Machine:
    """An instance as its own operating system knows it."""

    id: str
    region: str
    user_data: str


@dataclass(frozen=True)
class Signal:
    """One call of cfn-signal: which resource of which stack it reports to, and what."""

    stack: str
    resource: str
    region: str
    unique_id: str
    status: str


@dataclass(frozen=True)
class Outcome:
    """How a boot ended: whether the application serves, and whom the machine told."""

    serves: bool
    signals: tuple[Signal, ...] = ()


Program = Callable[[Machine], Outcome]


def simulated(machine: Machine) -> Outcome:
    """Give the outcome of user data that runs to its end without a fault.

    The application serves unless the user data reports a failure in so many words
    (``cfn-signal --exit-code 1``); on a machine without user data nothing listens.
    """
    signals = tuple(signals_of(machine))
    failed = any(signal.status == "FAILURE" for signal in signals)
    return Outcome(bool(machine.user_data.strip()) and not failed, signals)


def signals_of(machine: Machine) -> Iterator[Signal]:
    """Give the signals that a machine's user data sends, read as a shell would.

    An exit code that is a variable is the script's own, and the script succeeds.
    """
    for line in machine.user_data.replace("\\\n", " ").splitlines():
        if "cfn-signal" not in line or line.lstrip().startswith("#"):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError as error:  # an open quote: no shell would run it either
            log.info("%s: cannot read %r: %s", machine.id, line, error)
            continue
        for position, word in enumerate(words):
            if PurePath(word).stem == "cfn-signal":
                arguments = words[position + 1 :]
                stop = next((i for i, w in enumerate(arguments) if w in SEPARATORS), None)
                options = _options(arguments[:stop])
                if "stack" in options and "resource" in options:
                    yield _signal(machine, options)


def _signal(machine: Machine, options: dict[str, str]) -> Signal:
    code, success = options.get("exit-code", "0"), options.get("success", "true")
    failed = (code.isdigit() and int(code) != 0) or success == "false"
    return Signal(
        stack=options["stack"],
        resource=options["resource"],
        region=options.get("region", machine.region),
        unique_id=options.get("id", machine.id),
        status="FAILURE" if failed else "SUCCESS",
    )


def _options(words: list[str]) -> dict[str, str]:
    """Read cfn-signal's options, in any spelling that it accepts, into their long names."""
    short = {"-e": "exit-code", "-s": "success", "-i": "id", "-d": "data", "-r": "reason"}
    found, rest = {}, iter(words)
    for word in rest:
        if match := re.fullmatch(r"--([a-z-]+)=(.*)", word, re.DOTALL):
            found[match[1]] = match[2]
        elif word.startswith("-"):
            found[short.get(word, word.lstrip("-"))] = next(rest, "")
    return found


class Machines:
    """The machines of one region, from their launch to their end.

    Each boots on a timer of its own, which dies with the process, with the twin and with the
    machine, whichever comes first.
    """

    def __init__(self, program: Program = simulated) -> None:
        """Start with none.

        Args:
            program: What a machine does at boot.
        """
        self.program = program
        self._lock = threading.RLock()
        self._timers: dict[str, threading.Timer] = {}
        self._serving: dict[str, float] = {}
        self._twin: weakref.ref[Twin] | None = None

    def start(self, twin: "Twin", machine: Machine) -> None:
        """Let a machine boot, which takes `BOOT_SECONDS` of the twin's clock."""
        timer = threading.Timer(BOOT_SECONDS / twin.speed, self._boot, [machine])
        timer.name, timer.daemon = f"boot of {machine.id}", True
        with self._lock:
            if self._twin is None:
                self._twin = weakref.ref(twin, lambda _: self.close())
            self._timers[machine.id] = timer
        timer.start()

    def stop(self, machine_id: str) -> None:
        """Switch a machine off, also while it boots."""
        with self._lock:
            self._serving.pop(machine_id, None)
            timer = self._timers.pop(machine_id, None)
        if timer:
            timer.cancel()

    def serving_since(self, machine_id: str) -> float | None:
        """Give the moment (of ``time.monotonic``) since which a machine serves, or None."""
        return self._serving.get(machine_id)

    def close(self) -> None:
        """Switch all machines off."""
        with self._lock:
            timers = list(self._timers.values())
            self._timers.clear()
            self._serving.clear()
        for timer in timers:
            timer.cancel()

    def _boot(self, machine: Machine) -> None:
        outcome = self.program(machine)
        with self._lock:
            if self._timers.pop(machine.id, None) is None:
                return  # switched off meanwhile
            if outcome.serves:
                self._serving[machine.id] = time.monotonic()
        for signal in outcome.signals:
            self._send(signal)

    def _send(self, signal: Signal) -> None:
        """Call CloudFormation as cfn-signal does; a refusal is the script's to bear."""
        twin = self._twin() if self._twin else None
        if twin is None:
            return
        try:
            twin.client("cloudformation", signal.region).signal_resource(
                StackName=signal.stack,
                LogicalResourceId=signal.resource,
                UniqueId=signal.unique_id,
                Status=signal.status,
            )
        except ClientError as error:
            log.info("%s: cfn-signal: %s", signal.unique_id, error)
