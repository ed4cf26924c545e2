"""EC2 beyond moto: instances launched as their template says, which boot and which stop.

Source: Amazon EC2 API reference, RunInstances and CreateLaunchTemplate; EC2 user guide,
"Launch templates" (a parameter of the launch outweighs the template's; tags are joined).
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from standby.twin.boot import Machine, Machines
from standby.twin.operations import Call, ServiceError, operation
from standby.twin.services.scaling_instances import instances_gone

SERVICE = "ec2"
TEMPLATE_ONLY = ("RamDiskId", "InstanceRequirements", "SecurityGroups")
"""What a launch template has and RunInstances has not, or under another name."""


@operation(SERVICE, "RunInstances")
def run_instances(call: Call) -> Mapping[str, Any]:
    """Launch instances, and let them boot."""
    if "LaunchTemplate" in call.params:
        wanted = _with_template(call)
        answer: dict[str, Any] = call.twin.client(SERVICE, call.region).run_instances(**wanted)
        return answer
    answer = call.moto()
    script = _decoded(call.params.get("UserData", ""))
    for instance in answer["Instances"]:
        _end_root_volume_with(call, instance)
        machine = Machine(instance["InstanceId"], call.region, script)
        call.store(Machines).start(call.twin, machine)
    return answer


def _with_template(call: Call) -> dict[str, Any]:
    """Give a launch's parameters, completed from the template that they name."""
    params = dict(call.params)
    asked = params.pop("LaunchTemplate")
    version = call.twin.client(SERVICE, call.region).describe_launch_template_versions(
        **{key: asked[key] for key in ("LaunchTemplateId", "LaunchTemplateName") if key in asked},
        Versions=[str(asked.get("Version", "$Default"))],
    )["LaunchTemplateVersions"][0]
    data = {**version["LaunchTemplateData"]}
    renamed = {"RamdiskId": data["RamDiskId"]} if "RamDiskId" in data else {}
    if "SecurityGroups" in data:
        renamed["SecurityGroups"] = data["SecurityGroups"]
    if "InstanceRequirements" in data:
        raise ServiceError("UnsupportedOperation", "the twin needs an InstanceType to launch")
    wanted = {
        **{key: value for key, value in data.items() if key not in TEMPLATE_ONLY},
        **renamed,
        **params,
    }
    if script := wanted.get("UserData"):
        wanted["UserData"] = _decoded(script)  # a client encodes it anew
    tags = _joined_tags(data.get("TagSpecifications", ()), params.get("TagSpecifications", ()))
    tags.setdefault("instance", {}).update(
        {
            "aws:ec2launchtemplate:id": version["LaunchTemplateId"],
            "aws:ec2launchtemplate:version": str(version["VersionNumber"]),
        }
    )
    wanted["TagSpecifications"] = [
        {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in values.items()]}
        for kind, values in tags.items()
    ]
    return wanted


def _joined_tags(*specifications: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    joined: dict[str, dict[str, str]] = {}
    for specification in (each for group in specifications for each in group):
        kind = joined.setdefault(specification["ResourceType"], {})
        kind.update({tag["Key"]: tag["Value"] for tag in specification["Tags"]})
    return joined


def _decoded(user_data: str | bytes) -> str:
    try:
        return base64.b64decode(user_data).decode(errors="replace")
    except binascii.Error:
        raise ServiceError("InvalidUserData.Malformed", "Invalid BASE64 encoding.") from None


def _end_root_volume_with(call: Call, instance: Mapping[str, Any]) -> None:
    """Have the root volume deleted with its instance, which is EC2's default and not moto's."""
    root = instance.get("RootDeviceName")
    mappings = call.params.get("BlockDeviceMappings", ())
    if any(m["DeviceName"] == root and "DeleteOnTermination" not in m["Ebs"] for m in mappings):
        call.twin.client(SERVICE, call.region).modify_instance_attribute(
            InstanceId=instance["InstanceId"],
            BlockDeviceMappings=[{"DeviceName": root, "Ebs": {"DeleteOnTermination": True}}],
        )


@operation(SERVICE, "TerminateInstances")
def terminate_instances(call: Call) -> Mapping[str, Any]:
    """End instances; a scaling group that misses one launches another."""
    answer = call.moto()
    ids = list(call.params["InstanceIds"])
    for id_ in ids:
        call.store(Machines).stop(id_)
    _delete_interfaces(call, ids)
    instances_gone(call, ids)
    return answer


def _delete_interfaces(call: Call, ids: list[str]) -> None:
    """Delete the primary network interfaces of ended instances, which moto leaves behind."""
    ec2 = call.twin.client(SERVICE, call.region)
    of_these = [{"Name": "attachment.instance-id", "Values": ids}]
    for interface in ec2.describe_network_interfaces(Filters=of_these)["NetworkInterfaces"]:
        if interface["Attachment"]["DeviceIndex"] == 0:
            ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])


@operation(SERVICE, "StopInstances")
def stop_instances(call: Call) -> Mapping[str, Any]:
    """Stop instances: nothing serves there any more."""
    answer = call.moto()
    for id_ in call.params["InstanceIds"]:
        call.store(Machines).stop(id_)
    return answer


@operation(SERVICE, "StartInstances")
def start_instances(call: Call) -> Mapping[str, Any]:
    """Start stopped instances, which boot anew."""
    answer = call.moto()
    ec2 = call.twin.client(SERVICE, call.region)
    for id_ in call.params["InstanceIds"]:
        attribute = ec2.describe_instance_attribute(InstanceId=id_, Attribute="userData")
        script = _decoded(attribute["UserData"].get("Value", ""))
        call.store(Machines).start(call.twin, Machine(id_, call.region, script))
    return answer


@operation(SERVICE, "DescribeLaunchTemplateVersions")
def describe_launch_template_versions(call: Call) -> Mapping[str, Any]:
    """Describe versions without the template's own tags, which moto counts to their data."""
    answer = call.moto()
    for version in answer["LaunchTemplateVersions"]:
        data = version["LaunchTemplateData"]
        tags = data.pop("TagSpecifications", [])
        if kept := [each for each in tags if each["ResourceType"] != "launch-template"]:
            data["TagSpecifications"] = kept
    return answer


@operation(SERVICE, "DescribeLaunchTemplates")
def describe_launch_templates(call: Call) -> Mapping[str, Any]:
    """Describe templates with the tags that they have now; moto gives those they began with."""
    answer = call.moto()
    ids = [template["LaunchTemplateId"] for template in answer["LaunchTemplates"]]
    tags: dict[str, list[dict[str, str]]] = {id_: [] for id_ in ids}
    if ids:
        ec2 = call.twin.client(SERVICE, call.region)
        of_these = [{"Name": "resource-id", "Values": ids}]
        for tag in ec2.describe_tags(Filters=of_these)["Tags"]:
            tags[tag["ResourceId"]].append({"Key": tag["Key"], "Value": tag["Value"]})
    for template in answer["LaunchTemplates"]:
        template["Tags"] = tags[template["LaunchTemplateId"]]
    return answer
