"""What can break in a deployment: each breakage done through the service's own API, and undone.

One module per pillar; a breakage in a new module here is found by being here.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from standby.cloud import Cloud
from standby.verify import Outputs, Side
from standby.verify.site import GLOBAL_SERVICES, Reader, Site

Steps = Iterator[str]
"""Breaks something, yields what the probe must be heard to say, and mends it again."""


class Place:
    """One side of a deployment, where something is to be broken.

    Attributes:
        side: The part this side plays.
        region: Its region.
        suffix: The environment's suffix.
        root: Name of the root stack.
    """

    def __init__(self, cloud: Cloud, outputs: Outputs, side: Side) -> None:
        self._cloud, self._outputs = cloud, outputs
        self.side, self.region = side, outputs.region(side)
        self.suffix, self.root = outputs.suffix, outputs.root

    @property
    def other(self) -> "Place":
        """The opposite side."""
        return Place(self._cloud, self._outputs, self.side.other)

    @property
    def site(self) -> Site:
        """This side as probes see it, now."""
        return Site(Reader(self._cloud), self._outputs, self.side)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation, such as ``rds:ModifyDBInstance``, in this side's region."""
        region = GLOBAL_SERVICES.get(operation.partition(":")[0], self.region)
        return self._cloud.call(operation, region, **parameters)

    def output(self, key: str) -> str:
        """Give an output of this side's stacks."""
        return self._outputs.need(self.side, key)

    def put_out(self, **values: str | None) -> None:
        """Let this side's stacks have put out something else, or (None) nothing, from now on."""
        for stack in self._outputs.stack_names(self.side):
            outputs: Any = self._outputs.stacks.get(stack, {})
            for key, value in values.items():
                if key in outputs and value is None:
                    del outputs[key]
                elif key in outputs:
                    outputs[key] = value


@dataclass(frozen=True)
class Breakage:
    """Something broken on one side of a deployment, and the probe that must notice it there."""

    probe: str
    side: Side
    steps: Callable[[Place], Steps]

    @property
    def name(self) -> str:
        """What is broken."""
        return f"{self.probe}-{self.steps.__name__}"


def breaks(probe: str, side: Side = Side.STANDBY) -> Callable[[Callable[[Place], Steps]], Breakage]:
    """Make a breakage of a function; of the standby, whose faults go unnoticed, unless given."""
    return lambda steps: Breakage(probe, side, steps)


def all_breakages() -> list[Breakage]:
    """Give every breakage there is, module by module."""
    return [
        value
        for module in pkgutil.iter_modules(__path__)
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        if isinstance(value, Breakage)
    ]


def given(parameters: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Keep those of some names that a description holds, to call with what it described."""
    return {name: parameters[name] for name in names if parameters.get(name) not in (None, [], "")}
