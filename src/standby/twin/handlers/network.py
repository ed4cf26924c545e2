"""Network: VPCs, subnets, gateways, addresses and endpoints.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon EC2".
"""

from typing import Any, ClassVar

from standby.twin.handlers import Configured, Created, Resource, gone_is_fine, handler


class Ec2Resource(Configured):
    """A resource of EC2 that takes tags.

    Attributes:
        tag_property: The property that holds them.
    """

    tag_property: ClassVar[str] = "Tags"

    def id_of(self, r: Resource) -> str:
        """Give the id that EC2 knows an existing resource by."""
        return r.physical_id

    def configure(self, r: Resource) -> None:
        """Bring the tags to what is wanted."""
        ec2, id_ = r.client("ec2"), self.id_of(r)
        if dropped := r.dropped_tags(self.tag_property):
            ec2.delete_tags(Resources=[id_], Tags=[{"Key": key} for key in dropped])
        if tags := r.all_tags(self.tag_property):
            ec2.create_tags(Resources=[id_], Tags=tags)


@handler("AWS::EC2::VPC")
class Vpc(Ec2Resource):
    """A virtual network, with its default security group, network ACL and main route table."""

    def make(self, r: Resource) -> Created:
        """Create the VPC and look up what EC2 gave it by default."""
        ec2 = r.client("ec2")
        vpc = ec2.create_vpc(**r.properties.pick("CidrBlock", "InstanceTenancy"))["Vpc"]
        of_vpc = {"Name": "vpc-id", "Values": [vpc["VpcId"]]}
        default_group = {"Name": "group-name", "Values": ["default"]}
        (group,) = ec2.describe_security_groups(Filters=[of_vpc, default_group])["SecurityGroups"]
        (acl,) = ec2.describe_network_acls(Filters=[of_vpc])["NetworkAcls"]
        return Created(
            vpc["VpcId"],
            {
                "VpcId": vpc["VpcId"],
                "CidrBlock": vpc["CidrBlock"],
                "CidrBlockAssociations": [
                    block["AssociationId"] for block in vpc["CidrBlockAssociationSet"]
                ],
                "DefaultNetworkAcl": acl["NetworkAclId"],
                "DefaultSecurityGroup": group["GroupId"],
                "Ipv6CidrBlocks": [],
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags, name resolution and, after creation, tenancy."""
        super().configure(r)
        ec2, wanted = r.client("ec2"), r.properties
        for name, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
            value = wanted.get(name, default)
            if value != r.previous.get(name, default):
                ec2.modify_vpc_attribute(VpcId=r.physical_id, **{name: {"Value": value}})
        tenancy = wanted.get("InstanceTenancy", "default")
        if r.previous and tenancy != r.previous.get("InstanceTenancy", "default"):
            ec2.modify_vpc_tenancy(VpcId=r.physical_id, InstanceTenancy=tenancy)

    def delete(self, r: Resource) -> None:
        """Delete the VPC; what still depends on it forbids that."""
        with gone_is_fine():
            r.client("ec2").delete_vpc(VpcId=r.physical_id)


@handler("AWS::EC2::Subnet")
class Subnet(Ec2Resource):
    """A range of a VPC's addresses in one Availability Zone."""

    def make(self, r: Resource) -> Created:
        """Create the subnet."""
        ec2 = r.client("ec2")
        wanted = r.properties.pick(
            "VpcId",
            "CidrBlock",
            "AvailabilityZone",
            "AvailabilityZoneId",
            "Ipv6CidrBlock",
            "Ipv6Native",
        )
        subnet = ec2.create_subnet(**wanted)["Subnet"]
        of_subnet = {"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}
        acls = ec2.describe_network_acls(Filters=[of_subnet])["NetworkAcls"]
        return Created(
            subnet["SubnetId"],
            {
                **{
                    name: subnet[name]
                    for name in ("SubnetId", "VpcId", "AvailabilityZone", "AvailabilityZoneId")
                },
                "CidrBlock": subnet.get("CidrBlock", ""),
                "Ipv6CidrBlocks": [
                    block["Ipv6CidrBlock"] for block in subnet["Ipv6CidrBlockAssociationSet"]
                ],
                "NetworkAclAssociationId": next(
                    link["NetworkAclAssociationId"]
                    for acl in acls
                    for link in acl["Associations"]
                    if link["SubnetId"] == subnet["SubnetId"]
                ),
                "OutpostArn": "",
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags and what instances get on launch; EC2 takes one attribute a call."""
        super().configure(r)
        before, after = self._attributes(r.previous), self._attributes(r.properties)
        for name, value in after.items():
            if value != before[name]:
                r.client("ec2").modify_subnet_attribute(
                    SubnetId=r.physical_id,
                    **{name: value if isinstance(value, str) else {"Value": value}},
                )

    @staticmethod
    def _attributes(properties: Any) -> dict[str, Any]:
        names = properties.get("PrivateDnsNameOptionsOnLaunch", {})
        return {
            **{
                name: properties.get(name, False)
                for name in ("MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation", "EnableDns64")
            },
            "PrivateDnsHostnameTypeOnLaunch": names.get("HostnameType", "ip-name"),
            **{
                f"{name}OnLaunch": names.get(name, False)
                for name in ("EnableResourceNameDnsARecord", "EnableResourceNameDnsAAAARecord")
            },
        }

    def delete(self, r: Resource) -> None:
        """Delete the subnet; a network interface in it forbids that."""
        with gone_is_fine():
            r.client("ec2").delete_subnet(SubnetId=r.physical_id)


@handler("AWS::EC2::InternetGateway")
class InternetGateway(Ec2Resource):
    """A VPC's way to and from the internet."""

    def make(self, r: Resource) -> Created:
        """Create the gateway, attached to nothing."""
        gateway = r.client("ec2").create_internet_gateway()["InternetGateway"]
        id_ = gateway["InternetGatewayId"]
        return Created(id_, {"InternetGatewayId": id_})

    def delete(self, r: Resource) -> None:
        """Delete the gateway; an attachment forbids that."""
        with gone_is_fine():
            r.client("ec2").delete_internet_gateway(InternetGatewayId=r.physical_id)


@handler("AWS::EC2::VPCGatewayAttachment")
class VpcGatewayAttachment(Configured):
    """The attachment of an internet gateway to a VPC."""

    def make(self, r: Resource) -> Created:
        """Attach the gateway."""
        r.client("ec2").attach_internet_gateway(**r.properties.pick("InternetGatewayId", "VpcId"))
        return Created(f"IGW|{r.properties['VpcId']}", {"AttachmentType": "IGW"})

    def configure(self, r: Resource) -> None:
        """Attach another gateway in the place of the former."""
        wanted = r.properties["InternetGatewayId"]
        if r.previous and wanted != r.previous["InternetGatewayId"]:
            vpc = r.properties["VpcId"]
            ec2 = r.client("ec2")
            ec2.detach_internet_gateway(
                InternetGatewayId=r.previous["InternetGatewayId"], VpcId=vpc
            )
            ec2.attach_internet_gateway(InternetGatewayId=wanted, VpcId=vpc)

    def delete(self, r: Resource) -> None:
        """Detach the gateway; public addresses in use behind it forbid that."""
        with gone_is_fine("Gateway.NotAttached"):
            r.client("ec2").detach_internet_gateway(
                **r.properties.pick("InternetGatewayId", "VpcId")
            )


@handler("AWS::EC2::EIP")
class ElasticIp(Ec2Resource):
    """A public address that is ours until released; ``Ref`` is the address."""

    def id_of(self, r: Resource) -> str:
        """Give the allocation's id."""
        return str(r.attributes["AllocationId"])

    def make(self, r: Resource) -> Created:
        """Allocate an address."""
        r.properties.get("Domain")  # EC2-Classic is gone: there is no other domain than "vpc"
        address = r.client("ec2").allocate_address(
            Domain="vpc", **r.properties.pick("Address", "NetworkBorderGroup", "PublicIpv4Pool")
        )
        attributes = {name: address[name] for name in ("AllocationId", "PublicIp")}
        return Created(address["PublicIp"], attributes)

    def configure(self, r: Resource) -> None:
        """Set tags, and associate the address with the wanted instance or with none."""
        super().configure(r)
        ec2, wanted = r.client("ec2"), r.properties.get("InstanceId")
        if wanted == r.previous.get("InstanceId"):
            return
        if wanted:
            ec2.associate_address(
                AllocationId=self.id_of(r), InstanceId=wanted, AllowReassociation=True
            )
        else:
            ec2.disassociate_address(PublicIp=r.physical_id)

    def delete(self, r: Resource) -> None:
        """Release the address, from its instance if it has one."""
        ec2 = r.client("ec2")
        with gone_is_fine():
            if r.properties.get("InstanceId"):
                ec2.disassociate_address(PublicIp=r.physical_id)
            ec2.release_address(AllocationId=self.id_of(r))


@handler("AWS::EC2::NatGateway")
class NatGateway(Ec2Resource):
    """The way out for instances without public addresses."""

    def make(self, r: Resource) -> Created:
        """Create the gateway in its subnet."""
        wanted = r.properties.pick(
            "SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress"
        )
        # It bounds how long a released secondary address drains; no API shows it.
        r.properties.get("MaxDrainDurationSeconds")
        gateway = r.client("ec2").create_nat_gateway(**wanted)["NatGateway"]
        id_ = gateway["NatGatewayId"]
        interface = gateway["NatGatewayAddresses"][0]["NetworkInterfaceId"]
        return Created(id_, {"NatGatewayId": id_, "EniId": interface})

    def delete(self, r: Resource) -> None:
        """Delete the gateway, which frees its address."""
        with gone_is_fine():
            r.client("ec2").delete_nat_gateway(NatGatewayId=r.physical_id)


@handler("AWS::EC2::VPCEndpoint")
class VpcEndpoint(Ec2Resource):
    """A private way to a service: a gateway in route tables, or interfaces in subnets."""

    _SETS = ("RouteTableIds", "SubnetIds", "SecurityGroupIds")

    def make(self, r: Resource) -> Created:
        """Create the endpoint."""
        kind = r.properties.get("VpcEndpointType", "Gateway")
        wanted = r.properties.pick(
            "VpcId",
            "ServiceName",
            "PrivateDnsEnabled",
            "IpAddressType",
            "DnsOptions",
            *self._SETS,
        )
        endpoint = r.client("ec2").create_vpc_endpoint(VpcEndpointType=kind, **wanted)[
            "VpcEndpoint"
        ]
        return Created(
            endpoint["VpcEndpointId"],
            {
                "Id": endpoint["VpcEndpointId"],
                "CreationTimestamp": endpoint["CreationTimestamp"].isoformat(),
                "DnsEntries": [
                    f"{entry['HostedZoneId']}:{entry['DnsName']}"
                    for entry in endpoint["DnsEntries"]
                ],
                "NetworkInterfaceIds": endpoint["NetworkInterfaceIds"],
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags and policy and, after creation, add and remove what the endpoint is in."""
        super().configure(r)
        changes: dict[str, Any] = {}
        if r.properties.get("PolicyDocument") != r.previous.get("PolicyDocument"):
            changes = (
                {"PolicyDocument": r.properties.document("PolicyDocument")}
                if "PolicyDocument" in r.properties
                else {"ResetPolicy": True}
            )
        if r.previous:
            for name in self._SETS:
                before, after = set(r.previous.get(name, ())), set(r.properties.get(name, ()))
                changes[f"Add{name}"] = sorted(after - before)
                changes[f"Remove{name}"] = sorted(before - after)
            private = r.properties.get("PrivateDnsEnabled")
            if private is not None and private != r.previous.get("PrivateDnsEnabled"):
                changes["PrivateDnsEnabled"] = private
        if changes := {name: value for name, value in changes.items() if value != []}:
            r.client("ec2").modify_vpc_endpoint(VpcEndpointId=r.physical_id, **changes)

    def delete(self, r: Resource) -> None:
        """Delete the endpoint with its routes or interfaces."""
        with gone_is_fine():
            r.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[r.physical_id])
