"""What `standby synth` does before the command line is read, because reading it takes time.

An unchanged assembly is answered from memory without loading anything; otherwise the CDK is
loaded in its own process while this one reads the command line.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from standby import synthesis

_HELP = {"-h", "--help"}


class Begun(NamedTuple):
    """A command line whose work has begun.

    Attributes:
        arguments: Its words.
        worker: The process that loads the CDK, for a command that needs it.
    """

    arguments: Sequence[str]
    worker: synthesis.Worker | None


def recalled(arguments: Sequence[str]) -> str | None:
    """Give the answer to a `synth` of the same words as before, if nothing has changed since."""
    if arguments[:1] != ["synth"]:
        return None
    summary = synthesis.recall(arguments)
    return None if summary is None else told(summary, unchanged=True)


@contextlib.contextmanager
def begun(arguments: Sequence[str]) -> Iterator[Begun]:
    """Begin a command line: load the CDK in the background if the command will need it."""
    if arguments[:1] != ["synth"] or _HELP.intersection(arguments):
        yield Begun(arguments, None)
        return
    with synthesis.Worker() as worker:
        yield Begun(arguments, worker)


def told(summary: str, *, unchanged: bool) -> str:
    """Say what a synthesis came to, in the words of the command's answer."""
    return f"{summary} (unchanged)" if unchanged else summary
