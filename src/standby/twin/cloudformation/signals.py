"""Signals: what instances report of their own start, and stacks wait for (``cfn-signal``)."""

import re
from collections.abc import Collection

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.stacks import Stack

_PERIOD = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$")


def seconds(period: str) -> int:
    """Read a duration such as ``PT1H30M``.

    Raises:
        TemplateError: It is none.
    """
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise TemplateError(f"timeout {period!r} is not a duration such as PT15M")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest


def await_signals(
    stack: Stack,
    logical_id: str,
    count: int,
    timeout: float,
    *,
    senders: Collection[str] = (),
    tolerated: int = 0,
) -> tuple[int, int]:
    """Wait for signals to a resource and give how many successes and failures came.

    Args:
        stack: The resource's stack.
        logical_id: The resource.
        count: Signals to wait for.
        timeout: Seconds to wait at most, on this machine's clock.
        senders: Whose signals count; all without any.
        tolerated: Failures that do not end the wait.
    """
    signals = stack.signals.setdefault(logical_id, [])

    def counted() -> tuple[int, int]:
        relevant = [s["Status"] for s in signals if not senders or s["Id"] in senders]
        good = relevant.count("SUCCESS")
        return good, len(relevant) - good

    def settled() -> bool:
        good, bad = counted()
        return good + bad >= count or bad > tolerated

    with stack.signalled:
        stack.signalled.wait_for(settled, timeout)
        return counted()
