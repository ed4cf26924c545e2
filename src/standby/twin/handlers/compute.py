"""Compute: launch templates and single instances.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon EC2".
"""

import base64
import binascii
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Created, Resource, gone_is_fine, handler
from standby.twin.handlers.network import Ec2Resource
from standby.twin.shapes import call


@handler("AWS::EC2::LaunchTemplate")
class LaunchTemplate(Ec2Resource):
    """What an instance is launched from; a change of its contents is a new version."""

    def make(self, r: Resource) -> Created:
        """Create the template with its first version."""
        template = call(
            r.client("ec2"),
            "CreateLaunchTemplate",
            LaunchTemplateName=r.properties.get("LaunchTemplateName", r.generated_name()),
            **self._contents(r),
        )["LaunchTemplate"]
        id_ = template["LaunchTemplateId"]
        return Created(
            id_,
            {"LaunchTemplateId": id_, "LatestVersionNumber": "1", "DefaultVersionNumber": "1"},
        )

    def configure(self, r: Resource) -> None:
        """Set the template's own tags; those of instances are part of its contents."""
        ec2, before = r.client("ec2"), self._tags(r.previous)
        after = {tag["Key"]: tag["Value"] for tag in r.tags} | self._tags(r.properties)
        if dropped := [{"Key": key} for key in before if key not in after]:
            ec2.delete_tags(Resources=[r.physical_id], Tags=dropped)
        if after:
            tags = [{"Key": key, "Value": value} for key, value in after.items()]
            ec2.create_tags(Resources=[r.physical_id], Tags=tags)

    def update(self, r: Resource) -> Created:
        """Add a version where the contents change; the default stays what it was."""
        self.configure(r)
        contents = self._contents(r)
        if contents == {key: r.previous[key] for key in contents if key in r.previous}:
            return Created(r.physical_id, r.attributes)
        version = call(
            r.client("ec2"),
            "CreateLaunchTemplateVersion",
            LaunchTemplateId=r.physical_id,
            **contents,
        )["LaunchTemplateVersion"]
        return Created(
            r.physical_id, {**r.attributes, "LatestVersionNumber": str(version["VersionNumber"])}
        )

    def delete(self, r: Resource) -> None:
        """Delete the template with all its versions."""
        with gone_is_fine():
            r.client("ec2").delete_launch_template(LaunchTemplateId=r.physical_id)

    @staticmethod
    def _contents(r: Resource) -> dict[str, Any]:
        return r.properties.pick("LaunchTemplateData", "VersionDescription")

    @staticmethod
    def _tags(properties: Any) -> dict[str, str]:
        return {
            tag["Key"]: tag["Value"]
            for specification in properties.get("TagSpecifications", ())
            for tag in specification.get("Tags", ())
        }


@handler("AWS::EC2::Instance")
class Instance(Ec2Resource):
    """One instance, which boots like those of a group."""

    def make(self, r: Resource) -> Created:
        """Launch it."""
        wanted = r.properties.pick(
            "BlockDeviceMappings",
            "CpuOptions",
            "DisableApiTermination",
            "EbsOptimized",
            "ImageId",
            "InstanceInitiatedShutdownBehavior",
            "InstanceType",
            "KeyName",
            "LaunchTemplate",
            "MetadataOptions",
            "PrivateIpAddress",
            "SecurityGroupIds",
            "SecurityGroups",
            "SubnetId",
        )
        if "AvailabilityZone" in r.properties:
            wanted["Placement"] = {"AvailabilityZone": r.properties["AvailabilityZone"]}
        if "IamInstanceProfile" in r.properties:
            wanted["IamInstanceProfile"] = {"Name": r.properties["IamInstanceProfile"]}
        if "Monitoring" in r.properties:
            wanted["Monitoring"] = {"Enabled": r.properties["Monitoring"]}
        if "UserData" in r.properties:
            wanted["UserData"] = _script(r)
        ec2 = r.client("ec2")
        id_ = call(ec2, "RunInstances", MinCount=1, MaxCount=1, **wanted)["Instances"][0][
            "InstanceId"
        ]
        (reservation,) = ec2.describe_instances(InstanceIds=[id_])["Reservations"]
        (instance,) = reservation["Instances"]
        return Created(
            id_,
            {
                "InstanceId": id_,
                "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
                "PrivateDnsName": instance["PrivateDnsName"],
                "PrivateIp": instance["PrivateIpAddress"],
                "PublicDnsName": instance.get("PublicDnsName", ""),
                "PublicIp": instance.get("PublicIpAddress", ""),
                "VpcId": instance["VpcId"],
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags and what can change while the instance runs or, for its type, is stopped."""
        super().configure(r)
        ec2, one = r.client("ec2"), {"InstanceId": r.physical_id}
        if r.changed("SourceDestCheck"):
            check = {"Value": r.properties.get("SourceDestCheck", True)}
            call(ec2, "ModifyInstanceAttribute", **one, SourceDestCheck=check)
        if not r.previous:
            return
        if r.changed("DisableApiTermination"):
            locked = {"Value": r.properties.get("DisableApiTermination", False)}
            call(ec2, "ModifyInstanceAttribute", **one, DisableApiTermination=locked)
        if r.changed("SecurityGroupIds"):
            groups = r.properties["SecurityGroupIds"]
            ec2.modify_instance_attribute(**one, Groups=groups)
        if r.changed("InstanceType"):
            ec2.stop_instances(InstanceIds=[r.physical_id])
            kind = {"Value": r.properties["InstanceType"]}
            ec2.modify_instance_attribute(**one, InstanceType=kind)
            ec2.start_instances(InstanceIds=[r.physical_id])

    def delete(self, r: Resource) -> None:
        """Terminate it."""
        with gone_is_fine():
            r.client("ec2").terminate_instances(InstanceIds=[r.physical_id])


def _script(r: Resource) -> str:
    """Decode the user data, since the client encodes it by itself."""
    try:
        return base64.b64decode(r.properties["UserData"], validate=True).decode(errors="replace")
    except binascii.Error:
        raise TemplateError(f"{r.logical_id}: UserData is not encoded in Base64") from None
