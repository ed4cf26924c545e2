"""Stacks on a twin in this process, as its tests deploy, change and look into them."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from standby.twin.twin import Twin

PRIMARY, STANDBY = "eu-west-2", "eu-west-3"


class DeploymentFailed(Exception):  # noqa: N818 - what happened, as CloudFormation says it
    """A stack that did not become what was wanted; the message holds the failed events."""


@dataclass(frozen=True)
class Deployed:
    """One stack on the twin."""

    twin: Twin
    region: str
    name: str

    def __getitem__(self, logical_id: str) -> str:
        """Give the physical id of a resource."""
        answer = self.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])

    @property
    def outputs(self) -> dict[str, str]:
        """Give the stack's outputs."""
        stack = self._describe()
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def client(self, service: str, region: str | None = None) -> Any:
        """Give a client of the twin for the stack's region, or another's."""
        return self.twin.client(service, region or self.region)

    def update(self, template: Mapping[str, Any], **options: Any) -> None:
        """Bring the stack to another template."""
        self.run("update_stack", TemplateBody=json.dumps(whole(template)), **options)

    def delete(self) -> None:
        """Delete the stack and all that it made."""
        self.run("delete_stack")

    def _describe(self) -> Any:
        return self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]

    def run(self, operation: str, **arguments: Any) -> None:
        """Run an operation on the stack and wait for its end."""
        client = self.client("cloudformation")
        id_ = self._describe()["StackId"] if operation != "create_stack" else self.name
        getattr(client, operation)(StackName=self.name, **arguments)
        while True:
            stack = client.describe_stacks(StackName=id_)["Stacks"][0]
            status = stack["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                break
            time.sleep(0.01)
        if "ROLLBACK" in status or "FAILED" in status:
            events = client.describe_stack_events(StackName=id_)["StackEvents"]
            reasons = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
                for event in events
                if event["ResourceStatus"].endswith("FAILED")
            ]
            raise DeploymentFailed(f"{status}: {'; '.join(reversed(reasons))}")


Deploy = Callable[..., Deployed]
"""``deploy(resources_or_template, region)`` -> `Deployed`; see the fixture."""


def whole(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a template of nothing but resources its section."""
    return template if "Resources" in template else {"Resources": dict(template)}
