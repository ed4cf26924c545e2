"""Peering: a private path between the two VPCs, for every tier, both ways.

Requester and routes are in the primary region, the return routes in the standby's: the stacks
then depend on each other in one direction only (network, peering, return routes).
"""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct


class VpcPeeringStack(Stack):
    """The peering connection, requested by the primary VPC, and the primary's routes to the peer.

    CloudFormation accepts the request itself when both VPCs belong to one account, in another
    region too (AWS::EC2::VPCPeeringConnection, ``PeerRegion``).

    Attributes:
        connection_id: The peering connection's id, the same in both regions.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        route_table_ids: Mapping[str, str],
        peer_vpc: ec2.IVpc,
        peer_cidr: IPv4Network,
        peer_region: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        connection = ec2.CfnVPCPeeringConnection(
            self,
            "Connection",
            vpc_id=vpc.vpc_id,
            peer_vpc_id=peer_vpc.vpc_id,
            peer_region=peer_region,
        )
        self.connection_id: str = connection.ref
        _route_to_peer(self, route_table_ids, peer_cidr, self.connection_id)
        CfnOutput(self, "VpcPeeringConnectionId", value=self.connection_id)


class VpcPeeringRoutesStack(Stack):
    """The standby's routes back to the primary."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        route_table_ids: Mapping[str, str],
        peer_cidr: IPv4Network,
        connection_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        _route_to_peer(self, route_table_ids, peer_cidr, connection_id)
        CfnOutput(self, "VpcPeeringConnectionId", value=connection_id)


def _route_to_peer(
    stack: Stack, route_table_ids: Mapping[str, str], peer_cidr: IPv4Network, connection_id: str
) -> None:
    """Send what is meant for the peer over the connection, from every subnet."""
    for subnet, route_table_id in route_table_ids.items():
        ec2.CfnRoute(
            stack,
            f"{subnet}Route",
            route_table_id=route_table_id,
            destination_cidr_block=str(peer_cidr),
            vpc_peering_connection_id=connection_id,
        )
