"""Peering: a connection that nobody accepted, and routes that are gone."""

from breakages import Place, Steps, breaks
from breakages.network import subnet_of, table_of
from standby.verify import Side


@breaks("peering.active", Side.PRIMARY)
def the_connection_was_never_accepted(here: Place) -> Steps:
    made = here.call(
        "ec2:CreateVpcPeeringConnection",
        VpcId=here.output("VpcId"),
        PeerVpcId=here.other.output("VpcId"),
        PeerRegion=here.other.region,
    )
    id_ = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    here.put_out(VpcPeeringConnectionId=id_)
    yield "Status pending-acceptance"
    here.call("ec2:DeleteVpcPeeringConnection", VpcPeeringConnectionId=id_)


@breaks("peering.routes", Side.PRIMARY)
def a_public_subnet_has_no_route(here: Place) -> Steps:
    yield from _without_route(here, "public")


@breaks("peering.routes")
def a_private_subnet_has_no_route(here: Place) -> Steps:
    yield from _without_route(here, "private")


@breaks("peering.routes")
def an_isolated_subnet_has_no_route(here: Place) -> Steps:
    yield from _without_route(here, "isolated")


def _without_route(here: Place, tier: str) -> Steps:
    route = {
        "RouteTableId": table_of(here, tier)["RouteTableId"],
        "DestinationCidrBlock": here.other.output("VpcCidr"),
    }
    here.call("ec2:DeleteRoute", **route)
    yield f"{tier} {subnet_of(here, tier)} has none"
    here.call(
        "ec2:CreateRoute", **route, VpcPeeringConnectionId=here.output("VpcPeeringConnectionId")
    )
