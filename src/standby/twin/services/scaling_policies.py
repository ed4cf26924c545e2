"""Amazon EC2 Auto Scaling: policies that change a group's capacity, and scheduled actions.

A scheduled action is kept and described, and never carried out: calendars do not run on the
twin's clock.

Source: Amazon EC2 Auto Scaling API reference, and user guide, "Step and simple scaling
policies" (how an adjustment becomes a number of instances) and "Target tracking scaling
policies" (the alarms that the service makes by itself).
"""

import math
import uuid
from collections.abc import Mapping
from typing import Any

from standby.twin.operations import Call, operation
from standby.twin.scaling import Group, Groups
from standby.twin.services.scaling import SERVICE, group_of, invalid, resize

TRACKING = "TargetTrackingScaling"
HIGH_MINUTES, LOW_MINUTES, LOW_SHARE = 3, 15, 0.9
"""A target tracking policy scales out after minutes above its target and in after minutes below
this share of it. Assumption: AWS reserves the right to choose, and publishes no figures."""
METRICS = {
    "ASGAverageCPUUtilization": ("AWS/EC2", "CPUUtilization", "Average"),
    "ASGAverageNetworkIn": ("AWS/EC2", "NetworkIn", "Average"),
    "ASGAverageNetworkOut": ("AWS/EC2", "NetworkOut", "Average"),
    "ALBRequestCountPerTarget": ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"),
}
"""Namespace, name and statistic of the predefined metrics."""


def _arn(call: Call, kind: str, group: str, name: str) -> str:
    where = f"{call.region}:{call.account}:{kind}:{uuid.uuid4()}"
    label = "policyName" if kind == "scalingPolicy" else "scheduledActionName"
    return f"arn:aws:autoscaling:{where}:autoScalingGroupName/{group}:{label}/{name}"


@operation(SERVICE, "PutScalingPolicy")
def put_scaling_policy(call: Call) -> Mapping[str, Any]:
    """Create or replace a policy; one that tracks a target makes its own alarms."""
    params, name = call.params, call.params["PolicyName"]
    kind = params.get("PolicyType", "SimpleScaling")
    if kind == "PredictiveScaling":
        raise invalid("the twin has no past to predict from: PredictiveScaling is not supported")
    needed = {"StepScaling": "StepAdjustments", TRACKING: "TargetTrackingConfiguration"}
    if needed.get(kind, "ScalingAdjustment") not in params:
        raise invalid(f"You must specify {needed.get(kind, 'ScalingAdjustment')} for {kind}")
    with call.store(Groups):
        group = group_of(call)
        before = group.policies.get(name, {})
        arn = before.get("PolicyARN") or _arn(call, "scalingPolicy", group.name, name)
        group.policies[name] = {
            "Enabled": True,
            **({"MetricAggregationType": "Average"} if kind == "StepScaling" else {}),
            **params,
            "PolicyType": kind,
            "PolicyARN": arn,
        }
        group.drop_alarms(arn)
        if kind == TRACKING:
            _make_alarms(call, group, group.policies[name])
    return {"PolicyARN": arn, "Alarms": _alarms(call).get(arn, [])}


def _make_alarms(call: Call, group: Group, policy: Mapping[str, Any]) -> None:
    """Make the alarms above the target and, unless the policy only scales out, below it."""
    tracking: Mapping[str, Any] = policy["TargetTrackingConfiguration"]
    target = float(tracking["TargetValue"])
    kinds = [("High", "GreaterThanThreshold", target, HIGH_MINUTES)]
    if not tracking.get("DisableScaleIn"):
        kinds.append(("Low", "LessThanThreshold", target * LOW_SHARE, LOW_MINUTES))
    names = group.alarms.setdefault(policy["PolicyARN"], [])
    for side, comparison, threshold, minutes in kinds:
        name = f"TargetTracking-{group.name}-Alarm{side}-{uuid.uuid4()}"
        call.twin.client("cloudwatch", call.region).put_metric_alarm(
            AlarmName=name,
            AlarmDescription="DO NOT EDIT OR DELETE. "
            f"For TargetTrackingScaling policy {policy['PolicyARN']}.",
            ComparisonOperator=comparison,
            Threshold=threshold,
            EvaluationPeriods=minutes,
            AlarmActions=[policy["PolicyARN"]],
            **_metric(group, tracking),
        )
        names.append(name)


def _metric(group: Group, tracking: Mapping[str, Any]) -> dict[str, Any]:
    """Give the metric that a policy tracks, as an alarm names it."""
    custom: Mapping[str, Any] = tracking.get("CustomizedMetricSpecification", {})
    if "Metrics" in custom:
        return {"Metrics": custom["Metrics"]}
    if custom:
        optional = {key: custom[key] for key in ("Dimensions", "Unit") if key in custom}
        named = {"Namespace": custom["Namespace"], "MetricName": custom["MetricName"]}
        period = int(custom.get("Period", 60))
        return {**named, "Statistic": custom["Statistic"], "Period": period, **optional}
    predefined = tracking["PredefinedMetricSpecification"]
    kind = predefined["PredefinedMetricType"]
    if kind not in METRICS:
        raise invalid(f"{kind} is not a predefined metric type")
    namespace, name, statistic = METRICS[kind]
    dimension = {"Name": "AutoScalingGroupName", "Value": group.name}
    if kind == "ALBRequestCountPerTarget":
        _, mark, label = predefined.get("ResourceLabel", "").partition("/targetgroup/")
        if not mark:
            raise invalid(f"{kind} needs a ResourceLabel with a target group")
        dimension = {"Name": "TargetGroup", "Value": f"targetgroup/{label}"}
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Statistic": statistic,
        "Period": 60,
        "Dimensions": [dimension],
    }


def _alarms(call: Call) -> dict[str, list[dict[str, str]]]:
    """Give the alarms that set off policies, by policy: those made by anybody count."""
    found: dict[str, list[dict[str, str]]] = {}
    pages = call.twin.client("cloudwatch", call.region).get_paginator("describe_alarms")
    for page in pages.paginate():
        for alarm in page["MetricAlarms"]:
            for action in alarm["AlarmActions"]:
                summary = {"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]}
                found.setdefault(action, []).append(summary)
    return found


@operation(SERVICE, "DescribePolicies")
def describe_policies(call: Call) -> Mapping[str, Any]:
    """Describe policies with their alarms, by group, name and type."""
    params = call.params
    names, kinds = params.get("PolicyNames", ()), params.get("PolicyTypes", ())
    with call.store(Groups) as store:
        found = [
            policy
            for group in store.named(_names(params))
            for name, policy in group.policies.items()
            if (not names or name in names or policy["PolicyARN"] in names)
            and (not kinds or policy["PolicyType"] in kinds)
        ]
    alarms = _alarms(call) if found else {}
    return {"ScalingPolicies": [p | {"Alarms": alarms.get(p["PolicyARN"], [])} for p in found]}


def _names(params: Mapping[str, Any]) -> list[str]:
    return [params["AutoScalingGroupName"]] if params.get("AutoScalingGroupName") else []


def _policy(call: Call) -> tuple[Group, dict[str, Any]]:
    """Give the policy that a request names, by ARN or by name within a group, and its group."""
    wanted = call.params["PolicyName"]
    for group in call.store(Groups).named(_names(call.params)):
        for name, policy in group.policies.items():
            if wanted in {name, policy["PolicyARN"]}:
                return group, policy
    raise invalid(f"No policy {wanted} found")


@operation(SERVICE, "DeletePolicy")
def delete_policy(call: Call) -> None:
    """Delete a policy, with the alarms that were made for it."""
    with call.store(Groups):
        group, policy = _policy(call)
        group.drop_alarms(policy["PolicyARN"])
        del group.policies[policy["PolicyName"]]


@operation(SERVICE, "ExecutePolicy")
def execute_policy(call: Call) -> None:
    """Change the capacity as a policy says, within the group's bounds."""
    with call.store(Groups):
        group, policy = _policy(call)
        if policy["PolicyType"] == TRACKING:
            raise invalid("Cannot execute a target tracking policy")
        wanted = adjusted(group.desired, policy, _adjustment(policy, call.params))
        smallest, largest = group.settings["MinSize"], group.settings["MaxSize"]
        resize(group, min(max(wanted, smallest), largest), f"policy {policy['PolicyName']}")


def _adjustment(policy: Mapping[str, Any], params: Mapping[str, Any]) -> int:
    """Give a policy's adjustment: a step's depends on how far the metric is past the threshold."""
    if policy["PolicyType"] != "StepScaling":
        return int(policy["ScalingAdjustment"])
    if "MetricValue" not in params or "BreachThreshold" not in params:
        raise invalid("MetricValue and BreachThreshold are required for step scaling")
    breach = params["MetricValue"] - params["BreachThreshold"]
    for step in policy["StepAdjustments"]:
        low = step.get("MetricIntervalLowerBound", -math.inf)
        high = step.get("MetricIntervalUpperBound", math.inf)
        # The bound nearer to the threshold belongs to the step.
        if (low <= breach < high) if breach >= 0 and low >= 0 else (low < breach <= high):
            return int(step["ScalingAdjustment"])
    raise invalid(f"No step adjustment found for metric value {params['MetricValue']}")


def adjusted(capacity: int, policy: Mapping[str, Any], adjustment: int) -> int:
    """Apply an adjustment to a capacity, before the group's bounds.

    A percentage is rounded towards zero, but to one at least, and to the policy's magnitude.
    """
    kind = policy["AdjustmentType"]
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return capacity + adjustment
    change = capacity * adjustment / 100
    least = max(1, int(policy.get("MinAdjustmentMagnitude", 1)))
    return capacity + int(math.copysign(max(abs(int(change)), least), change))


@operation(SERVICE, "PutScheduledUpdateGroupAction")
def put_scheduled_action(call: Call) -> None:
    """Create or replace a scheduled action."""
    name = call.params["ScheduledActionName"]
    with call.store(Groups):
        group = group_of(call)
        arn = group.actions.get(name, {}).get("ScheduledActionARN")
        group.actions[name] = {
            **call.params,
            "ScheduledActionARN": arn or _arn(call, "scheduledUpdateGroupAction", group.name, name),
        }


@operation(SERVICE, "DescribeScheduledActions")
def describe_scheduled_actions(call: Call) -> Mapping[str, Any]:
    """Describe scheduled actions, by group and name."""
    names = call.params.get("ScheduledActionNames")
    with call.store(Groups) as store:
        return {
            "ScheduledUpdateGroupActions": [
                action
                for group in store.named(_names(call.params))
                for name, action in group.actions.items()
                if not names or name in names
            ]
        }


@operation(SERVICE, "DeleteScheduledAction")
def delete_scheduled_action(call: Call) -> None:
    """Delete a scheduled action."""
    name = call.params["ScheduledActionName"]
    with call.store(Groups):
        if group_of(call).actions.pop(name, None) is None:
            raise invalid(f"Scheduled action name not found: {name}")
