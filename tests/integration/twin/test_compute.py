"""Compute on the twin: launch templates and instances, through EC2's API."""

import base64
from typing import Any

import pytest
from moto.moto_api._internal.models import moto_api_backend
from twin_compute import SILENT, launch_template, network
from twin_stacks import PRIMARY, STANDBY, Deploy, Deployed, DeploymentFailed

from standby.twin.twin import Twin

AMI_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64"
VERSIONS = {
    "Latest": {"Value": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]}},
    "Default": {"Value": {"Fn::GetAtt": ["Template", "DefaultVersionNumber"]}},
}


@pytest.fixture(scope="module")
def twin() -> Twin:
    """Give a twin whose instances boot in 0.15 seconds."""
    moto_api_backend.reset()
    return Twin(speed=600)


def contents(stack: Deployed, version: str = "$Latest") -> dict[str, Any]:
    answer = stack.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=stack["Template"], Versions=[version]
    )
    data: dict[str, Any] = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data


def instance(stack: Deployed, name: str = "Instance") -> dict[str, Any]:
    answer = stack.client("ec2").describe_instances(InstanceIds=[stack[name]])
    found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
    return found


def tags(described: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


@pytest.mark.parametrize("region", [PRIMARY, STANDBY])
def test_the_latest_image_of_amazon_linux_is_one_that_the_region_has(
    deploy: Deploy, region: str
) -> None:
    kind = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
    template = launch_template(ImageId={"Ref": "Image"}, SecurityGroupIds=[])
    stack = deploy(
        {
            "Parameters": {"Image": {"Type": kind, "Default": AMI_PARAMETER}},
            "Resources": template,
        },
        region,
    )
    image = contents(stack)["ImageId"]
    (found,) = stack.client("ec2").describe_images(ImageIds=[image])["Images"]
    assert found["Architecture"] == "x86_64"


def test_a_launch_template_says_what_its_template_says(deploy: Deploy) -> None:
    wanted: dict[str, Any] = {
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"Encrypted": "true", "VolumeSize": "16", "VolumeType": "gp3"},
            }
        ],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "Monitoring": {"Enabled": True},
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}
        ],
    }
    own = {"ResourceType": "launch-template", "Tags": [{"Key": "Owner", "Value": "us"}]}
    template = network() | launch_template(**wanted)
    template["Template"]["Properties"]["TagSpecifications"] = [own]
    stack = deploy(template, Tags=[{"Key": "Environment", "Value": "test"}])
    data = contents(stack)
    (mapping,) = data["BlockDeviceMappings"]
    assert mapping["Ebs"] == {"Encrypted": True, "VolumeSize": 16, "VolumeType": "gp3"}
    for name in ("MetadataOptions", "Monitoring", "TagSpecifications"):
        assert data[name] == wanted[name]
    assert base64.b64decode(data["UserData"]).startswith(b"#!/bin/bash\n")
    answer = stack.client("ec2").describe_launch_templates(LaunchTemplateIds=[stack["Template"]])
    assert tags(answer["LaunchTemplates"][0]) == {"Environment": "test", "Owner": "us"}


def test_a_changed_launch_template_gets_a_version_and_keeps_its_default(deploy: Deploy) -> None:
    resources = network() | launch_template()
    stack = deploy({"Resources": resources, "Outputs": VERSIONS})
    changed = network() | launch_template(InstanceType="t3.large")
    stack.update({"Resources": changed, "Outputs": VERSIONS})
    assert stack.outputs == {"Latest": "2", "Default": "1"}
    assert contents(stack)["InstanceType"] == "t3.large"
    assert contents(stack, "1")["InstanceType"] == "t3.small"


def test_other_tags_make_no_new_version(deploy: Deploy) -> None:
    def tagged(key: str) -> dict[str, Any]:
        template = launch_template(SecurityGroupIds=[])
        own = {"ResourceType": "launch-template", "Tags": [{"Key": key, "Value": "x"}]}
        template["Template"]["Properties"]["TagSpecifications"] = [own]
        return {"Resources": template, "Outputs": VERSIONS}

    stack = deploy(tagged("before"))
    stack.update(tagged("after"))
    assert stack.outputs["Latest"] == "1"
    answer = stack.client("ec2").describe_launch_templates(LaunchTemplateIds=[stack["Template"]])
    assert tags(answer["LaunchTemplates"][0]) == {"after": "x"}


def test_an_instance_is_what_its_launch_template_says(deploy: Deploy) -> None:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeSize": 20}}
    named = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}]
    stack = deploy(
        network()
        | launch_template(
            SILENT,
            BlockDeviceMappings=[mapping],
            MetadataOptions={"HttpTokens": "required"},
            TagSpecifications=named,
        )
        | {
            "Instance": {
                "Type": "AWS::EC2::Instance",
                "Properties": {
                    "SubnetId": {"Ref": "Subneta"},
                    "LaunchTemplate": {"LaunchTemplateId": {"Ref": "Template"}, "Version": "1"},
                    "Tags": [{"Key": "Role", "Value": "single"}],
                },
            }
        }
    )
    found = instance(stack)
    assert found["InstanceType"] == "t3.small"
    assert found["SubnetId"] == stack["Subneta"]
    assert [group["GroupId"] for group in found["SecurityGroups"]] == [stack["Firewall"]]
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["State"]["Name"] == "running"
    assert tags(found) == {
        "Name": "web",
        "Role": "single",
        "aws:ec2launchtemplate:id": stack["Template"],
        "aws:ec2launchtemplate:version": "1",
    }
    volumes = stack.client("ec2").describe_volumes()["Volumes"]
    assert [(volume["Encrypted"], volume["Size"]) for volume in volumes] == [(True, 20)]


def test_an_instance_changes_with_its_template_and_leaves_nothing(deploy: Deploy) -> None:
    def single(kind: str, firewall: str) -> dict[str, Any]:
        return network() | {
            "Other": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": "other", "VpcId": {"Ref": "Vpc"}},
            },
            "Instance": {
                "Type": "AWS::EC2::Instance",
                "Properties": {
                    "ImageId": "ami-12345678",
                    "InstanceType": kind,
                    "SubnetId": {"Ref": "Subneta"},
                    "SecurityGroupIds": [{"Ref": firewall}],
                    "SourceDestCheck": "false",
                },
            },
        }

    stack = deploy(single("t3.small", "Firewall"))
    id_ = stack["Instance"]
    assert instance(stack)["SourceDestCheck"] is False
    stack.update(single("t3.large", "Other"))
    found = instance(stack)
    assert (stack["Instance"], found["InstanceType"]) == (id_, "t3.large")
    assert [group["GroupId"] for group in found["SecurityGroups"]] == [stack["Other"]]
    ec2 = stack.client("ec2")
    stack.delete()
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_user_data_that_is_not_encoded_is_refused(deploy: Deploy) -> None:
    properties = {"ImageId": "ami-12345678", "UserData": "#!/bin/bash"}
    instance = {"Type": "AWS::EC2::Instance", "Properties": properties}
    with pytest.raises(DeploymentFailed, match="UserData is not encoded in Base64"):
        deploy({"Instance": instance})


def test_a_property_that_the_twin_does_not_apply_stops_the_deployment(deploy: Deploy) -> None:
    properties = {"ImageId": "ami-12345678", "EnclaveOptions": {"Enabled": True}}
    instance = {"Type": "AWS::EC2::Instance", "Properties": properties}
    with pytest.raises(DeploymentFailed, match="EnclaveOptions"):
        deploy({"Instance": instance})
