"""A probe's view of one side of a deployment: its outputs, and questions to AWS, on the record."""

import re
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from standby.cloud import Cloud
from standby.errors import StandbyError
from standby.verify.outputs import Outputs, Side

T = TypeVar("T")
GLOBAL_SERVICES: Mapping[str, str] = {"iam": "us-east-1", "route53": "us-east-1"}
"""Services with one control plane for all regions, and where it is."""
_READS = re.compile(r"(Describe|Get|List)[A-Z]\w+")


class Unevaluable(StandbyError):  # noqa: N818 - a state of a probe
    """A probe cannot be answered, because something it needs is not there."""


class Reader:
    """Asks AWS each question once, for all probes of a run; only what changes nothing is asked."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._answers: dict[str, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def ask(self, operation: str, region: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Give AWS's answer, or raise what the call raised; equal questions share one call."""
        if not _READS.fullmatch(operation.partition(":")[2]):
            raise ValueError(f"{operation} may change something; a probe only reads")
        question = f"{operation} {region} {sorted(parameters.items())!r}"
        with self._lock:
            mine = question not in self._answers
            answer = self._answers.setdefault(question, Future())
        if mine:
            try:
                answer.set_result(self._cloud.call(operation, region, **parameters))
            except BaseException as error:
                answer.set_exception(error)
                raise
        return answer.result()


class Site:
    """One side of a deployment as one probe sees it; it notes down every call the probe makes.

    Attributes:
        side: The part this side plays.
        region: Its region.
        calls: The API calls made so far, here and on the other side, in order: the evidence.
    """

    def __init__(
        self, reader: Reader, outputs: Outputs, side: Side, calls: list[str] | None = None
    ) -> None:
        self.side = side
        self.region = outputs.region(side)
        self.suffix = outputs.suffix
        self.calls: list[str] = [] if calls is None else calls
        self._reader = reader
        self._outputs = outputs

    @property
    def other(self) -> "Site":
        """The opposite side, on the same record."""
        return Site(self._reader, self._outputs, self.side.other, self.calls)

    @property
    def has_domain(self) -> bool:
        """Whether the application has a name of its own."""
        return self._outputs.has_domain

    def output(self, key: str) -> str:
        """Give an output of this side's stacks, by the naming contract.

        Raises:
            MissingOutput: The deployment does not have it.
        """
        return self._outputs.need(self.side, key)

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Ask AWS in this side's region; ``operation`` is such as ``rds:DescribeDBInstances``."""
        region = GLOBAL_SERVICES.get(operation.partition(":")[0], self.region)
        if (call := f"{operation} {region}") not in self.calls:
            self.calls.append(call)
        return self._reader.ask(operation, region, parameters)

    def resources(self, kind: str) -> list[str]:
        """Give the physical ids of this side's stack resources of a CloudFormation type."""
        return [
            resource["PhysicalResourceId"]
            for stack in self._outputs.stack_names(self.side)
            for resource in self.ask("cloudformation:ListStackResources", StackName=stack)[
                "StackResourceSummaries"
            ]
            if resource["ResourceType"] == kind
        ]

    @property
    def stacks(self) -> Mapping[str, Mapping[str, str]]:
        """The outputs on file of each stack that this side should have."""
        names = self._outputs.stack_names(self.side)
        return {name: self._outputs.stacks.get(name, {}) for name in names}


def only(things: Iterable[T], what: str) -> T:
    """Give the one thing there should be.

    Raises:
        Unevaluable: There is none, or more than one.
    """
    found = list(things)
    if len(found) != 1:
        raise Unevaluable(f"found {len(found) or 'no'} {what}, needed one")
    return found[0]
