"""Network: one VPC per region, three tiers of subnets in every Availability Zone."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from aws_cdk import Aws, CfnOutput, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from standby.blueprint.acknowledge import acknowledge
from standby.blueprint.retention import LOG_RETENTION, removal_policy
from standby.settings import Settings, subnet_prefix


class VpcStack(Stack):
    """The VPC of one region: public, private and isolated subnets, NAT, an S3 endpoint.

    Attributes:
        vpc: The VPC.
        route_table_ids: Every subnet's route table, by the subnet's name (``IsolatedSubnet1``):
            peering must reach every tier, the database's included.
    """

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, cidr: IPv4Network, **kwargs: Any
    ) -> None:
        super().__init__(scope, id, **kwargs)
        tier_mask = subnet_prefix(cidr, settings.az_count)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(str(cidr)),
            # Chosen at deployment: the stacks know no account, and need no lookup.
            availability_zones=[Fn.select(i, Fn.get_azs()) for i in range(settings.az_count)],
            nat_gateways=settings.nat_gateways,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=tier_mask,
                    # Only load balancers and NAT gateways live here, with addresses of their own.
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(
                    name="Private",
                    subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS,
                    cidr_mask=tier_mask,
                ),
                ec2.SubnetConfiguration(
                    name="Isolated",
                    subnet_type=ec2.SubnetType.PRIVATE_ISOLATED,
                    cidr_mask=tier_mask,
                ),
            ],
            # Free of charge, and keeps package and artifact traffic off the NAT gateways. An
            # interface endpoint costs about $8 a month per zone: SSM and the rest go through NAT.
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
            },
            # Emptying the default group takes a Lambda function; nothing here ever joins it.
            restrict_default_security_group=False,
        )
        acknowledge(
            self.vpc,
            {"AwsSolutions-VPC7": "SecurityStack has the flow log: it owns the key (FlowLogs)."},
        )
        self.route_table_ids: Mapping[str, str] = {
            subnet.node.id: subnet.route_table.route_table_id
            for tier in (
                self.vpc.public_subnets,
                self.vpc.private_subnets,
                self.vpc.isolated_subnets,
            )
            for subnet in tier
        }
        CfnOutput(self, "VpcId", value=self.vpc.vpc_id)
        CfnOutput(self, "VpcCidr", value=str(cidr))


class FlowLogs(Construct):
    """A record of all traffic that a VPC accepted or rejected, in an encrypted log group.

    It belongs to the stack that owns the key, because the key comes after the VPC.
    """

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, vpc: ec2.IVpc, key: kms.IKey
    ) -> None:
        super().__init__(scope, id)
        log_group = logs.LogGroup(
            self,
            "LogGroup",
            encryption_key=key,
            retention=LOG_RETENTION,
            removal_policy=removal_policy(settings),
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "vpc-flow-logs.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
            description="Lets VPC Flow Logs write to its log group",
        )
        ec2.FlowLog(
            self,
            "FlowLog",
            resource_type=ec2.FlowLogResourceType.from_vpc(vpc),
            traffic_type=ec2.FlowLogTrafficType.ALL,
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group, role),
        )
