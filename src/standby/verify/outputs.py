"""What a deployment left behind for the outside world: its stacks' outputs, by side.

The file is `cfn-outputs/outputs.json`, in the format of ``cdk deploy --outputs-file``; the names
are the naming contract of the design. Everything else about a deployment is asked of AWS.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from standby.errors import EnvironmentProblem, StandbyError
from standby.files import write_atomically

OUTPUTS_FILE = Path("cfn-outputs/outputs.json")
FLAT_FILE = "flat-outputs.json"


class Side(StrEnum):
    """One of the two regions, by the part it plays when nothing is wrong."""

    PRIMARY = "primary"
    STANDBY = "standby"

    @property
    def other(self) -> "Side":
        """The side that this one fails over to, or for."""
        return Side.STANDBY if self is Side.PRIMARY else Side.PRIMARY


_PER_SIDE: Mapping[str, tuple[str, ...]] = {
    "VpcStack-{}": ("VpcId", "VpcCidr"),
    "Security{}": ("KmsKeyArn",),
    "Storage{}": ("EfsId", "EfsDnsName"),
    "Database{}": ("DbEndpoint",),
    "Compute{}": ("LoadBalancerDns", "AutoScalingGroupName"),
    "Monitoring{}": ("AlarmTopicArn",),
}
_OF_ONE_SIDE: Mapping[Side, Mapping[str, tuple[str, ...]]] = {
    Side.PRIMARY: {
        "": (),
        "DatabasePrimary": ("DbCredentialsSecret",),
        "VpcPeering": ("VpcPeeringConnectionId",),
        "Resilience": ("ResilienceHubAppArn", "ExperimentTemplateId"),
    },
    Side.STANDBY: {
        "VpcPeeringRoutes": (),
        "Dns": (
            "PrimaryHealthCheckId",
            "StandbyHealthCheckId",
            "FailoverHealthCheckId",
            "FailoverLatchHealthCheckId",
        ),
    },
}
_OPTIONAL: Mapping[Side, tuple[str, ...]] = {
    Side.PRIMARY: (),
    Side.STANDBY: ("DnsZone", "Failover"),
}
"""Stacks that only some configurations have; they count when they put something out."""


class MissingOutput(StandbyError):  # noqa: N818 - a fact about the deployment
    """A deployment did not put out what the naming contract promises."""


def promised(side: Side) -> dict[str, tuple[str, ...]]:
    """Give the stacks of a side and the outputs of each; names lack the root stack's prefix."""
    stacks = {name.format(side.capitalize()): outputs for name, outputs in _PER_SIDE.items()}
    for name, outputs in _OF_ONE_SIDE[side].items():
        stacks[name] = (*stacks.get(name, ()), *outputs)
    return stacks


@dataclass(frozen=True)
class Outputs:
    """The outputs of one environment's stacks, by full stack name.

    Attributes:
        root: Name of the root stack, which begins every other stack's name.
        stacks: Outputs by stack name.
    """

    root: str
    stacks: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, path: Path = OUTPUTS_FILE) -> "Outputs":
        """Read and check an outputs file.

        Raises:
            EnvironmentProblem: It is absent, unreadable, half-written, not an outputs file, or
                holds more than one environment.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EnvironmentProblem(
                f"no {path}; deploy first (`standby up`, or `cdk deploy --outputs-file {path}`)"
            ) from None
        except OSError as error:
            raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise EnvironmentProblem(
                f"{path} is damaged or half-written ({error}); deploy again to renew it"
            ) from None
        return cls(_root(document, path), document)

    def flat(self) -> dict[str, str]:
        """Give the outputs of the primary region's stacks and of DNS by key alone."""
        names = (*self.stack_names(Side.PRIMARY), self._full("Dns"))
        return {key: value for name in names for key, value in self.stacks.get(name, {}).items()}

    @property
    def suffix(self) -> str:
        """The environment's suffix, such as ``dev``."""
        return self.root.removeprefix("TapStack")

    @property
    def has_domain(self) -> bool:
        """Whether the application has a name of its own, with failover behind it."""
        return self.get(Side.STANDBY, "ApplicationUrl") is not None

    def stack_names(self, side: Side) -> list[str]:
        """Name the stacks of a side: those of the naming contract, deployed or not, and others."""
        optional = [name for name in _OPTIONAL[side] if self._full(name) in self.stacks]
        return [self._full(name) for name in (*promised(side), *optional)]

    def region(self, side: Side) -> str:
        """Give the region of a side, from the first ARN that one of its stacks put out."""
        for name in self.stack_names(side):
            for value in self.stacks.get(name, {}).values():
                if match := re.match(r"arn:[\w-]+:[\w-]+:([a-z0-9-]+):\d{12}:", value):
                    return match[1]
        raise EnvironmentProblem(
            f"the outputs tell no {side} region: no stack of that side put out an ARN "
            f"(KmsKeyArn of {self._full(f'Security{side.capitalize()}')}); deploy all stacks"
        )

    def get(self, side: Side, key: str) -> str | None:
        """Give an output of a side's stacks, or None if none of them has it."""
        for name in self.stack_names(side):
            if key in self.stacks.get(name, {}):
                return self.stacks[name][key]
        return None

    def need(self, side: Side, key: str) -> str:
        """Give an output of a side's stacks.

        Raises:
            MissingOutput: No stack of that side has it.
        """
        if (value := self.get(side, key)) is None:
            owner = next((name for name, keys in promised(side).items() if key in keys), None)
            where = f"stack {self._full(owner)}" if owner else f"any {side} stack"
            raise MissingOutput(f"the outputs have no {key} of {where}")
        return value

    def _full(self, name: str) -> str:
        return f"{self.root}-{name}" if name else self.root


def write_outputs(stacks: Mapping[str, Mapping[str, str]], path: Path = OUTPUTS_FILE) -> None:
    """Write a deployment's outputs by stack name, and beside them the flat ones of our own app.

    Raises:
        EnvironmentProblem: The disk is full, or the place cannot be written to.
    """
    write_atomically(path, json.dumps(stacks, indent=2, sort_keys=True) + "\n")
    if roots := _roots(stacks):
        (root,) = roots
        flat = Outputs(root, stacks).flat()
        write_atomically(
            path.with_name(FLAT_FILE), json.dumps(flat, indent=2, sort_keys=True) + "\n"
        )


def _root(document: Any, path: Path) -> str:
    """Find the name of the root stack, and refuse what is no outputs file."""
    if not isinstance(document, dict) or not all(
        isinstance(outputs, dict) and all(isinstance(value, str) for value in outputs.values())
        for outputs in document.values()
    ):
        raise EnvironmentProblem(
            f"{path} is not an outputs file: it must map stack names to outputs, and those to text"
        )
    roots = _roots(document)
    if not roots:
        raise EnvironmentProblem(f"{path} has no stack named TapStack...-VpcStack-Primary")
    if len(roots) > 1:
        raise EnvironmentProblem(
            f"{path} holds several environments ({', '.join(sorted(roots))}); keep one per file"
        )
    return roots.pop()


def _roots(stacks: Iterable[str]) -> set[str]:
    """Name the root stacks that stacks of ours belong to, one per environment."""
    matches = (re.match(r"(TapStack.*)-VpcStack-Primary$", name) for name in stacks)
    return {match[1] for match in matches if match}
