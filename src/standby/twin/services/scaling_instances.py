"""Amazon EC2 Auto Scaling: a group's instances, and what happens around them.

Health, protection and termination, lifecycle hooks, target groups, suspended processes, metrics,
notifications and activities.

Source: Amazon EC2 Auto Scaling API reference.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from standby.twin.operations import Call, operation
from standby.twin.scaling import Group, Groups, Member
from standby.twin.services.scaling import SERVICE, group_of, hook_of, invalid

METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
)
"""What a group collects when it is not told which metrics to collect."""
PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)


def instances_gone(call: Call, ids: Iterable[str]) -> None:
    """Tell the region's groups that instances are no more; they launch others."""
    with call.store(Groups) as store:
        for id_ in ids:
            if found := store.of_instance(id_):
                found[0].forget(id_, f"instance {id_} was terminated outside of the group")


def _member(call: Call, instance_id: str) -> tuple[Group, Member]:
    found = call.store(Groups).of_instance(instance_id)
    if found is None:
        raise invalid(f"Instance Id not found - No managed instance found for {instance_id}")
    return found


@operation(SERVICE, "DescribeAutoScalingInstances")
def describe_auto_scaling_instances(call: Call) -> Mapping[str, Any]:
    """Describe the instances of all groups, or some."""
    wanted = call.params.get("InstanceIds", ())
    with call.store(Groups) as store:
        return {
            "AutoScalingInstances": [
                {
                    **member.describe(),
                    "HealthStatus": member.health.upper(),
                    "AutoScalingGroupName": group.name,
                }
                for group in store.named(())
                for member in group.members
                if not wanted or member.id in wanted
            ]
        }


@operation(SERVICE, "TerminateInstanceInAutoScalingGroup")
def terminate_instance(call: Call) -> Mapping[str, Any]:
    """End an instance, and replace it unless the group is to shrink by it."""
    with call.store(Groups):
        group, member = _member(call, call.params["InstanceId"])
        if call.params["ShouldDecrementDesiredCapacity"]:
            if group.desired <= group.settings["MinSize"]:
                raise invalid(
                    f"Currently, desired capacity of {group.name} is at its min size; terminating "
                    "an instance and decrementing it would violate the group's min size"
                )
            group.settings["DesiredCapacity"] -= 1
        group.end(member, "a user request took an instance out of service")
        activity = group.activities[0]
        group.fill(f"an instance was started in response to the end of {member.id}")
        return {"Activity": activity}


@operation(SERVICE, "SetInstanceHealth")
def set_instance_health(call: Call) -> None:
    """Note an instance's health; one that is unhealthy is replaced."""
    with call.store(Groups):
        group, member = _member(call, call.params["InstanceId"])
        member.health = call.params["HealthStatus"]
        if member.health == "Unhealthy" and "ReplaceUnhealthy" not in group.suspended:
            cause = f"{member.id} was taken out of service in response to a health check"
            group.end(member, cause)
            group.fill(cause)


@operation(SERVICE, "SetInstanceProtection")
def set_instance_protection(call: Call) -> None:
    """Protect instances from being ended when the group shrinks, or no longer."""
    with call.store(Groups):
        group_of(call)
        for id_ in call.params["InstanceIds"]:
            _member(call, id_)[1].protected = call.params["ProtectedFromScaleIn"]


@operation(SERVICE, "AttachLoadBalancerTargetGroups")
def attach_target_groups(call: Call) -> None:
    """Register a group's instances with more target groups."""
    with call.store(Groups):
        for arn in call.params["TargetGroupARNs"]:
            group_of(call).register(arn)


@operation(SERVICE, "DetachLoadBalancerTargetGroups")
def detach_target_groups(call: Call) -> None:
    """Take a group's instances out of target groups."""
    with call.store(Groups):
        for arn in call.params["TargetGroupARNs"]:
            group_of(call).unregister(arn)


@operation(SERVICE, "DescribeLoadBalancerTargetGroups")
def describe_target_groups(call: Call) -> Mapping[str, Any]:
    """List a group's target groups."""
    with call.store(Groups):
        return {
            "LoadBalancerTargetGroups": [
                {"LoadBalancerTargetGroupARN": arn, "State": "InService"}
                for arn in group_of(call).target_groups
            ]
        }


@operation(SERVICE, "PutLifecycleHook")
def put_lifecycle_hook(call: Call) -> None:
    """Let instances wait at their launch or their end for something else to be done."""
    with call.store(Groups):
        group = group_of(call)
        name = call.params["LifecycleHookName"]
        if name not in group.hooks and "LifecycleTransition" not in call.params:
            raise invalid("A valid LifecycleTransition must be specified for a new hook")
        group.hooks[name] = hook_of(group, call.params)


@operation(SERVICE, "DescribeLifecycleHooks")
def describe_lifecycle_hooks(call: Call) -> Mapping[str, Any]:
    """Describe a group's hooks, or some."""
    wanted = call.params.get("LifecycleHookNames", ())
    with call.store(Groups):
        hooks = group_of(call).hooks
        return {"LifecycleHooks": [h for n, h in hooks.items() if not wanted or n in wanted]}


@operation(SERVICE, "DeleteLifecycleHook")
def delete_lifecycle_hook(call: Call) -> None:
    """Remove a hook; who waits for it waits no longer, with the hook's default result."""
    with call.store(Groups):
        group, name = group_of(call), call.params["LifecycleHookName"]
        if name not in group.hooks:
            raise invalid(f"No Lifecycle Hook found with name {name}")
        default = group.hooks.pop(name)["DefaultResult"]
        for member in [m for m in group.members if name in m.waits]:
            group.complete(member, name, default)


def _waiting(call: Call) -> tuple[Group, Member, str]:
    """Give who waits for the hook that a request names; its token is the instance's id."""
    group, hook = group_of(call), call.params["LifecycleHookName"]
    id_ = call.params.get("InstanceId") or call.params.get("LifecycleActionToken", "")
    member = group.member(id_)
    if member is None or hook not in member.waits:
        raise invalid(f"No active Lifecycle Action found with instance ID {id_}")
    return group, member, hook


@operation(SERVICE, "CompleteLifecycleAction")
def complete_lifecycle_action(call: Call) -> None:
    """End an instance's wait."""
    with call.store(Groups):
        group, member, hook = _waiting(call)
        group.complete(member, hook, call.params["LifecycleActionResult"])


@operation(SERVICE, "RecordLifecycleActionHeartbeat")
def record_lifecycle_action_heartbeat(call: Call) -> None:
    """Let an instance wait once more as long as the hook says."""
    with call.store(Groups):
        group, member, hook = _waiting(call)
        timeout = group.hooks[hook]["HeartbeatTimeout"] / call.twin.speed
        member.waits[hook] = time.monotonic() + timeout


@operation(SERVICE, "SuspendProcesses")
def suspend_processes(call: Call) -> None:
    """Keep a group from doing some of what it does, or all."""
    with call.store(Groups):
        for name in call.params.get("ScalingProcesses") or PROCESSES:
            group_of(call).suspended[name] = "User suspended"


@operation(SERVICE, "ResumeProcesses")
def resume_processes(call: Call) -> None:
    """Let a group do again what it was kept from."""
    with call.store(Groups):
        group = group_of(call)
        for name in call.params.get("ScalingProcesses") or PROCESSES:
            group.suspended.pop(name, None)
        group.fill("a difference between desired and actual capacity")


@operation(SERVICE, "EnableMetricsCollection")
def enable_metrics_collection(call: Call) -> None:
    """Collect some metrics of a group, or all."""
    with call.store(Groups):
        group = group_of(call)
        wanted = call.params.get("Metrics") or METRICS
        group.metrics = [*group.metrics, *(m for m in wanted if m not in group.metrics)]


@operation(SERVICE, "DisableMetricsCollection")
def disable_metrics_collection(call: Call) -> None:
    """Stop collecting some metrics of a group, or all."""
    with call.store(Groups):
        group = group_of(call)
        dropped = call.params.get("Metrics") or group.metrics
        group.metrics = [metric for metric in group.metrics if metric not in dropped]


@operation(SERVICE, "PutNotificationConfiguration")
def put_notification_configuration(call: Call) -> None:
    """Have a topic told of a group's events of some kinds."""
    with call.store(Groups):
        kinds = list(call.params["NotificationTypes"])
        group_of(call).topics[call.params["TopicARN"]] = kinds


@operation(SERVICE, "DeleteNotificationConfiguration")
def delete_notification_configuration(call: Call) -> None:
    """Tell a topic nothing more."""
    with call.store(Groups):
        group_of(call).topics.pop(call.params["TopicARN"], None)


@operation(SERVICE, "DescribeNotificationConfigurations")
def describe_notification_configurations(call: Call) -> Mapping[str, Any]:
    """List who is told of what."""
    with call.store(Groups) as store:
        return {
            "NotificationConfigurations": [
                {"AutoScalingGroupName": group.name, "TopicARN": arn, "NotificationType": kind}
                for group in store.named(call.params.get("AutoScalingGroupNames", ()))
                for arn, kinds in group.topics.items()
                for kind in kinds
            ]
        }


@operation(SERVICE, "DescribeScalingActivities")
def describe_scaling_activities(call: Call) -> Mapping[str, Any]:
    """Tell what a group did, the latest first."""
    with call.store(Groups) as store:
        name = call.params.get("AutoScalingGroupName")
        groups = [group_of(call)] if name else store.named(())
        return {"Activities": [activity for group in groups for activity in group.activities]}
