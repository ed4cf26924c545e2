"""The state of CloudFormation in one region: stacks, their resources, events and change sets."""

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standby.twin.cloudformation.template import Template


def now() -> datetime:
    """Give the present in UTC."""
    return datetime.now(UTC)


@dataclass
class StackResource:
    """One resource that exists.

    Attributes:
        deletion_policy: What becomes of it when it leaves the stack.
        replace_policy: What becomes of the one that it replaces.
        tags: Those of the stack, if its type takes tags.
    """

    logical_id: str
    type: str
    physical_id: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    tags: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    reason: str | None = None
    updated: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Event:
    """One line of a stack's history."""

    id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str | None
    time: datetime
    token: str | None


@dataclass(frozen=True)
class Change:
    """What a change set would do to one resource."""

    action: str
    logical_id: str
    type: str
    physical_id: str = ""
    replacement: bool = False
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """What a stack is to become: a template with its parameters and tags.

    Attributes:
        inputs: The parameters as they were submitted, such as a name in Systems Manager.
        parameters: What they come to.
    """

    template: Template
    inputs: Mapping[str, str]
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]

    def agrees_with(self, other: "Deployment") -> bool:
        """Say whether both agree in what a stack has beyond its resources: outputs and tags."""
        outputs = self.template.document.get("Outputs"), other.template.document.get("Outputs")
        return outputs[0] == outputs[1] and self.tags == other.tags


@dataclass(frozen=True)
class AfterFailure:
    """What becomes of an operation that failed.

    Attributes:
        action: ``ROLLBACK``, ``DELETE`` or ``DO_NOTHING``.
        retain_except_on_create: Delete what the operation itself made, whatever its policy says.
    """

    action: str = "ROLLBACK"
    retain_except_on_create: bool = False

    def policy(self, made: StackResource, before: StackResource | None) -> str:
        """Say what becomes of a resource that the operation made, new or in place of another."""
        retained = before is None and made.deletion_policy == "Retain"
        return "Retain" if retained and not self.retain_except_on_create else "Delete"


@dataclass
class ChangeSet:
    """A reviewed change of one stack, not yet executed."""

    id: str
    name: str
    kind: str
    deployment: Deployment
    changes: list[Change]
    description: str | None = None
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution_status: str = "AVAILABLE"
    after_failure: AfterFailure = field(default_factory=AfterFailure)
    created: datetime = field(default_factory=now)


@dataclass
class Stack:
    """One stack and everything that it did."""

    name: str
    id: str
    region: str
    account: str
    deployment: Deployment
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    created: datetime = field(default_factory=now)
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, StackResource] = field(default_factory=dict)
    outputs: list[Mapping[str, str]] = field(default_factory=list)
    imports: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    termination_protection: bool = False
    role_arn: str | None = None
    signals: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)
    signalled: threading.Condition = field(default_factory=threading.Condition)

    @property
    def busy(self) -> bool:
        """Say whether an operation runs on the stack."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def has_reached(self, deployment: Deployment, changes: Sequence[Change]) -> bool:
        """Say whether the stack is already what a deployment, with these changes, would make it."""
        unfinished = self.status.endswith("_FAILED")
        return not (changes or unfinished) and self.deployment.agrees_with(deployment)

    def output(self, key: str) -> str | None:
        """Give the value of one output, or None."""
        return next((o["OutputValue"] for o in self.outputs if o["OutputKey"] == key), None)

    def record(
        self, resource: StackResource | None, status: str, reason: str | None = None
    ) -> None:
        """Set the status of the stack (None) or of a resource, and note it as an event."""
        if resource is None:
            self.status, self.reason = status, reason
        else:
            resource.status, resource.reason, resource.updated = status, reason, now()
        self.events.append(
            Event(
                id=str(uuid.uuid4()),
                logical_id=resource.logical_id if resource else self.name,
                physical_id=resource.physical_id if resource else self.id,
                type=resource.type if resource else "AWS::CloudFormation::Stack",
                status=status,
                reason=reason,
                time=now(),
                token=None,
            )
        )


class StackStore:
    """The stacks of one region, deleted ones included (they answer to their id alone)."""

    def __init__(self) -> None:
        self.stacks: list[Stack] = []
        self.lock = threading.RLock()

    def find(self, name_or_id: str) -> Stack | None:
        """Give the live stack of a name, or any stack by its id."""
        return next(
            (
                stack
                for stack in reversed(self.stacks)
                if stack.id == name_or_id
                or (stack.name == name_or_id and stack.status != "DELETE_COMPLETE")
            ),
            None,
        )

    def live(self) -> list[Stack]:
        """Give every stack that is not deleted."""
        return [stack for stack in self.stacks if stack.status != "DELETE_COMPLETE"]

    def exports(self) -> dict[str, tuple[Stack, str]]:
        """Give every export of the region: its stack and value by name."""
        return {
            output["ExportName"]: (stack, output["OutputValue"])
            for stack in self.live()
            for output in stack.outputs
            if output.get("ExportName")
        }

    def conflict(self, stack: Stack, outputs: Iterable[Mapping[str, str]]) -> str | None:
        """Say which of a stack's coming exports another stack has already."""
        exports = self.exports()
        for output in outputs:
            name = output.get("ExportName", "")
            if name in exports and exports[name][0] is not stack:
                other = exports[name][0].name
                return f"Export with name {name} is already exported by stack {other}."
        return None

    def importers(self, export: str) -> list[Stack]:
        """Give the stacks that an export is imported by."""
        return [stack for stack in self.live() if export in stack.imports]

    def unreleased(self, stack: Stack, outputs: Iterable[Mapping[str, str]]) -> str | None:
        """Say which export of a stack is imported elsewhere and would not outlive a change.

        Args:
            stack: The exporting stack.
            outputs: Its outputs after the change.
        """
        kept = {output.get("ExportName"): output["OutputValue"] for output in outputs}
        for output in stack.outputs:
            name = output.get("ExportName", "")
            users = " and ".join(user.name for user in self.importers(name))
            if users and kept.get(name) != output["OutputValue"]:
                what = "update" if name in kept else "delete"
                return f"Cannot {what} export {name} as it is in use by {users}."
        return None
