"""Amazon EC2 Auto Scaling: groups, their capacity and their tags.

moto launches all instances of a group in one subnet and ignores most of what a launch template
says, so the twin has the service itself; `standby.twin.scaling` is what a group does.

Source: Amazon EC2 Auto Scaling API reference.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from standby.twin.operations import Call, ServiceError, operation
from standby.twin.scaling import HEARTBEAT_SECONDS, Group, Groups

SERVICE = "autoscaling"
SETTINGS: Mapping[str, Any] = {
    "DefaultCooldown": 300,
    "HealthCheckType": "EC2",
    "HealthCheckGracePeriod": 0,
    "TerminationPolicies": ["Default"],
    "NewInstancesProtectedFromScaleIn": False,
    "CapacityRebalance": False,
    "DesiredCapacityType": None,
    "DefaultInstanceWarmup": None,
    "MaxInstanceLifetime": None,
    "Context": None,
    "DeletionProtection": "none",
    "InstanceMaintenancePolicy": None,
    "PlacementGroup": None,
    "ServiceLinkedRoleARN": None,
}
"""What a group is told and tells back, with the default of each."""
SIZES = ("MinSize", "MaxSize", "DesiredCapacity")
PLACES = ("VPCZoneIdentifier", "AvailabilityZones")
GLOBAL_TIMEOUT = 172_800
"""The longest that a hook keeps an instance waiting, however often its timeout is extended."""
CAPACITY = "a difference between desired and actual capacity"


def invalid(message: str) -> ServiceError:
    """Make the error that the service gives for nearly everything."""
    return ServiceError("ValidationError", message)


def group_of(call: Call) -> Group:
    """Give the group that a request names.

    Raises:
        ServiceError: There is none.
    """
    found = call.store(Groups).named([call.params["AutoScalingGroupName"]])
    if not found:
        raise invalid(f"Group {call.params['AutoScalingGroupName']} not found")
    return found[0]


@operation(SERVICE, "CreateAutoScalingGroup")
def create_auto_scaling_group(call: Call) -> None:
    """Create a group and launch its instances."""
    params = call.params
    extra = ("LaunchTemplate", "Tags", "TargetGroupARNs", "LifecycleHookSpecificationList")
    _supported(params, *extra)
    name = params["AutoScalingGroupName"]
    with call.store(Groups) as store:
        if name in store.groups:
            raise ServiceError("AlreadyExists", f"AutoScalingGroup by this name {name} exists")
        role = "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        where = f"{call.region}:{call.account}"
        group = Group(
            call.twin,
            call.region,
            {
                **{key: value for key, value in SETTINGS.items() if value is not None},
                "ServiceLinkedRoleARN": f"arn:aws:iam::{call.account}:role/aws-service-role/{role}",
                "AutoScalingGroupName": name,
                "AutoScalingGroupARN": f"arn:aws:autoscaling:{where}:autoScalingGroup:"
                f"{uuid.uuid4()}:autoScalingGroupName/{name}",
                "CreatedTime": datetime.now(UTC),
                "TargetGroupARNs": list(params.get("TargetGroupARNs", ())),
                "LoadBalancerNames": [],
            },
            {},
        )
        group.settings |= _settings(call, group)
        group.places = _places(call)
        _check_target_groups(call, group.target_groups)
        _put_tags(group, params.get("Tags", ()))
        for hook in params.get("LifecycleHookSpecificationList", ()):
            group.hooks[hook["LifecycleHookName"]] = hook_of(group, hook)
        try:
            group.fill("a user request created an AutoScalingGroup")
        except ClientError as error:
            group.close()
            reason = error.response["Error"]["Message"]
            raise invalid(f"You must use a valid fully-formed launch template. {reason}") from None
        store.groups[name] = group


def hook_of(group: Group, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Give a lifecycle hook's description, complete with what the service adds."""
    before = group.hooks.get(wanted["LifecycleHookName"], {})
    timeout = wanted.get("HeartbeatTimeout", before.get("HeartbeatTimeout", HEARTBEAT_SECONDS))
    return {
        "DefaultResult": "ABANDON",
        **before,
        **wanted,
        "AutoScalingGroupName": group.name,
        "HeartbeatTimeout": timeout,
        "GlobalTimeout": min(100 * timeout, GLOBAL_TIMEOUT),
    }


@operation(SERVICE, "UpdateAutoScalingGroup")
def update_auto_scaling_group(call: Call) -> None:
    """Change a group's settings, and its instances where their number changes."""
    _supported(call.params, "LaunchTemplate")
    with call.store(Groups):
        group = group_of(call)
        group.settings |= _settings(call, group)
        if any(key in call.params for key in PLACES):
            group.places = _places(call)
        group.fill(CAPACITY)


def _supported(params: Mapping[str, Any], *extra: str) -> None:
    known = {"AutoScalingGroupName", *SIZES, *SETTINGS, *PLACES, *extra}
    if unknown := sorted(set(params) - known):
        raise invalid(f"the twin's groups do not support {', '.join(unknown)}")


def _settings(call: Call, group: Group) -> dict[str, Any]:
    """Give the settings that a request makes, complete and checked."""
    params, before = call.params, group.settings
    keys = (*SETTINGS, "VPCZoneIdentifier", "MinSize", "MaxSize")
    wanted = {key: params[key] for key in keys if key in params}
    if "LaunchTemplate" in params:
        wanted["LaunchTemplate"] = _template(call)
    elif "LaunchTemplate" not in before:
        raise invalid("Valid requests must contain a LaunchTemplate; the twin launches no other")
    smallest = wanted.get("MinSize", before.get("MinSize"))
    largest = wanted.get("MaxSize", before.get("MaxSize"))
    size = params.get("DesiredCapacity", before.get("DesiredCapacity", smallest))
    if "DesiredCapacity" not in params:
        size = min(max(size, smallest), largest)
    if not smallest <= size <= largest:
        raise invalid(
            f"Desired capacity:{size} must be between the specified min size:{smallest} "
            f"and max size:{largest}"
        )
    return wanted | {"DesiredCapacity": size}


def _template(call: Call) -> dict[str, str]:
    """Name a launch template by id, name and, where the request has one, version."""
    asked: Mapping[str, str] = call.params["LaunchTemplate"]
    by = {
        f"{key}s": [asked[key]]
        for key in ("LaunchTemplateId", "LaunchTemplateName")
        if key in asked
    }
    try:
        answer = call.twin.client("ec2", call.region).describe_launch_templates(**by)
    except ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from None
    if not by or not answer["LaunchTemplates"]:
        raise invalid(f"The specified launch template {dict(asked)} does not exist.")
    (template,) = answer["LaunchTemplates"]
    return {
        "LaunchTemplateId": template["LaunchTemplateId"],
        "LaunchTemplateName": template["LaunchTemplateName"],
        **({"Version": asked["Version"]} if "Version" in asked else {}),
    }


def _places(call: Call) -> dict[str, str]:
    """Give the zone of each subnet that a group launches into, or the zones alone."""
    ids = [id_ for id_ in call.params.get("VPCZoneIdentifier", "").split(",") if id_]
    if not ids:
        zones = call.params.get("AvailabilityZones", ())
        if not zones:
            raise invalid("At least one Availability Zone or VPC Subnet is required.")
        return {zone: zone for zone in zones}
    try:
        subnets = call.twin.client("ec2", call.region).describe_subnets(SubnetIds=ids)["Subnets"]
    except ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from None
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    return {id_: zone_of[id_] for id_ in ids}


def _check_target_groups(call: Call, arns: list[str]) -> None:
    try:
        if arns:
            call.twin.client("elbv2", call.region).describe_target_groups(TargetGroupArns=arns)
    except ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from None


@operation(SERVICE, "DeleteAutoScalingGroup")
def delete_auto_scaling_group(call: Call) -> None:
    """Delete a group; one that has instances only by force, and them with it."""
    with call.store(Groups) as store:
        group, force = group_of(call), call.params.get("ForceDelete", False)
        protection = group.settings["DeletionProtection"]
        if protection == "prevent-all-deletion" or (
            force and protection == "prevent-force-deletion"
        ):
            raise invalid(f"{group.name} cannot be deleted: its protection is {protection}")
        if group.members and not force:
            raise ServiceError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances still in the "
                "group.",
            )
        group.close()
        del store.groups[group.name]


@operation(SERVICE, "DescribeAutoScalingGroups")
def describe_auto_scaling_groups(call: Call) -> Mapping[str, Any]:
    """Describe groups by name and tag."""
    with call.store(Groups) as store:
        found = store.named(call.params.get("AutoScalingGroupNames", ()))
        for each in call.params.get("Filters", ()):
            found = [group for group in found if _matches(group, each["Name"], each["Values"])]
        return {"AutoScalingGroups": [group.describe() for group in found]}


def _matches(group: Group, name: str, values: list[str]) -> bool:
    if name == "tag-key":
        return any(key in values for key in group.tags)
    if name == "tag-value":
        return any(tag["Value"] in values for tag in group.tags.values())
    if name.startswith("tag:"):
        return group.tags.get(name.removeprefix("tag:"), {}).get("Value") in values
    raise invalid(f"Filter type {name} is not correct.")


@operation(SERVICE, "SetDesiredCapacity")
def set_desired_capacity(call: Call) -> None:
    """Launch or end as many instances as it takes."""
    with call.store(Groups):
        group = group_of(call)
        resize(group, call.params["DesiredCapacity"], "a user request changed the capacity")


def resize(group: Group, capacity: int, cause: str) -> None:
    """Set a group's desired capacity.

    Raises:
        ServiceError: It is outside the group's bounds.
    """
    smallest, largest = group.settings["MinSize"], group.settings["MaxSize"]
    if not smallest <= capacity <= largest:
        bound, size = ("above max", largest) if capacity > largest else ("below min", smallest)
        raise invalid(f"New SetDesiredCapacity value {capacity} is {bound} value {size}")
    group.settings["DesiredCapacity"] = capacity
    group.fill(cause)


def _put_tags(group: Group, tags: Iterable[Mapping[str, Any]]) -> None:
    for tag in tags:
        group.tags[tag["Key"]] = {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["Key"],
            "Value": tag.get("Value", ""),
            "PropagateAtLaunch": tag.get("PropagateAtLaunch", False),
        }


def _tagged(call: Call, tag: Mapping[str, Any]) -> Group:
    found = call.store(Groups).named([tag["ResourceId"]])
    if not found:
        raise invalid(f"Group {tag['ResourceId']} not found")
    return found[0]


@operation(SERVICE, "CreateOrUpdateTags")
def create_or_update_tags(call: Call) -> None:
    """Tag groups."""
    with call.store(Groups):
        for tag in call.params["Tags"]:
            _put_tags(_tagged(call, tag), [tag])


@operation(SERVICE, "DeleteTags")
def delete_tags(call: Call) -> None:
    """Remove tags of groups."""
    with call.store(Groups):
        for tag in call.params["Tags"]:
            _tagged(call, tag).tags.pop(tag["Key"], None)


@operation(SERVICE, "DescribeTags")
def describe_tags(call: Call) -> Mapping[str, Any]:
    """List the tags of groups, filtered by group, key and value."""
    of_filter = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
    with call.store(Groups) as store:
        tags = [tag for group in store.named(()) for tag in group.tags.values()]
    for each in call.params.get("Filters", ()):
        if each["Name"] not in of_filter:
            raise invalid(f"Filter type {each['Name']} is not correct.")
        tags = [tag for tag in tags if tag[of_filter[each["Name"]]] in each["Values"]]
    return {"Tags": tags}
