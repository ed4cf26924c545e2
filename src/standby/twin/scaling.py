"""Auto Scaling groups: each keeps as many instances as are desired, evenly over its zones.

Everything is done through the APIs of EC2 and Elastic Load Balancing, as the service does it.
Time passes here when somebody looks: what a lifecycle hook's timeout decides is decided by the
next call that concerns the group.

Source: Amazon EC2 Auto Scaling user guide, "Instance lifecycle", "Termination policies" and
"Lifecycle hooks".
"""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from standby.twin.twin import Twin

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
IN_SERVICE, LAUNCH_WAIT, TERMINATE_WAIT = "InService", "Pending:Wait", "Terminating:Wait"
HEARTBEAT_SECONDS = 3600
ACTIVITIES_KEPT = 100


@dataclass
class Member:
    """One instance of a group.

    Attributes:
        template: Launch template and version that it was launched from.
        waits: Lifecycle hooks that it still waits for, with their deadlines.
    """

    id: str
    subnet: str
    zone: str
    instance_type: str
    image: str
    template: Mapping[str, str]
    protected: bool
    state: str = IN_SERVICE
    health: str = "Healthy"
    waits: dict[str, float] = field(default_factory=dict)

    @property
    def serving(self) -> bool:
        """Say whether it counts towards the group's capacity."""
        return self.state in {IN_SERVICE, LAUNCH_WAIT}

    def describe(self) -> dict[str, Any]:
        """Describe it as the API does."""
        return {
            "InstanceId": self.id,
            "InstanceType": self.instance_type,
            "ImageId": self.image,
            "AvailabilityZone": self.zone,
            "LifecycleState": self.state,
            "HealthStatus": self.health,
            "LaunchTemplate": dict(self.template),
            "ProtectedFromScaleIn": self.protected,
        }


@dataclass
class Group:
    """One Auto Scaling group.

    Attributes:
        settings: Its description, in the API's own terms.
        places: Zone by subnet; by zone where the group names no subnets.
        hooks: Lifecycle hooks by name, in the API's terms.
        topics: Kinds of event that each SNS topic wants.
        policies: Scaling policies by name, in the API's terms.
        actions: Scheduled actions by name, too.
        alarms: Names of the alarms that the service made itself, by the policy's ARN.
    """

    twin: "Twin"
    region: str
    settings: dict[str, Any]
    places: dict[str, str]
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    hooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    topics: dict[str, list[str]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    actions: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarms: dict[str, list[str]] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    suspended: dict[str, str] = field(default_factory=dict)
    activities: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The group's name, which is its identity."""
        return str(self.settings["AutoScalingGroupName"])

    @property
    def desired(self) -> int:
        """How many instances it should have."""
        return int(self.settings["DesiredCapacity"])

    @property
    def target_groups(self) -> list[str]:
        """The target groups that its instances are registered with."""
        arns: list[str] = self.settings.setdefault("TargetGroupARNs", [])
        return arns

    def describe(self) -> dict[str, Any]:
        """Describe the group as the API does."""
        return {
            **self.settings,
            "AvailabilityZones": sorted(set(self.places.values())),
            "Instances": [member.describe() for member in self.members],
            "Tags": list(self.tags.values()),
            "EnabledMetrics": [{"Metric": m, "Granularity": "1Minute"} for m in self.metrics],
            "SuspendedProcesses": [
                {"ProcessName": name, "SuspensionReason": reason}
                for name, reason in self.suspended.items()
            ],
            "TrafficSources": [{"Identifier": arn, "Type": "elbv2"} for arn in self.target_groups],
        }

    def settle(self) -> None:
        """Let time have passed: lifecycle hooks that ran out get their default result."""
        for member in list(self.members):
            for hook, deadline in list(member.waits.items()):
                if time.monotonic() >= deadline and hook in member.waits:
                    result = self.hooks.get(hook, {}).get("DefaultResult", "ABANDON")
                    self.complete(member, hook, result)

    def fill(self, cause: str) -> None:
        """Launch or end instances until there are as many as desired.

        Raises:
            ClientError: EC2 refuses to launch; the group's activities have the reason.
        """
        while len(self._capacity()) < self.desired and "Launch" not in self.suspended:
            self._launch(cause)
        while len(self._capacity()) > self.desired and "Terminate" not in self.suspended:
            candidates = [m for m in self._capacity() if not m.protected]
            if not candidates:
                break
            self.end(self._dispensable(candidates), cause)
        self._rebalance()

    def _rebalance(self) -> None:
        """Even out the zones: launch where there are too few, then end one where too many are."""
        needed = {"AZRebalance", "Launch", "Terminate"}
        while needed.isdisjoint(self.suspended):
            in_zone = Counter(dict.fromkeys(self.places.values(), 0))
            in_zone.update(member.zone for member in self._capacity() if not member.protected)
            most, fewest = max(in_zone.values(), default=0), min(in_zone.values(), default=0)
            if most - fewest <= 1 or len(self._capacity()) != self.desired:
                break
            self._launch("the zones are out of balance")
            candidates = [member for member in self._capacity() if not member.protected]
            self.end(self._dispensable(candidates), "the zones were out of balance")

    def end(self, member: Member, cause: str) -> None:
        """Take an instance out of service and terminate it, after its hooks if it has any."""
        member.waits = self._waits(TERMINATING)
        if member.waits:
            member.state = TERMINATE_WAIT
            self._deregister(member)
        else:
            self._terminate(member, cause)

    def close(self) -> None:
        """End what the group made: every instance at once, hooks or not, and its alarms."""
        for member in list(self.members):
            self._terminate(member, "the group is deleted")
        for arn in list(self.alarms):
            self.drop_alarms(arn)

    def drop_alarms(self, policy_arn: str) -> None:
        """Delete the alarms that the service made for a policy."""
        if names := self.alarms.pop(policy_arn, []):
            self.twin.client("cloudwatch", self.region).delete_alarms(AlarmNames=names)

    def forget(self, instance_id: str, cause: str) -> None:
        """Drop an instance that is gone, and launch another in its place."""
        member = self.member(instance_id)
        if member:
            self.members.remove(member)
            self._deregister(member)
            if "ReplaceUnhealthy" not in self.suspended:
                self.fill(cause)

    def complete(self, member: Member, hook: str, result: str) -> None:
        """End a member's wait for a lifecycle hook; ABANDON ends a launch."""
        member.waits.pop(hook, None)
        launching = member.state == LAUNCH_WAIT
        if result == "ABANDON":
            member.waits.clear()
        if member.waits:
            return
        if launching and result != "ABANDON":
            self._serve(member)
        else:
            self._terminate(member, f"lifecycle hook {hook} ended with {result}")
            self.fill("a difference between desired and actual capacity")

    def member(self, instance_id: str) -> Member | None:
        """Give the member with an instance id, or None."""
        return next((m for m in self.members if m.id == instance_id), None)

    def register(self, arn: str) -> None:
        """Register the instances with a target group from now on."""
        if arn not in self.target_groups:
            self.target_groups.append(arn)
            for member in self.members:
                if member.state == IN_SERVICE:
                    self._elb("register_targets", arn, member)

    def unregister(self, arn: str) -> None:
        """Take the instances out of a target group."""
        if arn in self.target_groups:
            self.target_groups.remove(arn)
            for member in self.members:
                self._elb("deregister_targets", arn, member)

    def _capacity(self) -> list[Member]:
        return [member for member in self.members if member.serving]

    def _launch(self, cause: str) -> None:
        activity = self._note("Launching a new EC2 instance", cause)
        try:
            member = self._run()
        except ClientError as error:
            activity |= {"StatusCode": "Failed", "StatusMessage": str(error)}
            self._tell("autoscaling:EC2_INSTANCE_LAUNCH_ERROR", activity)
            raise
        activity["Description"] += f": {member.id}"
        self.members.append(member)
        member.waits = self._waits(LAUNCHING)
        if member.waits:
            member.state = LAUNCH_WAIT
        else:
            self._serve(member)
        self._tell("autoscaling:EC2_INSTANCE_LAUNCH", activity)

    def _run(self) -> Member:
        """Have EC2 run one instance, where there are the fewest, and there the fewest new ones."""
        ec2, wanted = self.twin.client("ec2", self.region), self.settings["LaunchTemplate"]
        latest = max((int(member.template["Version"]) for member in self.members), default=0)
        new = [m.zone for m in self.members if int(m.template["Version"]) == latest]
        in_zone, new_in_zone = Counter(m.zone for m in self.members), Counter(new)
        in_place = Counter(member.subnet for member in self.members)

        def crowd(place: str) -> tuple[int, int, int]:
            zone = self.places[place]
            return in_zone[zone], new_in_zone[zone], in_place[place]

        place = min(self.places, key=crowd)
        where: dict[str, Any] = (
            {"SubnetId": place}
            if place.startswith("subnet-")
            else {"Placement": {"AvailabilityZone": place}}
        )
        tags = {tag["Key"]: tag["Value"] for tag in self.tags.values() if tag["PropagateAtLaunch"]}
        tags["aws:autoscaling:groupName"] = self.name
        template_id = wanted["LaunchTemplateId"]
        instance = ec2.run_instances(
            LaunchTemplate={
                "LaunchTemplateId": template_id,
                "Version": str(wanted.get("Version", "$Default")),
            },
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            ],
            **where,
        )["Instances"][0]
        given = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        return Member(
            id=instance["InstanceId"],
            subnet=place,
            zone=instance["Placement"]["AvailabilityZone"],
            instance_type=instance["InstanceType"],
            image=instance["ImageId"],
            template={
                "LaunchTemplateId": template_id,
                "LaunchTemplateName": wanted["LaunchTemplateName"],
                "Version": given["aws:ec2launchtemplate:version"],
            },
            protected=self.settings["NewInstancesProtectedFromScaleIn"],
        )

    def _serve(self, member: Member) -> None:
        member.state = IN_SERVICE
        for arn in self.target_groups:
            self._elb("register_targets", arn, member)

    def _terminate(self, member: Member, cause: str) -> None:
        self.members.remove(member)
        self._deregister(member)
        activity = self._note(f"Terminating EC2 instance: {member.id}", cause)
        self.twin.client("ec2", self.region).terminate_instances(InstanceIds=[member.id])
        self._tell("autoscaling:EC2_INSTANCE_TERMINATE", activity)

    def _deregister(self, member: Member) -> None:
        for arn in self.target_groups:
            self._elb("deregister_targets", arn, member)

    def _elb(self, method: str, arn: str, member: Member) -> None:
        """Register or deregister; a target group that is deleted before the group is no fault."""
        try:
            getattr(self.twin.client("elbv2", self.region), method)(
                TargetGroupArn=arn, Targets=[{"Id": member.id}]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"TargetGroupNotFound", "InvalidTarget"}:
                raise

    def _waits(self, transition: str) -> dict[str, float]:
        now = time.monotonic()
        return {
            name: now + hook["HeartbeatTimeout"] / self.twin.speed
            for name, hook in self.hooks.items()
            if hook["LifecycleTransition"] == transition
        }

    def _dispensable(self, candidates: list[Member]) -> Member:
        """Choose whom to end: from the fullest zone, by the group's termination policies."""
        in_zone = Counter(member.zone for member in candidates)
        fullest = [m for m in candidates if in_zone[m.zone] == max(in_zone.values())]
        age = {member.id: position for position, member in enumerate(self.members)}

        def rank(member: Member) -> tuple[int, ...]:
            version = int(member.template["Version"])
            ranks = {
                "Default": (version, age[member.id]),
                "OldestLaunchTemplate": (version,),
                "OldestInstance": (age[member.id],),
                "NewestInstance": (-age[member.id],),
                "ClosestToNextInstanceHour": (age[member.id],),
            }
            policies: list[str] = self.settings["TerminationPolicies"]
            return tuple(part for policy in policies for part in ranks.get(policy, ()))

        return min(fullest, key=rank)

    def _note(self, what: str, cause: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.settings["AutoScalingGroupARN"],
            "Description": what,
            "Cause": f"At {now:%Y-%m-%dT%H:%M:%SZ} {cause}.",
            "StartTime": now,
            "EndTime": now,
            "StatusCode": "Successful",
            "Progress": 100,
        }
        self.activities = [activity, *self.activities[: ACTIVITIES_KEPT - 1]]
        return activity

    def _tell(self, event: str, activity: Mapping[str, Any]) -> None:
        """Publish an event to the topics that want its kind."""
        for topic, kinds in self.topics.items():
            if event in kinds:
                message = {"Service": "AWS Auto Scaling", "Event": event, **activity}
                self.twin.client("sns", self.region).publish(
                    TopicArn=topic,
                    Subject=f"Auto Scaling: {activity['Description']}"[:100],
                    Message=json.dumps(message, default=str),
                )


class Groups:
    """The groups of one region; ``lock`` is held by whoever reads or changes them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.groups: dict[str, Group] = {}

    def __enter__(self) -> Self:
        """Take the lock."""
        self.lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        self.lock.release()

    def named(self, names: Iterable[str]) -> list[Group]:
        """Give the groups of these names, or all where none are given."""
        wanted = list(names)
        found = [g for name, g in self.groups.items() if not wanted or name in wanted]
        for group in found:
            group.settle()
        return found

    def of_instance(self, instance_id: str) -> tuple[Group, Member] | None:
        """Give the group that an instance belongs to, and it as a member; None without one."""
        for group in self.groups.values():
            if member := group.member(instance_id):
                return group, member
        return None
