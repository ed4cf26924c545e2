from typing import Any

import pytest
from assemblies import Assembly


def output_of(variant: Assembly, reference: dict[str, Any]) -> Any:
    """Follow ``Fn::GetStackOutput`` to what the other stack puts out."""
    source = reference["Fn::GetStackOutput"]
    return variant[source["StackName"]]["Outputs"][source["OutputName"]]["Value"]


def test_the_primary_requests_a_connection_to_the_standby(variant: Assembly) -> None:
    connection = variant.one("VpcPeering", "AWS::EC2::VPCPeeringConnection")
    assert connection["PeerRegion"] == "eu-west-3"
    assert connection["VpcId"]["Fn::GetStackOutput"]["StackName"].endswith("VpcStack-Primary")
    assert connection["PeerVpcId"]["Fn::GetStackOutput"]["StackName"].endswith("VpcStack-Standby")


@pytest.mark.parametrize(
    ("routes_stack", "vpc_stack", "peer_cidr"),
    [
        ("VpcPeering", "VpcStack-Primary", "10.1.0.0/16"),
        ("VpcPeeringRoutes", "VpcStack-Standby", "10.0.0.0/16"),
    ],
)
def test_every_subnet_of_every_tier_has_a_route_to_the_peer(
    variant: Assembly, routes_stack: str, vpc_stack: str, peer_cidr: str
) -> None:
    routes = [r["Properties"] for r in variant.find(routes_stack, "AWS::EC2::Route").values()]
    tables = [output_of(variant, route["RouteTableId"])["Ref"] for route in routes]
    assert sorted(tables) == sorted(variant.find(vpc_stack, "AWS::EC2::RouteTable"))
    assert {route["DestinationCidrBlock"] for route in routes} == {peer_cidr}
    assert all("VpcPeeringConnectionId" in route for route in routes)


def test_a_route_keeps_its_identity_when_a_zone_is_added(dev: Assembly, prod: Assembly) -> None:
    routes = dev.find("VpcPeering", "AWS::EC2::Route").keys()
    assert routes <= prod.find("VpcPeering", "AWS::EC2::Route").keys()
