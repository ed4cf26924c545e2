"""The errors a user can act on, each with the exit code of the CLI contract.

Raise one of these where the facts are known; the command line catches them in one
place and prints the message as a single line. Anything else that escapes is a bug.
"""


class StandbyError(Exception):
    """Base of every expected failure: its message says what is wrong, where, and how to mend it."""

    exit_code = 4


class AnswerIsNo(StandbyError):  # noqa: N818 - an answer, not a malfunction
    """The command worked, and the answer is "no": a finding, a failed probe, a breach."""

    exit_code = 1


class UsageError(StandbyError):
    """The user's input is wrong: a setting, an argument, a file they wrote."""

    exit_code = 2


class EnvironmentProblem(StandbyError):  # noqa: N818 - a state of the surroundings
    """The surroundings are not ready: no assembly, no credentials, no Node, a port in use."""

    exit_code = 3
