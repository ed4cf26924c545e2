"""Rolling updates: how CloudFormation replaces a group's instances by newer ones, in batches.

Source: CloudFormation template reference, "UpdatePolicy attribute". Where so many instances must
stay in service that none may go, CloudFormation lets the group grow by a batch first.
"""

import time
from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.signals import await_signals, seconds
from standby.twin.cloudformation.stacks import StackStore
from standby.twin.handlers import Resource

LONGEST_PAUSE = "PT5M"
"""What an update waits for signals when it does not say how long."""


class RollingUpdate:
    """The replacement of those instances of a group that are not what it would launch now."""

    def __init__(self, r: Resource, policy: Mapping[str, Any]) -> None:
        """Prepare the update.

        Args:
            r: The group, with its new settings in force.
            policy: Its ``AutoScalingRollingUpdate``.
        """
        self._r = r
        self._scaling = r.client("autoscaling")
        self._name = {"AutoScalingGroupName": r.physical_id}
        self._batch = int(policy.get("MaxBatchSize", 1))
        self._in_service = int(policy.get("MinInstancesInService", 0))
        self._percent = int(policy.get("MinSuccessfulInstancesPercent", 100))
        self._waits = str(policy.get("WaitOnResourceSignals", False)).lower() == "true"
        default = LONGEST_PAUSE if self._waits else "PT0S"
        self._pause = seconds(policy.get("PauseTime", default)) / r.twin.speed
        self._suspended = policy.get("SuspendProcesses", [])
        self._failed = 0
        self._total = 0

    def run(self) -> None:
        """Replace every outdated instance.

        Raises:
            TemplateError: Too many new instances failed, or gave no signal in time.
        """
        group = self._group()
        self._total, steady = len(self._outdated(group)), group["DesiredCapacity"]
        if not self._total:
            return
        already = {process["ProcessName"] for process in group["SuspendedProcesses"]}
        processes = [name for name in self._suspended if name not in already]
        if processes:
            self._scaling.suspend_processes(**self._name, ScalingProcesses=processes)
        try:
            while old := self._outdated(group := self._group()):
                self._replace(group, old, steady)
            if group["DesiredCapacity"] != steady:
                self._scaling.set_desired_capacity(**self._name, DesiredCapacity=steady)
        finally:
            if processes:
                self._scaling.resume_processes(**self._name, ScalingProcesses=processes)

    def _replace(self, group: Mapping[str, Any], old: list[str], steady: int) -> None:
        """Let one batch of instances go, or the group grow by one before."""
        before = {each["InstanceId"] for each in group["Instances"]}
        desired = group["DesiredCapacity"]
        room = len(before) - self._in_service
        if room > 0:
            for id_ in old[: min(self._batch, room)]:
                shrinks = desired > steady
                self._end(id_, shrinks=shrinks)
                desired -= shrinks
        else:
            more = min(self._batch, len(old), group["MaxSize"] - desired)
            if more <= 0:
                raise TemplateError("MinInstancesInService must be less than the group's MaxSize")
            self._scaling.set_desired_capacity(**self._name, DesiredCapacity=desired + more)
        new = {each["InstanceId"] for each in self._group()["Instances"]} - before
        try:
            self._await(new)
        except TemplateError:
            surplus = self._group()["DesiredCapacity"] - steady
            for id_ in sorted(new)[: max(0, surplus)]:
                self._end(id_, shrinks=True)
            raise

    def _await(self, new: set[str]) -> None:
        """Wait for the new instances' signals, or as long as the policy says."""
        if not new:
            return
        if not self._waits:
            time.sleep(self._pause)
            return
        tolerated = self._total * (100 - self._percent) // 100
        stack = self._r.twin.store(StackStore, self._r.region).find(self._r.stack_id)
        if stack is None:
            raise TemplateError(f"{self._r.stack_name} is gone")
        good, _ = await_signals(
            stack,
            self._r.logical_id,
            len(new),
            self._pause,
            senders=new,
            tolerated=tolerated - self._failed,
        )
        self._failed += len(new) - good
        if self._failed > tolerated:
            raise TemplateError(
                f"Received {good} SUCCESS signal(s) out of {len(new)}. Unable to satisfy "
                f"{self._percent}% MinSuccessfulInstancesPercent requirement"
            )

    def _end(self, instance_id: str, *, shrinks: bool) -> None:
        self._scaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=shrinks
        )

    def _group(self) -> dict[str, Any]:
        answer = self._scaling.describe_auto_scaling_groups(
            AutoScalingGroupNames=[self._r.physical_id]
        )
        group: dict[str, Any] = answer["AutoScalingGroups"][0]
        return group

    def _outdated(self, group: Mapping[str, Any]) -> list[str]:
        """Name the instances of another template or version, or in a subnet that is left."""
        if not group["Instances"]:
            return []
        ec2, template = self._r.client("ec2"), group["LaunchTemplate"]
        (version,) = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"],
            Versions=[template.get("Version", "$Default")],
        )["LaunchTemplateVersions"]
        wanted = (template["LaunchTemplateId"], str(version["VersionNumber"]))
        subnets = group.get("VPCZoneIdentifier", "").split(",")
        ids = [each["InstanceId"] for each in group["Instances"]]
        subnet_of = {
            instance["InstanceId"]: instance["SubnetId"]
            for reservation in ec2.describe_instances(InstanceIds=ids)["Reservations"]
            for instance in reservation["Instances"]
        }
        return [
            each["InstanceId"]
            for each in group["Instances"]
            if (each["LaunchTemplate"]["LaunchTemplateId"], each["LaunchTemplate"]["Version"])
            != wanted
            or (subnets != [""] and subnet_of[each["InstanceId"]] not in subnets)
        ]


def await_new_instances(r: Resource, wanted: Mapping[str, Any]) -> None:
    """Wait for the signals of a new group's instances.

    Args:
        r: The group.
        wanted: The ``ResourceSignal`` of its creation policy.

    Raises:
        TemplateError: One failed, or too few signalled in time.
    """
    (group,) = r.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[r.physical_id]
    )["AutoScalingGroups"]
    stack = r.twin.store(StackStore, r.region).find(r.stack_id)
    if stack is None:
        raise TemplateError(f"{r.stack_name} is gone")
    count = int(wanted.get("Count", 1))
    good, bad = await_signals(
        stack,
        r.logical_id,
        count,
        seconds(wanted.get("Timeout", LONGEST_PAUSE)) / r.twin.speed,
        senders={each["InstanceId"] for each in group["Instances"]},
    )
    if good < count or bad:
        raise TemplateError(f"Received {good} SUCCESS and {bad} FAILURE signal(s) out of {count}")
