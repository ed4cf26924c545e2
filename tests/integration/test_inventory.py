"""Everything that the templates hold exists: each resource is described by its own service.

The physical id of each is looked up there, in its region, and what the template says of it is held
against what the service says. A type that a template has and `DESCRIBED` has not, fails the test.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import jmespath
import pytest
from workspace import Workspace

from standby.cloud import Cloud

Properties = Mapping[str, Any]
UNKNOWN = object()
"""What a property comes to whose function this test does not evaluate."""


@dataclass(frozen=True)
class Described:
    """How a service describes resources of one type.

    Attributes:
        operation: What is asked.
        arguments: What for: ``{id}`` is the physical id, ``{X}`` the property X; a pair is a list.
        item: Where in the answer the resource is (JMESPath), with the same placeholders.
        properties: Where in the item the properties are; a name alone has the property's own.
    """

    operation: str
    arguments: Mapping[str, Any]
    item: str
    properties: Mapping[str, str]


def described(
    operation: str, arguments: Mapping[str, Any], item: str, *same: str, **other: str
) -> Described:
    return Described(operation, arguments, item, {name: name for name in same} | other)


def by(name: str, value: str = "{id}") -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": [value]}]}


DESCRIBED = {
    "AWS::AutoScaling::AutoScalingGroup": described(
        "autoscaling:DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["{id}"]},
        "AutoScalingGroups[0]", "MinSize", "MaxSize", "HealthCheckType", "HealthCheckGracePeriod",
        "DefaultInstanceWarmup", "TargetGroupARNs", "VPCZoneIdentifier",
        LaunchTemplate="{LaunchTemplateId: LaunchTemplate.LaunchTemplateId}",
    ),
    "AWS::AutoScaling::ScalingPolicy": described(
        "autoscaling:DescribePolicies", {"PolicyNames": ["{id}"]}, "ScalingPolicies[0]",
        "AutoScalingGroupName", "PolicyType", "AdjustmentType", "EstimatedInstanceWarmup",
        "MetricAggregationType", "MinAdjustmentMagnitude", "StepAdjustments",
        "TargetTrackingConfiguration",
    ),
    "AWS::CertificateManager::Certificate": described(
        "acm:DescribeCertificate", {"CertificateArn": "{id}"}, "Certificate", "DomainName",
        ValidationMethod="DomainValidationOptions[0].ValidationMethod",
    ),
    "AWS::CloudWatch::Alarm": described(
        "cloudwatch:DescribeAlarms", {"AlarmNames": ["{id}"]}, "MetricAlarms[0]", "AlarmActions",
        "AlarmDescription", "AlarmName", "ComparisonOperator", "Dimensions", "EvaluationPeriods",
        "MetricName", "Namespace", "OKActions", "Period", "Statistic", "Threshold",
        "TreatMissingData",
    ),
    "AWS::CloudWatch::Dashboard": described(
        "cloudwatch:GetDashboard", {"DashboardName": "{id}"}, "@", "DashboardName"
    ),
    "AWS::EC2::EIP": described(
        "ec2:DescribeAddresses", by("public-ip"), "Addresses[0]", "Domain"
    ),
    "AWS::EC2::FlowLog": described(
        "ec2:DescribeFlowLogs", {"FlowLogIds": ["{id}"]}, "FlowLogs[0]", "ResourceId",
        "LogDestinationType", "LogGroupName", "TrafficType",
    ),
    "AWS::EC2::InternetGateway": described(
        "ec2:DescribeInternetGateways", {"InternetGatewayIds": ["{id}"]}, "InternetGateways[0]"
    ),
    "AWS::EC2::LaunchTemplate": described(
        "ec2:DescribeLaunchTemplateVersions",
        {"LaunchTemplateId": "{id}", "Versions": ["$Latest"]}, "LaunchTemplateVersions[0]",
        "LaunchTemplateData",
    ),
    "AWS::EC2::NatGateway": described(
        "ec2:DescribeNatGateways", {"NatGatewayIds": ["{id}"]}, "NatGateways[0]", "SubnetId",
        AllocationId="NatGatewayAddresses[0].AllocationId",
    ),
    "AWS::EC2::Route": described(
        "ec2:DescribeRouteTables", {"RouteTableIds": ["{RouteTableId}"]},
        "RouteTables[0].Routes[?DestinationCidrBlock=='{DestinationCidrBlock}'] | [0]",
        "GatewayId", "NatGatewayId", "VpcPeeringConnectionId",
    ),
    "AWS::EC2::RouteTable": described(
        "ec2:DescribeRouteTables", {"RouteTableIds": ["{id}"]}, "RouteTables[0]", "VpcId"
    ),
    "AWS::EC2::SecurityGroup": described(
        "ec2:DescribeSecurityGroups", {"GroupIds": ["{id}"]}, "SecurityGroups[0]", "VpcId",
        GroupDescription="Description",
    ),
    "AWS::EC2::SecurityGroupIngress": described(
        "ec2:DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["{id}"]},
        "SecurityGroupRules[0]", "Description", "FromPort", "IpProtocol", "ToPort",
    ),
    "AWS::EC2::Subnet": described(
        "ec2:DescribeSubnets", {"SubnetIds": ["{id}"]}, "Subnets[0]", "CidrBlock",
        "MapPublicIpOnLaunch", "VpcId",
    ),
    "AWS::EC2::SubnetRouteTableAssociation": described(
        "ec2:DescribeRouteTables", by("association.route-table-association-id"),
        "RouteTables[0].Associations[?RouteTableAssociationId=='{id}'] | [0]", "RouteTableId",
        "SubnetId",
    ),
    "AWS::EC2::VPC": described(
        "ec2:DescribeVpcs", {"VpcIds": ["{id}"]}, "Vpcs[0]", "CidrBlock", "InstanceTenancy"
    ),
    "AWS::EC2::VPCEndpoint": described(
        "ec2:DescribeVpcEndpoints", {"VpcEndpointIds": ["{id}"]}, "VpcEndpoints[0]", "VpcId",
        "VpcEndpointType", "RouteTableIds",
    ),
    "AWS::EC2::VPCGatewayAttachment": described(
        "ec2:DescribeInternetGateways", by("attachment.vpc-id", "{VpcId}"),
        "InternetGateways[0]", "InternetGatewayId", VpcId="Attachments[0].VpcId",
    ),
    "AWS::EC2::VPCPeeringConnection": described(
        "ec2:DescribeVpcPeeringConnections", {"VpcPeeringConnectionIds": ["{id}"]},
        "VpcPeeringConnections[?Status.Code=='active'] | [0]", VpcId="RequesterVpcInfo.VpcId",
        PeerVpcId="AccepterVpcInfo.VpcId", PeerRegion="AccepterVpcInfo.Region",
    ),
    "AWS::EFS::AccessPoint": described(
        "efs:DescribeAccessPoints", {"AccessPointId": "{id}"}, "AccessPoints[0]", "FileSystemId",
        "PosixUser", "RootDirectory", AccessPointTags="Tags",
    ),
    "AWS::EFS::FileSystem": described(
        "efs:DescribeFileSystems", {"FileSystemId": "{id}"}, "FileSystems[0]", "Encrypted",
        "KmsKeyId", "ThroughputMode", FileSystemTags="Tags",
    ),
    "AWS::EFS::MountTarget": described(
        "efs:DescribeMountTargets", {"MountTargetId": "{id}"}, "MountTargets[0]", "FileSystemId",
        "SubnetId",
    ),
    "AWS::ElasticLoadBalancingV2::Listener": described(
        "elbv2:DescribeListeners", {"ListenerArns": ["{id}"]}, "Listeners[0]", "LoadBalancerArn",
        "Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions",
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": described(
        "elbv2:DescribeLoadBalancers", {"LoadBalancerArns": ["{id}"]}, "LoadBalancers[0]",
        "Scheme", "SecurityGroups", "Type", Name="LoadBalancerName",
        Subnets="AvailabilityZones[].SubnetId",
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": described(
        "elbv2:DescribeTargetGroups", {"TargetGroupArns": ["{id}"]}, "TargetGroups[0]", "Matcher",
        "HealthCheckIntervalSeconds", "HealthCheckPath", "HealthCheckTimeoutSeconds", "Port",
        "HealthyThresholdCount", "Protocol", "TargetType", "UnhealthyThresholdCount", "VpcId",
    ),
    "AWS::FIS::ExperimentTemplate": described(
        "fis:GetExperimentTemplate", {"id": "{id}"}, "experimentTemplate",
        Description="description",
        StopConditions="stopConditions[].{Source: source, Value: value}",
        ExperimentOptions="experimentOptions.{AccountTargeting: accountTargeting, "
        "EmptyTargetResolutionMode: emptyTargetResolutionMode}",
    ),
    "AWS::IAM::InstanceProfile": described(
        "iam:GetInstanceProfile", {"InstanceProfileName": "{id}"}, "InstanceProfile",
        Roles="Roles[].RoleName",
    ),
    "AWS::IAM::Policy": described(
        "iam:GetRolePolicy", {"RoleName": "{Roles[0]}", "PolicyName": "{PolicyName}"}, "@",
        "PolicyName", "PolicyDocument",
    ),
    "AWS::IAM::Role": described(
        "iam:GetRole", {"RoleName": "{id}"}, "Role", "AssumeRolePolicyDocument", "Description",
        "Tags",
    ),
    "AWS::KMS::Alias": described(
        "kms:ListAliases", {}, "Aliases[?AliasName=='{id}'] | [0]", "AliasName"
    ),
    "AWS::KMS::Key": described(
        "kms:DescribeKey", {"KeyId": "{id}"}, "KeyMetadata", "Description"
    ),
    "AWS::Logs::LogGroup": described(
        "logs:DescribeLogGroups", {"logGroupNamePrefix": "{id}"},
        "logGroups[?logGroupName=='{id}'] | [0]", LogGroupName="logGroupName", KmsKeyId="kmsKeyId",
        RetentionInDays="retentionInDays",
    ),
    "AWS::RDS::DBInstance": described(
        "rds:DescribeDBInstances", {"DBInstanceIdentifier": "{id}"}, "DBInstances[0]",
        "AllocatedStorage", "BackupRetentionPeriod", "CopyTagsToSnapshot", "DBInstanceClass",
        "DBInstanceIdentifier", "DBName", "DeletionProtection", "Engine", "EngineVersion",
        "KmsKeyId", "MasterUsername", "MaxAllocatedStorage", "MonitoringInterval", "MultiAZ",
        "PerformanceInsightsRetentionPeriod", "PubliclyAccessible", "StorageEncrypted",
        "StorageType", DBParameterGroupName="DBParameterGroups[0].DBParameterGroupName",
        DBSubnetGroupName="DBSubnetGroup.DBSubnetGroupName", Port="Endpoint.Port",
        EnableCloudwatchLogsExports="EnabledCloudwatchLogsExports",
        EnablePerformanceInsights="PerformanceInsightsEnabled",
        SourceDBInstanceIdentifier="ReadReplicaSourceDBInstanceIdentifier",
        VPCSecurityGroups="VpcSecurityGroups[].VpcSecurityGroupId", Tags="TagList",
    ),
    "AWS::RDS::DBParameterGroup": described(
        "rds:DescribeDBParameterGroups", {"DBParameterGroupName": "{id}"}, "DBParameterGroups[0]",
        "Description", Family="DBParameterGroupFamily",
    ),
    "AWS::RDS::DBSubnetGroup": described(
        "rds:DescribeDBSubnetGroups", {"DBSubnetGroupName": "{id}"}, "DBSubnetGroups[0]",
        "DBSubnetGroupDescription", SubnetIds="Subnets[].SubnetIdentifier",
    ),
    "AWS::ResilienceHub::App": described(
        "resiliencehub:DescribeApp", {"appArn": "{id}"}, "app", Name="name",
        AppAssessmentSchedule="assessmentSchedule", ResiliencyPolicyArn="policyArn",
    ),
    "AWS::ResilienceHub::ResiliencyPolicy": described(
        "resiliencehub:DescribeResiliencyPolicy", {"policyArn": "{id}"}, "policy",
        PolicyName="policyName", Tier="tier",
    ),
    "AWS::Route53::HealthCheck": described(
        "route53:GetHealthCheck", {"HealthCheckId": "{id}"}, "HealthCheck", "HealthCheckConfig"
    ),
    "AWS::Route53::HostedZone": described(
        "route53:GetHostedZone", {"Id": "{id}"}, "HostedZone", "Name"
    ),
    "AWS::Route53::RecordSet": described(
        "route53:ListResourceRecordSets", {"HostedZoneId": "{HostedZoneId}"},
        "ResourceRecordSets[?SetIdentifier=='{SetIdentifier}'] | [0]", "Name", "Type", "Failover",
        "HealthCheckId", "AliasTarget",
    ),
    "AWS::SNS::Topic": described(
        "sns:GetTopicAttributes", {"TopicArn": "{id}"}, "Attributes", "KmsMasterKeyId"
    ),
    "AWS::SNS::TopicPolicy": described(
        "sns:GetTopicAttributes", {"TopicArn": "{Topics[0]}"}, "Attributes",
        PolicyDocument="Policy",
    ),
    "AWS::SecretsManager::Secret": described(
        "secretsmanager:DescribeSecret", {"SecretId": "{id}"}, "@", "Description", "KmsKeyId",
        "Name", ReplicaRegions="ReplicationStatus",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Resource:
    """A resource of a template, and what stands for it in its region."""

    name: str
    type: str
    region: str
    id: str
    properties: Properties


@pytest.fixture(scope="module")
def resources(deployed: Workspace) -> list[Resource]:
    """Give every resource of every template of the deployed assembly."""
    assert deployed.twin
    cloud, outputs = Cloud(deployed.twin.endpoint_url), deployed.outputs()
    found = []
    manifest = json.loads((deployed.folder / "cdk.out/manifest.json").read_text())
    for id_, artifact in manifest["artifacts"].items():
        if artifact["type"] != "aws:cloudformation:stack":
            continue
        stack = artifact["properties"].get("stackName", id_)
        region = artifact["environment"].split("/")[-1]
        answer = cloud.call("cloudformation:ListStackResources", region, StackName=stack)
        ids = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in answer["StackResourceSummaries"]
        }
        template = deployed.folder / "cdk.out" / artifact["properties"]["templateFile"]
        for name, definition in json.loads(template.read_text()).get("Resources", {}).items():
            properties = known(definition.get("Properties", {}), ids, outputs)
            kind = definition["Type"]
            found.append(Resource(f"{stack}.{name}", kind, region, ids[name], properties))
    return found


def known(value: Any, ids: Mapping[str, str], outputs: Mapping[str, Any]) -> Any:
    """Evaluate properties, as far as physical ids and outputs say what they come to."""
    match value:
        case {"Ref": name}:
            return ids.get(name, UNKNOWN)
        case {"Fn::GetStackOutput": reference}:
            return outputs[reference["StackName"]][reference["OutputName"]]
        case {**function} if len(function) == 1 and next(iter(function)).startswith("Fn::"):
            return UNKNOWN
        case {**mapping}:
            return {key: known(item, ids, outputs) for key, item in mapping.items()}
        case [*items]:
            return [known(item, ids, outputs) for item in items]
        case _:
            return value


def describe(cloud: Cloud, resource: Resource) -> Any:
    """Ask the resource's own service for it."""
    how = DESCRIBED[resource.type]
    words = {"id": resource.id} | {
        f"{name}[0]" if isinstance(value, list) else name: value[0]
        if isinstance(value, list) and value
        else value
        for name, value in resource.properties.items()
    }

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(item) for key, item in node.items()}
        if isinstance(node, list):
            return [filled(item) for item in node]
        for word, value in words.items():
            node = node.replace(f"{{{word}}}", str(value))
        return node

    if resource.type == "AWS::AutoScaling::ScalingPolicy":
        words["id"] = resource.id.split("policyName/")[-1]
    answer = cloud.call(how.operation, resource.region, **filled(how.arguments))
    return jmespath.search(filled(how.item), answer)


def differences(expected: Any, found: Any, path: str) -> Iterator[str]:
    """Say where a description is not what a template says; what is unknown agrees with all."""
    if isinstance(found, str) and isinstance(expected, dict) and unquote(found).startswith("{"):
        found = json.loads(unquote(found))
    if isinstance(found, str) and isinstance(expected, list):
        found = found.split(",")
    match expected, found:
        case {**wanted}, {**seen}:
            for key, value in wanted.items():
                yield from differences(value, seen.get(key), f"{path}.{key}")
        case [*wanted], [*seen]:
            for number, value in enumerate(wanted):
                if all(list(differences(value, each, "")) for each in seen):
                    yield f"{path}.{number}: {value} is not in {seen}"
        case _ if expected is not UNKNOWN and text(expected) != text(found):
            yield f"{path}: {expected!r}, but the service says {found!r}"


def text(value: Any) -> str:
    """Write a scalar as a template may: as text, without a float's point or a name's last dot."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower().rstrip(".")


def test_every_type_of_the_templates_is_looked_up(resources: list[Resource]) -> None:
    assert {resource.type for resource in resources} == DESCRIBED.keys()


@pytest.mark.parametrize("kind", DESCRIBED)
def test_every_resource_is_what_its_template_says(
    kind: str, resources: list[Resource], deployed: Workspace
) -> None:
    assert deployed.twin
    cloud = Cloud(deployed.twin.endpoint_url)
    wrong: list[str] = []
    for resource in (each for each in resources if each.type == kind):
        found = describe(cloud, resource)
        if not found:
            wrong.append(f"{resource.name}: {resource.id} is not in {resource.region}")
            continue
        for name, path in DESCRIBED[kind].properties.items():
            if name in resource.properties:
                seen = jmespath.search(path, found)
                wrong += differences(resource.properties[name], seen, f"{resource.name}.{name}")
    assert wrong == []
