"""Network: the VPC of each side, its tiers of subnets, and what leaves them."""

from ipaddress import ip_network
from itertools import product
from typing import Any

from standby.verify.outputs import Side
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.site import Site, only

ANYWHERE = ("0.0.0.0/0", "::/0")
TIERS = ("public", "private", "isolated")


@probe("network.vpc")
def vpc_available(site: Site) -> Verdict:
    """The VPC is available, with the address block that its stack put out."""
    return expect_fields(vpc(site), State="available", CidrBlock=site.output("VpcCidr"))


@probe("network.vpc-dns")
def vpc_dns(site: Site) -> Verdict:
    """The VPC resolves names and names its hosts, as mounting a file system by name needs."""
    attributes = {
        name: site.ask("ec2:DescribeVpcAttribute", VpcId=site.output("VpcId"), Attribute=name)
        for name in ("enableDnsSupport", "enableDnsHostnames")
    }
    seen = {
        name: answer[name[0].upper() + name[1:]]["Value"] for name, answer in attributes.items()
    }
    return expect_fields(seen, enableDnsSupport=True, enableDnsHostnames=True)


@probe("network.blocks-disjoint", Side.PRIMARY)
def blocks_disjoint(site: Site) -> Verdict:
    """The two VPCs share no address, or peering could not route between them."""
    ours, theirs = (
        [
            ip_network(block["CidrBlock"])
            for block in vpc(each)["CidrBlockAssociationSet"]
            if block["CidrBlockState"]["State"] in {"associating", "associated"}
        ]
        for each in (site, site.other)
    )
    overlaps = [f"{a} overlaps {b}" for a, b in product(ours, theirs) if a.overlaps(b)]
    return expect_faultless("no address in both VPCs", ours, overlaps)


@probe("network.tiers")
def tiers(site: Site) -> Verdict:
    """Public, private and isolated subnets each span the same two or more zones."""
    zones: dict[str, set[str]] = {tier: set() for tier in TIERS}
    for tier, subnet in subnets(site):
        zones[tier].add(subnet["AvailabilityZone"])
    ok = len(zones["public"]) >= 2 and len({frozenset(found) for found in zones.values()}) == 1
    seen = "; ".join(f"{tier}: {', '.join(sorted(zones[tier])) or 'none'}" for tier in TIERS)
    return expect(ok, f"{', '.join(TIERS)} subnets in the same two or more zones", seen)


@probe("network.no-public-addresses")
def no_public_addresses(site: Site) -> Verdict:
    """No subnet gives public addresses to what is launched in it."""
    found = [subnet for _, subnet in subnets(site)]
    faults = [f"{each['SubnetId']} gives them" for each in found if each["MapPublicIpOnLaunch"]]
    return expect_faultless("no public address on launch", found, faults)


@probe("network.nat")
def nat(site: Site) -> Verdict:
    """Every NAT gateway is available, in a public subnet."""
    public = {subnet["SubnetId"] for tier, subnet in subnets(site) if tier == "public"}
    gateways = [
        gateway
        for gateway in site.ask("ec2:DescribeNatGateways", Filter=in_vpc(site))["NatGateways"]
        if gateway["State"] not in {"deleting", "deleted"}
    ]
    faults = [
        f"{gateway['NatGatewayId']} is {gateway['State']} in {gateway['SubnetId']}"
        for gateway in gateways
        if gateway["State"] != "available" or gateway["SubnetId"] not in public
    ]
    return expect_faultless("available in a public subnet", gateways, faults)


@probe("network.s3-endpoint")
def s3_endpoint(site: Site) -> Verdict:
    """A gateway endpoint takes the private subnets' S3 traffic, past the NAT gateways."""
    endpoints = site.ask("ec2:DescribeVpcEndpoints", Filters=in_vpc(site))["VpcEndpoints"]
    service = f"com.amazonaws.{site.region}.s3"
    endpoint = only(
        (e for e in endpoints if e["ServiceName"] == service and e["VpcEndpointType"] == "Gateway"),
        f"gateway endpoint for {service}",
    )
    tables = route_tables(site)
    served = set(endpoint["RouteTableIds"])
    faults = [
        f"{subnet['SubnetId']} is not served"
        for tier, subnet in subnets(site)
        if tier == "private" and tables[subnet["SubnetId"]]["RouteTableId"] not in served
    ]
    if endpoint["State"].lower() != "available":
        faults.append(f"{endpoint['VpcEndpointId']} is {endpoint['State']}")
    return expect_faultless("available to every private subnet", [endpoint], faults)


@probe("network.flow-logs")
def flow_logs(site: Site) -> Verdict:
    """A flow log records all traffic of the VPC, and delivers."""
    this_vpc = [{"Name": "resource-id", "Values": [site.output("VpcId")]}]
    logs = site.ask("ec2:DescribeFlowLogs", Filter=this_vpc)["FlowLogs"]
    faults = [
        f"{log['FlowLogId']} is {log['FlowLogStatus']}, {log['TrafficType']}, "
        f"delivery {log.get('DeliverLogsStatus', 'pending')}"
        for log in logs
        if (log["FlowLogStatus"], log["TrafficType"]) != ("ACTIVE", "ALL")
        or log.get("DeliverLogsStatus") == "FAILED"
    ]
    return expect_faultless("active, of all traffic, delivering", logs, faults)


def in_vpc(site: Site) -> list[dict[str, Any]]:
    """Give the filter that EC2's operations take for the side's VPC."""
    return [{"Name": "vpc-id", "Values": [site.output("VpcId")]}]


def vpc(site: Site) -> dict[str, Any]:
    """Describe the side's VPC."""
    answer = site.ask("ec2:DescribeVpcs", VpcIds=[site.output("VpcId")])
    return only(answer["Vpcs"], f"VPC {site.output('VpcId')}")


def route_tables(site: Site) -> dict[str, dict[str, Any]]:
    """Describe the route table in force for each subnet, by the subnet's id."""
    tables = site.ask("ec2:DescribeRouteTables", Filters=in_vpc(site))["RouteTables"]
    pairs = [(link, table) for table in tables for link in table["Associations"]]
    main = only((table for link, table in pairs if link.get("Main")), "main route table")
    explicit = {link["SubnetId"]: table for link, table in pairs if "SubnetId" in link}
    found = site.ask("ec2:DescribeSubnets", Filters=in_vpc(site))["Subnets"]
    return {subnet["SubnetId"]: explicit.get(subnet["SubnetId"], main) for subnet in found}


def subnets(site: Site) -> list[tuple[str, dict[str, Any]]]:
    """Describe the side's subnets, each with its tier: told by its routes, not by its name."""
    tables = route_tables(site)
    found = site.ask("ec2:DescribeSubnets", Filters=in_vpc(site))["Subnets"]
    return [(_tier(tables[subnet["SubnetId"]]), subnet) for subnet in found]


def _tier(table: dict[str, Any]) -> str:
    """Tell a tier by its ways out: straight to the internet, through something else, or none."""
    ways_out = [
        route
        for route in table["Routes"]
        if (route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")) in ANYWHERE
        and route["State"] == "active"
    ]
    if any(route.get("GatewayId", "").startswith("igw-") for route in ways_out):
        return "public"
    return "private" if ways_out else "isolated"
