"""Network: the interfaces of NAT gateways, which EC2 makes, owns and removes itself.

moto makes them too, but as anybody's: in the VPC's default security group, and for ever.

Source: VPC user guide, "NAT gateway basics": no security group can be associated with one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from standby.twin.operations import Call, operation

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
