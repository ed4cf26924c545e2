"""Peering: the private path between the two regions, for every tier, both ways."""

from standby.verify.probe import Verdict, expect_faultless, expect_fields, probe
from standby.verify.probes.network import route_tables, subnets
from standby.verify.site import Site, only


@probe("peering.active")
def active(site: Site) -> Verdict:
    """The peering connection is active between the two VPCs, seen from this side."""
    id_ = site.output("VpcPeeringConnectionId")
    answer = site.ask("ec2:DescribeVpcPeeringConnections", VpcPeeringConnectionIds=[id_])
    peering = only(answer["VpcPeeringConnections"], f"peering connection {id_}")
    seen = {"Status": peering["Status"]["Code"]}
    for end in ("Requester", "Accepter"):
        info = peering[f"{end}VpcInfo"]
        seen[end] = f"{info['VpcId']} in {info.get('Region', site.region)}"
    primary, standby = (site, site.other) if site.side == "primary" else (site.other, site)
    return expect_fields(
        seen,
        Status="active",
        Requester=f"{primary.output('VpcId')} in {primary.region}",
        Accepter=f"{standby.output('VpcId')} in {standby.region}",
    )


@probe("peering.routes")
def routes(site: Site) -> Verdict:
    """Every subnet of every tier, the isolated ones included, has an active route to the peer."""
    peer = site.other.output("VpcCidr")
    tables = route_tables(site)
    found = subnets(site)
    faults = [
        f"{tier} {subnet['SubnetId']} has none"
        for tier, subnet in found
        if not any(
            route.get("DestinationCidrBlock") == peer
            and route.get("VpcPeeringConnectionId") == site.output("VpcPeeringConnectionId")
            and route["State"] == "active"
            for route in tables[subnet["SubnetId"]]["Routes"]
        )
    ]
    return expect_faultless(f"an active route to {peer} from every subnet", found, faults)
