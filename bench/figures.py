"""What was measured, and what it comes to: medians, and ratios pair by pair."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple


class Usage(NamedTuple):
    """What one run took, in seconds; ``cpu`` counts all its processes, of user and system."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Figure:
    """One measured thing, and the target it is held to.

    Attributes:
        name: What was measured, for people.
        unit: ``x`` for a ratio, else that of the values.
        values: One for each run, or for each pair of runs.
        target: What the median is to stay within.
        ours: Our runs, where processes were timed.
        other: The runs they were paired with: the peer's, or ours without a cache.
        note: What a reader must know besides.
    """

    name: str
    unit: str
    values: Sequence[float]
    target: float
    ours: Sequence[Usage] = field(default=())
    other: Sequence[Usage] = field(default=())
    note: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median is within the target."""
        return self.value <= self.target

    @property
    def cpu_ratio(self) -> float | None:
        """The ratio of the processors' time, which other programs of the machine disturb less."""
        if not self.other:
            return None
        return median(ratios([run.cpu for run in self.ours], [run.cpu for run in self.other]))

    def as_json(self) -> dict[str, Any]:
        """Give the figure with all its runs, as plain data."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.value,
            "min": min(self.values),
            "max": max(self.values),
            "target": self.target,
            "met": self.is_met,
            "cpu_ratio": self.cpu_ratio,
            "ours": [run._asdict() for run in self.ours],
            "other": [run._asdict() for run in self.other],
            "note": self.note,
        }


def ratio(
    name: str, target: float, ours: Sequence[Usage], other: Sequence[Usage], note: str = ""
) -> Figure:
    """Compare runs that took turns: a slow minute of the machine slows both of a pair."""
    values = ratios([run.wall for run in ours], [run.wall for run in other])
    return Figure(name, "x", values, target, ours, other, note)


def ratios(ours: Sequence[float], other: Sequence[float]) -> list[float]:
    """Divide pair by pair."""
    return [a / b for a, b in zip(ours, other, strict=True)]
