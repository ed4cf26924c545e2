"""Network: tiers that lead elsewhere, addresses that collide, traffic that nobody records."""

from typing import Any

from breakages import Place, Steps, breaks, given
from standby.verify import Side
from standby.verify.probes.network import in_vpc, route_tables, subnets


def subnet_of(here: Place, tier: str) -> str:
    """Give a subnet of a tier."""
    return next(str(subnet["SubnetId"]) for kind, subnet in subnets(here.site) if kind == tier)


def table_of(here: Place, tier: str) -> dict[str, Any]:
    """Describe the route table of a tier's first subnet."""
    return route_tables(here.site)[subnet_of(here, tier)]


@breaks("network.vpc")
def the_vpc_is_another_one(here: Place) -> Steps:
    other = here.call("ec2:CreateVpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    here.put_out(VpcId=other)
    yield "CidrBlock 10.9.0.0/16"
    here.call("ec2:DeleteVpc", VpcId=other)


@breaks("network.vpc-dns")
def hosts_have_no_names(here: Place) -> Steps:
    here.call(
        "ec2:ModifyVpcAttribute", VpcId=here.output("VpcId"), EnableDnsHostnames={"Value": False}
    )
    yield "enableDnsHostnames False"
    here.call(
        "ec2:ModifyVpcAttribute", VpcId=here.output("VpcId"), EnableDnsHostnames={"Value": True}
    )


@breaks("network.blocks-disjoint", Side.PRIMARY)
def a_second_block_of_the_standby_lies_in_the_primary(here: Place) -> Steps:
    added = here.other.call(
        "ec2:AssociateVpcCidrBlock", VpcId=here.other.output("VpcId"), CidrBlock="10.0.200.0/24"
    )
    yield "10.0.0.0/16 overlaps 10.0.200.0/24"
    here.other.call(
        "ec2:DisassociateVpcCidrBlock",
        AssociationId=added["CidrBlockAssociation"]["AssociationId"],
    )


@breaks("network.tiers")
def a_private_subnet_lost_its_way_out(here: Place) -> Steps:
    table = table_of(here, "private")
    (route,) = [r for r in table["Routes"] if "NatGatewayId" in r]
    where = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    zone = here.region
    here.call("ec2:DeleteRoute", **where)
    yield f"private: {zone}b; isolated: {zone}a, {zone}b"
    here.call("ec2:CreateRoute", **where, NatGatewayId=route["NatGatewayId"])


@breaks("network.tiers")
def an_isolated_subnet_has_a_way_out(here: Place) -> Steps:
    table = table_of(here, "isolated")["RouteTableId"]
    gateway = here.call("ec2:DescribeNatGateways", Filter=in_vpc(here.site))["NatGateways"][0]
    where = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    here.call("ec2:CreateRoute", **where, NatGatewayId=gateway["NatGatewayId"])
    yield f"isolated: {here.region}b"
    here.call("ec2:DeleteRoute", **where)


@breaks("network.tiers")
def an_isolated_subnet_has_a_way_out_by_ipv6(here: Place) -> Steps:
    table = table_of(here, "isolated")["RouteTableId"]
    gateway = here.call("ec2:CreateEgressOnlyInternetGateway", VpcId=here.output("VpcId"))
    id_ = gateway["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
    where = {"RouteTableId": table, "DestinationIpv6CidrBlock": "::/0"}
    here.call("ec2:CreateRoute", **where, EgressOnlyInternetGatewayId=id_)
    yield f"isolated: {here.region}b"
    here.call("ec2:DeleteRoute", **where)
    here.call("ec2:DeleteEgressOnlyInternetGateway", EgressOnlyInternetGatewayId=id_)


@breaks("network.no-public-addresses")
def a_subnet_gives_public_addresses(here: Place) -> Steps:
    subnet = subnet_of(here, "public")
    for public in (True, False):
        here.call(
            "ec2:ModifySubnetAttribute", SubnetId=subnet, MapPublicIpOnLaunch={"Value": public}
        )
        if public:
            yield subnet


@breaks("network.nat")
def a_gateway_stands_in_a_private_subnet(here: Place) -> Steps:
    subnet = subnet_of(here, "private")
    gateway = here.call("ec2:CreateNatGateway", SubnetId=subnet, ConnectivityType="private")
    id_ = gateway["NatGateway"]["NatGatewayId"]
    yield f"{id_} is available in {subnet}"
    here.call("ec2:DeleteNatGateway", NatGatewayId=id_)


@breaks("network.s3-endpoint")
def the_endpoint_leaves_a_private_subnet_out(here: Place) -> Steps:
    endpoint = here.call("ec2:DescribeVpcEndpoints", Filters=in_vpc(here.site))["VpcEndpoints"][0]
    id_, table = endpoint["VpcEndpointId"], table_of(here, "private")["RouteTableId"]
    subnet = subnet_of(here, "private")
    here.call("ec2:ModifyVpcEndpoint", VpcEndpointId=id_, RemoveRouteTableIds=[table])
    yield f"{subnet} is not served"
    here.call("ec2:ModifyVpcEndpoint", VpcEndpointId=id_, AddRouteTableIds=[table])


@breaks("network.flow-logs")
def nothing_is_recorded(here: Place) -> Steps:
    yield from _with_another_flow_log(here, None, "there is none")


@breaks("network.flow-logs")
def only_what_was_rejected_is_recorded(here: Place) -> Steps:
    yield from _with_another_flow_log(here, "REJECT", "ACTIVE, REJECT")


def _with_another_flow_log(here: Place, traffic: str | None, heard: str) -> Steps:
    of_vpc = [{"Name": "resource-id", "Values": [here.output("VpcId")]}]
    (log,) = here.call("ec2:DescribeFlowLogs", Filter=of_vpc)["FlowLogs"]
    made = given(
        log, "LogGroupName", "DeliverLogsPermissionArn", "LogDestinationType", "TrafficType"
    ) | {"ResourceIds": [here.output("VpcId")], "ResourceType": "VPC"}
    here.call("ec2:DeleteFlowLogs", FlowLogIds=[log["FlowLogId"]])
    if traffic is None:
        yield heard
    else:
        less = here.call("ec2:CreateFlowLogs", **made | {"TrafficType": traffic})["FlowLogIds"]
        yield heard
        here.call("ec2:DeleteFlowLogs", FlowLogIds=less)
    here.call("ec2:CreateFlowLogs", **made)
