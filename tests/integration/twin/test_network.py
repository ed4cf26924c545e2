"""Network and peering through EC2's API: what stacks make of them, change and leave."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY, STANDBY, Deploy, DeploymentFailed


def of_vpc(vpc_id: str) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
SUBNET = {
    "Type": "AWS::EC2::Subnet",
    "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24"},
}
TABLE = {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}}


def test_a_nat_gateway_has_an_interface_in_no_group_and_takes_it_along(deploy: Deploy) -> None:
    stack = deploy(
        {
            "Vpc": VPC,
            "Subnet": SUBNET,
            "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
            "Nat": {
                "Type": "AWS::EC2::NatGateway",
                "Properties": {
                    "SubnetId": {"Ref": "Subnet"},
                    "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]},
                },
            },
        }
    )
    ec2 = stack.client("ec2")
    (gateway,) = ec2.describe_nat_gateways(NatGatewayIds=[stack["Nat"]])["NatGateways"]
    assert gateway["State"] == "available"
    unknown = [{"Name": "tag:Name", "Values": ["another"]}]
    assert ec2.describe_nat_gateways(Filter=unknown)["NatGateways"] == []
    assert gateway["NatGatewayAddresses"][0]["PublicIp"] == stack["Address"]
    (interface,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert interface["Description"] == f"Interface for NAT Gateway {stack['Nat']}"
    assert interface["Groups"] == []
    stack.delete()
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_addresses()["Addresses"] == []


def test_peering_is_active_for_both_regions_and_carries_routes(deploy: Deploy) -> None:
    peer = deploy(
        {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16"}}}, STANDBY
    )
    stack = deploy(
        {
            "Vpc": VPC,
            "Table": TABLE,
            "Peering": {
                "Type": "AWS::EC2::VPCPeeringConnection",
                "Properties": {
                    "VpcId": {"Ref": "Vpc"},
                    "PeerVpcId": peer["Vpc"],
                    "PeerRegion": STANDBY,
                },
            },
            "Route": {
                "Type": "AWS::EC2::Route",
                "Properties": {
                    "RouteTableId": {"Ref": "Table"},
                    "DestinationCidrBlock": "10.1.0.0/16",
                    "VpcPeeringConnectionId": {"Ref": "Peering"},
                },
            },
        },
        PRIMARY,
    )
    for side in (stack, peer):
        (connection,) = side.client("ec2").describe_vpc_peering_connections(
            VpcPeeringConnectionIds=[stack["Peering"]]
        )["VpcPeeringConnections"]
        assert connection["Status"]["Code"] == "active"
        assert connection["AccepterVpcInfo"]["Region"] == STANDBY
    by_vpc = {
        "Name": "accepter-vpc-info.vpc-id",
        "Values": [connection["AccepterVpcInfo"]["VpcId"]],
    }
    for code, found in (("active", 1), ("deleted", 0), ("act*", 1)):
        filters = [by_vpc, {"Name": "status-code", "Values": [code]}]
        answer = stack.client("ec2").describe_vpc_peering_connections(Filters=filters)
        assert len(answer["VpcPeeringConnections"]) == found
    with pytest.raises(ClientError, match=r"InvalidVpcPeeringConnectionID\.NotFound"):
        stack.client("ec2").describe_vpc_peering_connections(VpcPeeringConnectionIds=["pcx-0"])
    tables = stack.client("ec2").describe_route_tables(RouteTableIds=[stack["Table"]])
    routes = tables["RouteTables"][0]["Routes"]
    (route,) = (r for r in routes if r.get("DestinationCidrBlock") == "10.1.0.0/16")
    assert route["VpcPeeringConnectionId"] == stack["Peering"]


def test_an_update_changes_what_the_template_changes(deploy: Deploy) -> None:
    stack = deploy({"Vpc": VPC, "Subnet": SUBNET})
    ec2, subnet = stack.client("ec2"), stack["Subnet"]
    changed = {"MapPublicIpOnLaunch": True, "Tags": [{"Key": "tier", "Value": "public"}]}
    stack.update(
        {
            "Vpc": {**VPC, "Properties": VPC["Properties"] | {"EnableDnsHostnames": True}},
            "Subnet": {**SUBNET, "Properties": SUBNET["Properties"] | changed},
        }
    )
    assert stack["Subnet"] == subnet
    (found,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert found["MapPublicIpOnLaunch"]
    assert {"Key": "tier", "Value": "public"} in found["Tags"]
    names = ec2.describe_vpc_attribute(VpcId=stack["Vpc"], Attribute="enableDnsHostnames")
    assert names["EnableDnsHostnames"] == {"Value": True}


def test_another_block_is_another_subnet(deploy: Deploy) -> None:
    stack = deploy({"Vpc": VPC, "Subnet": SUBNET})
    former = stack["Subnet"]
    moved = {**SUBNET, "Properties": SUBNET["Properties"] | {"CidrBlock": "10.0.2.0/24"}}
    stack.update({"Vpc": VPC, "Subnet": moved})
    found = stack.client("ec2").describe_subnets(Filters=of_vpc(stack["Vpc"]))["Subnets"]
    assert [subnet["CidrBlock"] for subnet in found] == ["10.0.2.0/24"]
    assert stack["Subnet"] != former


def test_a_stack_takes_its_network_with_it(deploy: Deploy) -> None:
    stack = deploy(
        {
            "Vpc": VPC,
            "Subnet": SUBNET,
            "Table": TABLE,
            "Association": {
                "Type": "AWS::EC2::SubnetRouteTableAssociation",
                "Properties": {
                    "SubnetId": {"Ref": "Subnet"},
                    "RouteTableId": {"Ref": "Table"},
                },
            },
            "Gateway": {"Type": "AWS::EC2::InternetGateway"},
            "Attachment": {
                "Type": "AWS::EC2::VPCGatewayAttachment",
                "Properties": {
                    "VpcId": {"Ref": "Vpc"},
                    "InternetGatewayId": {"Ref": "Gateway"},
                },
            },
        }
    )
    ec2, vpc = stack.client("ec2"), stack["Vpc"]
    stack.delete()
    assert ec2.describe_vpcs(Filters=of_vpc(vpc))["Vpcs"] == []
    assert ec2.describe_internet_gateways()["InternetGateways"] == []
    assert ec2.describe_network_acls(Filters=of_vpc(vpc))["NetworkAcls"] == []


def test_a_route_to_nothing_is_refused(deploy: Deploy) -> None:
    route = {
        "Type": "AWS::EC2::Route",
        "Properties": {"RouteTableId": {"Ref": "Table"}, "GatewayId": "igw-00000000"},
    }
    with pytest.raises(DeploymentFailed, match="exactly one of"):
        deploy({"Vpc": VPC, "Table": TABLE, "Route": route})
