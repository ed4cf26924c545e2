"""Peering: the private connection of two VPCs, also of two regions."""

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Created, Resource, gone_is_fine, handler
from standby.twin.handlers.network import Ec2Resource


@handler("AWS::EC2::VPCPeeringConnection")
class VpcPeeringConnection(Ec2Resource):
    """A connection that CloudFormation requests and, within one account, accepts as well."""

    def make(self, r: Resource) -> Created:
        """Request the connection."""
        owner = r.properties.get("PeerOwnerId", r.account)
        if owner != r.account:
            raise TemplateError(
                f"{r.logical_id}: the peer belongs to account {owner}, and the twin has only "
                f"{r.account}; leave PeerOwnerId out"
            )
        r.properties.get("PeerRoleArn")  # the role that accepts in another account
        answer = r.client("ec2").create_vpc_peering_connection(
            **r.properties.pick("VpcId", "PeerVpcId", "PeerRegion")
        )
        id_ = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        return Created(id_, {"Id": id_})

    def configure(self, r: Resource) -> None:
        """Set tags and, at creation, accept where the peer is, since AWS allows it only there."""
        super().configure(r)
        if r.previous:
            return
        ids = {"VpcPeeringConnectionIds": [r.physical_id]}
        ec2 = r.client("ec2", r.properties.get("PeerRegion"))
        (connection,) = ec2.describe_vpc_peering_connections(**ids)["VpcPeeringConnections"]
        status = connection["Status"]
        if status["Code"] != "pending-acceptance":
            raise TemplateError(f"{r.physical_id} is {status['Code']}: {status['Message']}")
        ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=r.physical_id)

    def delete(self, r: Resource) -> None:
        """Delete the connection, for both VPCs; routes over it stay, as black holes."""
        with gone_is_fine("InvalidStateTransition"):
            r.client("ec2").delete_vpc_peering_connection(VpcPeeringConnectionId=r.physical_id)
