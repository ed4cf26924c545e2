"""Network: where traffic goes (route tables) and what may pass (network ACLs, prefix lists)."""

from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Created, Handler, Resource, gone_is_fine, handler
from standby.twin.handlers.network import Ec2Resource

_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_TARGETS = (
    "CarrierGatewayId",
    "EgressOnlyInternetGatewayId",
    "GatewayId",
    "InstanceId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "TransitGatewayId",
    "VpcEndpointId",
    "VpcPeeringConnectionId",
)


@handler("AWS::EC2::RouteTable")
class RouteTable(Ec2Resource):
    """The routes of one or more subnets."""

    def make(self, r: Resource) -> Created:
        """Create the table with its local route."""
        table = r.client("ec2").create_route_table(**r.properties.pick("VpcId"))["RouteTable"]
        return Created(table["RouteTableId"], {"RouteTableId": table["RouteTableId"]})

    def delete(self, r: Resource) -> None:
        """Delete the table; an associated subnet forbids that."""
        with gone_is_fine():
            r.client("ec2").delete_route_table(RouteTableId=r.physical_id)


@handler("AWS::EC2::Route")
class Route(Handler):
    """One route of a table: a destination and a target."""

    def create(self, r: Resource) -> Created:
        """Add the route."""
        destination = self._destination(r)
        r.client("ec2").create_route(
            RouteTableId=r.properties["RouteTableId"],
            **destination,
            **r.properties.pick(*_TARGETS),
        )
        (value,) = destination.values()
        return Created(f"{r.properties['RouteTableId']}|{value}", {"CidrBlock": value})

    def update(self, r: Resource) -> Created:
        """Send the destination's traffic to another target."""
        r.client("ec2").replace_route(
            RouteTableId=r.properties["RouteTableId"],
            **self._destination(r),
            **r.properties.pick(*_TARGETS),
        )
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Remove the route."""
        with gone_is_fine():
            r.client("ec2").delete_route(
                RouteTableId=r.properties["RouteTableId"], **self._destination(r)
            )

    @staticmethod
    def _destination(r: Resource) -> dict[str, Any]:
        destination = r.properties.pick(*_DESTINATIONS)
        if len(destination) != 1:
            raise TemplateError(f"{r.logical_id}: a route has exactly one of {_DESTINATIONS}")
        return destination


@handler("AWS::EC2::SubnetRouteTableAssociation")
class SubnetRouteTableAssociation(Handler):
    """The choice of a subnet's route table; without one it has the VPC's main table."""

    def create(self, r: Resource) -> Created:
        """Associate the table, in the place of another one if the subnet has it."""
        ec2, subnet = r.client("ec2"), r.properties["SubnetId"]
        wanted = r.properties.pick("RouteTableId")
        tables = ec2.describe_route_tables(
            Filters=[{"Name": "association.subnet-id", "Values": [subnet]}]
        )["RouteTables"]
        former = [
            link["RouteTableAssociationId"]
            for table in tables
            for link in table["Associations"]
            if link.get("SubnetId") == subnet
        ]
        if former:  # CloudFormation replaces this resource before it deletes the former one
            answer = ec2.replace_route_table_association(AssociationId=former[0], **wanted)
            id_ = answer["NewAssociationId"]
        else:
            id_ = ec2.associate_route_table(SubnetId=subnet, **wanted)["AssociationId"]
        return Created(id_, {"Id": id_})

    def delete(self, r: Resource) -> None:
        """Leave the subnet to the main table."""
        with gone_is_fine():
            r.client("ec2").disassociate_route_table(AssociationId=r.physical_id)


@handler("AWS::EC2::NetworkAcl")
class NetworkAcl(Ec2Resource):
    """A stateless filter of subnets' traffic; it denies what no entry allows."""

    def make(self, r: Resource) -> Created:
        """Create the ACL without entries."""
        acl = r.client("ec2").create_network_acl(**r.properties.pick("VpcId"))["NetworkAcl"]
        return Created(acl["NetworkAclId"], {"Id": acl["NetworkAclId"]})

    def delete(self, r: Resource) -> None:
        """Delete the ACL; an associated subnet forbids that."""
        with gone_is_fine():
            r.client("ec2").delete_network_acl(NetworkAclId=r.physical_id)


@handler("AWS::EC2::NetworkAclEntry")
class NetworkAclEntry(Handler):
    """One rule of a network ACL."""

    def create(self, r: Resource) -> Created:
        """Add the entry."""
        r.client("ec2").create_network_acl_entry(**self._entry(r))
        name = r.generated_name()
        return Created(name, {"Id": name})

    def update(self, r: Resource) -> Created:
        """Replace what the entry says; its number and direction are its identity."""
        r.client("ec2").replace_network_acl_entry(**self._entry(r))
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Remove the entry."""
        with gone_is_fine():
            r.client("ec2").delete_network_acl_entry(**self._identity(r))

    @staticmethod
    def _identity(r: Resource) -> dict[str, Any]:
        return {
            "NetworkAclId": r.properties["NetworkAclId"],
            "RuleNumber": int(r.properties["RuleNumber"]),
            "Egress": r.properties.get("Egress", False),
        }

    def _entry(self, r: Resource) -> dict[str, Any]:
        return {
            **self._identity(r),
            "Protocol": str(r.properties["Protocol"]),
            **r.properties.pick("RuleAction", "CidrBlock", "Ipv6CidrBlock", "PortRange"),
            **{f"{key}TypeCode": value for key, value in r.properties.pick("Icmp").items()},
        }


@handler("AWS::EC2::SubnetNetworkAclAssociation")
class SubnetNetworkAclAssociation(Handler):
    """The choice of a subnet's network ACL; every subnet always has exactly one."""

    def create(self, r: Resource) -> Created:
        """Put the subnet from its present ACL under the wanted one."""
        acl = _acl(r, "association.subnet-id", r.properties["SubnetId"])
        link = next(
            each for each in acl["Associations"] if each["SubnetId"] == r.properties["SubnetId"]
        )
        id_ = _replace_acl(r, link["NetworkAclAssociationId"], r.properties["NetworkAclId"])
        return Created(id_, {"AssociationId": id_})

    def delete(self, r: Resource) -> None:
        """Put the subnet back under the VPC's default ACL."""
        if acl := _acl(r, "association.association-id", r.physical_id):
            default = _acl(r, "default", "true", acl["VpcId"])
            _replace_acl(r, r.physical_id, default["NetworkAclId"])


def _acl(r: Resource, filter_name: str, value: str, vpc: str | None = None) -> Mapping[str, Any]:
    """Find the network ACL that a filter picks, or give an empty mapping."""
    filters = [{"Name": filter_name, "Values": [value]}]
    if vpc:
        filters.append({"Name": "vpc-id", "Values": [vpc]})
    found = r.client("ec2").describe_network_acls(Filters=filters)["NetworkAcls"]
    return next(iter(found), {})


def _replace_acl(r: Resource, association_id: str, acl_id: str) -> str:
    answer = r.client("ec2").replace_network_acl_association(
        AssociationId=association_id, NetworkAclId=acl_id
    )
    return str(answer["NewAssociationId"])


@handler("AWS::EC2::PrefixList")
class PrefixList(Ec2Resource):
    """A named set of address blocks, for routes and security groups to refer to."""

    def make(self, r: Resource) -> Created:
        """Create the list with its entries."""
        made = r.client("ec2").create_managed_prefix_list(
            MaxEntries=self._size(r.properties),
            **r.properties.pick("PrefixListName", "AddressFamily", "Entries"),
        )["PrefixList"]
        return Created(
            made["PrefixListId"],
            {
                "PrefixListId": made["PrefixListId"],
                "Arn": made["PrefixListArn"],
                "OwnerId": made["OwnerId"],
                "Version": made["Version"],
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags and, after creation, name and entries."""
        super().configure(r)
        if not r.previous:
            return
        before, after = r.previous.get("Entries", []), r.properties.get("Entries", [])
        kept = {entry["Cidr"] for entry in after}
        r.client("ec2").modify_managed_prefix_list(
            PrefixListId=r.physical_id,
            PrefixListName=r.properties["PrefixListName"],
            AddEntries=[entry for entry in after if entry not in before],
            RemoveEntries=[
                {"Cidr": entry["Cidr"]}
                for entry in before
                if entry not in after or entry["Cidr"] not in kept
            ],
        )

    @staticmethod
    def _size(properties: Mapping[str, Any]) -> int:
        return int(properties.get("MaxEntries", len(properties.get("Entries", [])) or 1))

    def delete(self, r: Resource) -> None:
        """Delete the list."""
        with gone_is_fine():
            r.client("ec2").delete_managed_prefix_list(PrefixListId=r.physical_id)
