"""The command line: one module per command, and here what all of them have in common."""

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from standby.errors import EnvironmentProblem, StandbyError

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
UNREAD = 128 + signal.SIGPIPE
"""How the shell tells of a process that a signal ended. Nobody reading on is neither "good" nor
"no": `standby verify | head` has not seen whether every probe passed."""

COMMANDS = {
    "synth": "Write the cloud assembly of both regions.",
    "config": "Show every setting, its value and where it came from.",
    "up": "Start the local twin of both regions and deploy to it.",
    "down": "Stop the local twin.",
    "deploy": "Deploy both regions to AWS or to a running twin.",
    "verify": "Ask AWS or the twin whether a deployment is as it should be.",
    "status": "Show the stacks of both regions, as AWS or the twin tells them.",
    "doctor": "Check what this machine has of what standby needs.",
}
"""Each command's first line of help, so that the list of them loads none."""


def main() -> NoReturn:
    """Run the command line of this process, and end with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error has it
    code = run(sys.argv[1:])
    if code in {INTERRUPTED, TERMINATED}:
        os._exit(code)  # without waiting for threads that still wait for AWS
    sys.exit(code)


def _terminate(*_: object) -> NoReturn:
    """Unwind as an interrupt does, so that nothing is left behind."""
    sys.exit(TERMINATED)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code (DESIGN, "CLI contract").

    Every error ends here, as one line on standard error.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except StandbyError as error:
        return _fail(error, str(error), error.exit_code, arguments)
    except OSError as error:
        _end_output()
        where = f" ({error.filename})" if error.filename else ""
        message = f"the system refuses: {error.strerror or error}{where}"
        return _fail(error, message, EnvironmentProblem.exit_code, arguments)
    except Exception as error:
        message = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
        hint = "" if "--debug" in arguments else "; `standby --debug ...` shows where"
        return _fail(error, message + hint, StandbyError.exit_code, arguments)


def _run(arguments: Sequence[str]) -> int:
    """Run one command line and give the exit code that it, or whoever reads its words, chose."""
    try:
        _carry_out(arguments)
        if sys.stdout:  # there is none if the caller closed it
            sys.stdout.flush()
    except (SystemExit, BrokenPipeError) as ended:
        if isinstance(ended, SystemExit) and not isinstance(ended.__context__, BrokenPipeError):
            return ended.code if isinstance(ended.code, int) else StandbyError.exit_code
        _end_output()
        return UNREAD  # where typer and rich would end with 1, a "no"
    return 0


def _end_output() -> None:
    """Hand over what is still buffered, or send it nowhere: Python tries once more as it ends."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _carry_out(arguments: Sequence[str]) -> None:
    from standby.cli import ahead

    try:
        os.getcwd()  # noqa: PTH109 - before anything is loaded
    except FileNotFoundError:
        raise EnvironmentProblem("this folder no longer exists; `cd` to one that does") from None
    if (answer := ahead.recalled(arguments)) is not None:
        print(answer)  # noqa: T201 - the command's answer, before a console is loaded
        return
    with ahead.begun(arguments) as begun:
        from standby.cli.app import build

        build(arguments)(list(arguments), prog_name="standby", obj=begun)


def _fail(error: Exception, message: str, code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        import traceback

        traceback.print_exception(error)
    print(f"standby: {message}", file=sys.stderr)  # noqa: T201 - the one place for errors
    return code
