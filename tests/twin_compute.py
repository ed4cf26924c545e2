"""Templates of an application's compute, as the tests of the twin deploy them."""

from typing import Any

IMAGE = "{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64}}"
SIGNAL = (
    '/opt/aws/bin/cfn-signal --exit-code "$?" --region "${AWS::Region}" \\\n'
    '  --stack "${AWS::StackName}" --resource Group || echo "nobody waits"'
)
FAILING = "/opt/aws/bin/cfn-signal -e 1 --stack ${AWS::StackName} --resource Group"
SILENT = "echo ready"
ZONES = ("a", "b")


def network(region: str = "eu-west-2") -> dict[str, Any]:
    """Give a VPC with a subnet in each of two zones, and a security group."""
    vpc = {"Ref": "Vpc"}
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        **{
            f"Subnet{zone}": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {
                    "VpcId": vpc,
                    "CidrBlock": f"10.0.{number}.0/24",
                    "AvailabilityZone": f"{region}{zone}",
                },
            }
            for number, zone in enumerate(ZONES)
        },
        "Firewall": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "instances", "VpcId": vpc},
        },
    }


SUBNETS = [{"Ref": f"Subnet{zone}"} for zone in ZONES]


def launch_template(script: str = SIGNAL, **data: Any) -> dict[str, Any]:
    """Give a launch template whose instances run a script."""
    return {
        "Template": {
            "Type": "AWS::EC2::LaunchTemplate",
            "Properties": {
                "LaunchTemplateData": {
                    "ImageId": IMAGE,
                    "InstanceType": "t3.small",
                    "SecurityGroupIds": [{"Ref": "Firewall"}],
                    "UserData": {"Fn::Base64": {"Fn::Sub": f"#!/bin/bash\n{script}\n"}},
                    **data,
                }
            },
        }
    }


def group(*, timeout: str = "PT1H", **properties: Any) -> dict[str, Any]:
    """Give a scaling group that waits for two signals and replaces its instances in turn."""
    return {
        "Group": {
            "Type": "AWS::AutoScaling::AutoScalingGroup",
            "Properties": {
                "MinSize": "2",
                "MaxSize": "4",
                "VPCZoneIdentifier": SUBNETS,
                "LaunchTemplate": {
                    "LaunchTemplateId": {"Ref": "Template"},
                    "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
                },
                **properties,
            },
            "CreationPolicy": {"ResourceSignal": {"Count": 2, "Timeout": timeout}},
            "UpdatePolicy": {
                "AutoScalingRollingUpdate": {
                    "MaxBatchSize": 1,
                    "MinInstancesInService": 2,
                    "WaitOnResourceSignals": True,
                    "PauseTime": timeout,
                }
            },
        }
    }


def balancer(**properties: Any) -> dict[str, Any]:
    """Give a load balancer whose HTTP listener sends to a target group."""
    return {
        "Balancer": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Subnets": SUBNETS, **properties},
        },
        "Targets": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {
                "Port": 80,
                "Protocol": "HTTP",
                "VpcId": {"Ref": "Vpc"},
                "HealthCheckPath": "/health",
                "HealthCheckIntervalSeconds": "10",
            },
        },
        "Listener": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 80,
                "Protocol": "HTTP",
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}],
            },
        },
    }
