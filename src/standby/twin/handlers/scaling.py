"""Scaling: Auto Scaling groups, their policies, hooks and scheduled actions.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon EC2 Auto
Scaling", and "UpdatePolicy attribute".
"""

from dataclasses import replace
from typing import Any

from standby.twin.handlers import (
    Configured,
    Created,
    Handler,
    Properties,
    Resource,
    gone_is_fine,
    handler,
)
from standby.twin.handlers.rolling_update import RollingUpdate, await_new_instances
from standby.twin.shapes import call

SIZES = ("MinSize", "MaxSize", "DesiredCapacity")
SETTINGS = (
    "AvailabilityZones",
    "CapacityRebalance",
    "Context",
    "DefaultInstanceWarmup",
    "DeletionProtection",
    "DesiredCapacityType",
    "HealthCheckGracePeriod",
    "HealthCheckType",
    "InstanceMaintenancePolicy",
    "LaunchTemplate",
    "MaxInstanceLifetime",
    "NewInstancesProtectedFromScaleIn",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
    "TerminationPolicies",
)
"""Properties that the API takes under the same name, at creation and afterwards."""
NOT_FOUND = "ValidationError"
"""What the service answers for a group, policy or hook that does not exist."""


@handler("AWS::AutoScaling::AutoScalingGroup")
class AutoScalingGroup(Configured):
    """A group of instances; its update policy says how they are replaced by newer ones."""

    def make(self, r: Resource) -> Created:
        """Create the group, which launches its instances."""
        name = r.properties.get("AutoScalingGroupName", r.generated_name(255))
        return self._create(r, name)

    def _create(self, r: Resource, name: str) -> Created:
        scaling = r.client("autoscaling")
        targets = r.properties.pick("TargetGroupARNs")
        hooks = r.properties.pick("LifecycleHookSpecificationList")
        call(
            scaling,
            "CreateAutoScalingGroup",
            AutoScalingGroupName=name,
            Tags=self._tags(r, name),
            **r.properties.pick(*SIZES),
            **self._settings(r),
            **targets,
            **hooks,
        )
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
            "AutoScalingGroups"
        ]
        return Created(name, {"AutoScalingGroupARN": group["AutoScalingGroupARN"]})

    def configure(self, r: Resource) -> None:
        """Set which metrics are collected and who is told of what."""
        scaling, name = r.client("autoscaling"), {"AutoScalingGroupName": r.physical_id}
        wanted = r.properties.get("MetricsCollection", [])
        if wanted != r.previous.get("MetricsCollection", []):
            if r.previous:
                scaling.disable_metrics_collection(**name)
            for each in wanted:
                scaling.enable_metrics_collection(**name, **each)
        before, after = _topics(r.previous), _topics(r.properties)
        for topic in before:
            if topic not in after:
                scaling.delete_notification_configuration(**name, TopicARN=topic)
        for topic, kinds in after.items():
            if kinds != before.get(topic):
                scaling.put_notification_configuration(
                    **name, TopicARN=topic, NotificationTypes=kinds
                )

    def update(self, r: Resource) -> Created:
        """Change the group and, as its update policy says, replace its instances or itself."""
        if self._replaced_whole(r):
            return self._replace(r)
        self._change(r)
        self.configure(r)
        if policy := r.policies.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate"):
            RollingUpdate(r, policy).run()
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the group with its instances."""
        with gone_is_fine(NOT_FOUND):
            r.client("autoscaling").delete_auto_scaling_group(
                AutoScalingGroupName=r.physical_id, ForceDelete=True
            )

    def _change(self, r: Resource) -> None:
        scaling, name = r.client("autoscaling"), r.physical_id
        sizes = r.properties.pick(*SIZES)
        scheduled = r.policies.get("UpdatePolicy", {}).get("AutoScalingScheduledAction", {})
        if scheduled.get("IgnoreUnmodifiedGroupSizeProperties"):
            sizes = {key: size for key, size in sizes.items() if size != r.previous.get(key)}
        call(
            scaling,
            "UpdateAutoScalingGroup",
            AutoScalingGroupName=name,
            **sizes,
            **self._settings(r),
        )
        kept = {tag["Key"] for tag in self._tags(r, name)}
        former = replace(r, tags=r.previous_tags, properties=Properties(r.previous))
        dropped = [tag for tag in self._tags(former, name) if tag["Key"] not in kept]
        if dropped:
            scaling.delete_tags(Tags=dropped)
        scaling.create_or_update_tags(Tags=self._tags(r, name))
        before = r.previous.get("TargetGroupARNs", [])
        after = r.properties.get("TargetGroupARNs", [])
        group = {"AutoScalingGroupName": name}
        if new := [arn for arn in after if arn not in before]:
            scaling.attach_load_balancer_target_groups(**group, TargetGroupARNs=new)
        if gone := [arn for arn in before if arn not in after]:
            scaling.detach_load_balancer_target_groups(**group, TargetGroupARNs=gone)

    def _replaced_whole(self, r: Resource) -> bool:
        """Say whether the group gives way to a new one, to launch from or into something else."""
        policy = r.policies.get("UpdatePolicy", {}).get("AutoScalingReplacingUpdate", {})
        if not policy.get("WillReplace"):
            return False
        groups = r.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[r.physical_id]
        )["AutoScalingGroups"]
        wanted = self._settings(r)
        template = wanted.get("LaunchTemplate", {})
        return any(
            {**group["LaunchTemplate"], **template} != group["LaunchTemplate"]
            or wanted.get("VPCZoneIdentifier") != group.get("VPCZoneIdentifier")
            for group in groups
        )

    def _replace(self, r: Resource) -> Created:
        """Create a new group beside the former one, which is deleted when all has gone well."""
        made = self._create(r, r.properties.get("AutoScalingGroupName", r.generated_name(255)))
        new = replace(r, physical_id=made.physical_id, attributes=made.attributes, previous={})
        try:
            self.configure(new)
            if wanted := r.policies.get("CreationPolicy", {}).get("ResourceSignal"):
                await_new_instances(new, wanted)
        except Exception:
            self.delete(new)
            raise
        return made

    @staticmethod
    def _settings(r: Resource) -> dict[str, Any]:
        wanted = r.properties.pick(*SETTINGS)
        if "Cooldown" in r.properties:
            wanted["DefaultCooldown"] = r.properties["Cooldown"]
        if "VPCZoneIdentifier" in r.properties:
            wanted["VPCZoneIdentifier"] = ",".join(r.properties["VPCZoneIdentifier"])
        return wanted

    @staticmethod
    def _tags(r: Resource, name: str) -> list[dict[str, Any]]:
        """Give the group's tags in the API's terms; the stack's reach the instances as well."""
        own = r.properties.get("Tags", ())
        inherited = [{**tag, "PropagateAtLaunch": True} for tag in r.tags]
        merged = {tag["Key"]: tag for tag in (*inherited, *own)}
        return [
            {
                "ResourceId": name,
                "ResourceType": "auto-scaling-group",
                "Key": tag["Key"],
                "Value": tag["Value"],
                "PropagateAtLaunch": str(tag["PropagateAtLaunch"]).lower() == "true",
            }
            for tag in merged.values()
        ]


def _topics(properties: Any) -> dict[str, list[str]]:
    """Give the kinds of event that each topic is to be told of."""
    single = properties.get("NotificationConfiguration")
    several = properties.get("NotificationConfigurations", ())
    found: dict[str, list[str]] = {}
    for each in [*([single] if single else []), *several]:
        topics = each["TopicARN"]
        for topic in topics if isinstance(topics, list) else [topics]:
            found.setdefault(topic, []).extend(each.get("NotificationTypes", ()))
    return found


@handler("AWS::AutoScaling::ScalingPolicy")
class ScalingPolicy(Handler):
    """What changes a group's capacity; ``Ref`` is its ARN."""

    def create(self, r: Resource) -> Created:
        """Create the policy, with alarms of its own where it tracks a target."""
        name = r.generated_name(255)
        arn = self._put(r, name)
        return Created(arn, {"Arn": arn, "PolicyName": name})

    def update(self, r: Resource) -> Created:
        """Replace what the policy says; it stays the same policy."""
        self._put(r, r.attributes["PolicyName"])
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the policy and its own alarms."""
        with gone_is_fine(NOT_FOUND):
            r.client("autoscaling").delete_policy(PolicyName=r.physical_id)

    @staticmethod
    def _put(r: Resource, name: str) -> str:
        wanted = r.properties.pick(
            "AutoScalingGroupName",
            "AdjustmentType",
            "Cooldown",
            "EstimatedInstanceWarmup",
            "MetricAggregationType",
            "MinAdjustmentMagnitude",
            "PolicyType",
            "PredictiveScalingConfiguration",
            "ScalingAdjustment",
            "StepAdjustments",
            "TargetTrackingConfiguration",
        )
        answer = call(r.client("autoscaling"), "PutScalingPolicy", PolicyName=name, **wanted)
        return str(answer["PolicyARN"])


@handler("AWS::AutoScaling::LifecycleHook")
class LifecycleHook(Handler):
    """A wait of instances at their launch or their end; ``Ref`` is its name."""

    def create(self, r: Resource) -> Created:
        """Create the hook."""
        name = r.properties.get("LifecycleHookName", r.generated_name(255))
        self._put(r, name)
        return Created(name, {})

    def update(self, r: Resource) -> Created:
        """Change what the hook says."""
        self._put(r, r.physical_id)
        return Created(r.physical_id, {})

    def delete(self, r: Resource) -> None:
        """Delete the hook."""
        with gone_is_fine(NOT_FOUND):
            r.client("autoscaling").delete_lifecycle_hook(
                LifecycleHookName=r.physical_id, **r.properties.pick("AutoScalingGroupName")
            )

    @staticmethod
    def _put(r: Resource, name: str) -> None:
        wanted = r.properties.pick(
            "AutoScalingGroupName",
            "DefaultResult",
            "HeartbeatTimeout",
            "LifecycleTransition",
            "NotificationMetadata",
            "NotificationTargetARN",
            "RoleARN",
        )
        call(r.client("autoscaling"), "PutLifecycleHook", LifecycleHookName=name, **wanted)


@handler("AWS::AutoScaling::ScheduledAction")
class ScheduledAction(Handler):
    """A change of a group's sizes at a time; ``Ref`` is its name."""

    def create(self, r: Resource) -> Created:
        """Create the action."""
        name = r.generated_name(255)
        self._put(r, name)
        return Created(name, {"ScheduledActionName": name})

    def update(self, r: Resource) -> Created:
        """Change what the action does, and when."""
        self._put(r, r.physical_id)
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the action."""
        with gone_is_fine(NOT_FOUND):
            r.client("autoscaling").delete_scheduled_action(
                ScheduledActionName=r.physical_id, **r.properties.pick("AutoScalingGroupName")
            )

    @staticmethod
    def _put(r: Resource, name: str) -> None:
        wanted = r.properties.pick(
            "AutoScalingGroupName",
            *SIZES,
            "EndTime",
            "Recurrence",
            "StartTime",
            "TimeZone",
        )
        call(
            r.client("autoscaling"),
            "PutScheduledUpdateGroupAction",
            ScheduledActionName=name,
            **wanted,
        )
