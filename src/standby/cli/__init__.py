"""The command line: one module per command, and here what all of them have in common."""

import os
import sys
from collections.abc import Sequence

from standby.errors import StandbyError

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


def main() -> None:
    """Run the command line of this process, and end with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code (DESIGN, "CLI contract").

    Every error ends here, as one line on standard error.
    """
    from standby.cli import ahead

    if (answer := ahead.recalled(arguments)) is None:
        return _run(arguments)
    print(answer)  # noqa: T201 - the command's answer, before a console is loaded
    return 0


def _run(arguments: Sequence[str]) -> int:
    from standby.cli import ahead

    try:
        with ahead.begun(arguments) as begun:
            from standby.cli.app import build

            build(arguments)(list(arguments), prog_name="standby", obj=begun)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else StandbyError.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        return 0
    except StandbyError as error:
        return _fail(error, str(error), error.exit_code, arguments)
    except Exception as error:
        message = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
        hint = "" if "--debug" in arguments else "; `standby --debug ...` shows where"
        return _fail(error, message + hint, StandbyError.exit_code, arguments)
    return 0


def _fail(error: Exception, message: str, code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        import traceback

        traceback.print_exception(error)
    print(f"standby: {message}", file=sys.stderr)  # noqa: T201 - the one place for errors
    return code
