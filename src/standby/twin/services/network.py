"""Network: the interfaces of NAT gateways, and the filters that moto does not apply.

EC2 makes, owns and removes the interfaces itself. moto makes them too, but as anybody's: in the
VPC's default security group, and for ever.

Source: VPC user guide, "NAT gateway basics": no security group can be associated with one; EC2 API
reference, "DescribeVpcPeeringConnections".
"""

import functools
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from standby.twin.operations import Call, ServiceError, operation

SERVICE = "ec2"


@operation(SERVICE, "CreateNatGateway")
def create_nat_gateway(call: Call) -> Mapping[str, Any]:
    """Create the gateway; its interfaces are in use by it, and in no group."""
    answer = call.moto()
    gateway = answer["NatGateway"]
    for interface in _interfaces(call, gateway):
        interface.description = f"Interface for NAT Gateway {gateway['NatGatewayId']}"
        interface.interface_type = "nat_gateway"
        interface.requester_managed = True
        interface.status = "in-use"
        interface._group_set.clear()
    return answer


@operation(SERVICE, "DeleteNatGateway")
def delete_nat_gateway(call: Call) -> Mapping[str, Any]:
    """Delete the gateway with its interfaces."""
    backend = ec2_backends[call.account][call.region]
    found = call.twin.client(SERVICE, call.region).describe_nat_gateways(
        NatGatewayIds=[call.params["NatGatewayId"]]
    )
    answer = call.moto()
    for gateway in found["NatGateways"]:
        for interface in _interfaces(call, gateway):
            backend.delete_network_interface(interface.id)
    return answer


def _interfaces(call: Call, gateway: Mapping[str, Any]) -> Iterator[NetworkInterface]:
    backend = ec2_backends[call.account][call.region]
    for address in gateway["NatGatewayAddresses"]:
        if interface := backend.enis.get(address.get("NetworkInterfaceId")):
            yield interface


@operation(SERVICE, "DeleteVpc")
def delete_vpc(call: Call) -> Mapping[str, Any]:
    """Delete a VPC with its network ACL, which moto forgets."""
    answer = call.moto()
    acls = ec2_backends[call.account][call.region].network_acls
    for id_ in [id_ for id_, acl in acls.items() if acl.vpc_id == call.params["VpcId"]]:
        del acls[id_]
    return answer


@operation(SERVICE, "DescribeNatGateways")
def describe_nat_gateways(call: Call) -> Mapping[str, Any]:
    """Describe gateways, also by their tags."""
    answer = call.moto()
    filters = [f for f in call.params.get("Filter", ()) if f["Name"].startswith("tag")]
    found = [each for each in answer["NatGateways"] if all(_passes(each, f) for f in filters)]
    return {**answer, "NatGateways": found}


@operation(SERVICE, "DescribeVpcPeeringConnections")
def describe_vpc_peering_connections(call: Call) -> Mapping[str, Any]:
    """Describe peering connections by id and filter; an id that is none is refused."""
    answer = call.moto()
    connections = answer["VpcPeeringConnections"]
    known = {each["VpcPeeringConnectionId"] for each in connections}
    for id_ in call.params.get("VpcPeeringConnectionIds", ()):
        if id_ not in known:
            raise ServiceError(
                "InvalidVpcPeeringConnectionID.NotFound",
                f"The vpcPeeringConnection ID '{id_}' does not exist",
            )
    filters = call.params.get("Filters", ())
    found = [each for each in connections if all(_passes(each, f) for f in filters)]
    return {**answer, "VpcPeeringConnections": found}


def _passes(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether something fits one of a filter's values, in which ``*`` and ``?`` are wild."""
    values = _values(item, wanted["Name"])
    return any(fnmatchcase(value, pattern) for value in values for pattern in wanted["Values"])


def _values(item: Mapping[str, Any], name: str) -> list[str]:
    """Give what a filter's name means of something: a tag, or ``status-code`` for Status.Code."""
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}
    if name == "tag-key":
        return list(tags)
    if name.startswith("tag:"):
        return [tags[key]] if (key := name.removeprefix("tag:")) in tags else []
    if name not in _PEERING_FIELDS:
        raise ServiceError("InvalidParameterValue", f"The filter '{name}' is invalid")
    value = functools.reduce(lambda node, key: node.get(key, {}), _PEERING_FIELDS[name], item)
    return [value] if isinstance(value, str) else []


_SIDES = {"accepter-vpc-info": "AccepterVpcInfo", "requester-vpc-info": "RequesterVpcInfo"}
_PEERING_FIELDS: Mapping[str, tuple[str, ...]] = {
    "status-code": ("Status", "Code"),
    "status-message": ("Status", "Message"),
    "vpc-peering-connection-id": ("VpcPeeringConnectionId",),
    **{
        f"{side}.{name}": (member, field)
        for side, member in _SIDES.items()
        for name, field in (
            ("cidr-block", "CidrBlock"),
            ("owner-id", "OwnerId"),
            ("vpc-id", "VpcId"),
        )
    },
}
"""Where a peering connection has what its filters name."""
