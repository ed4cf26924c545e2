"""Root."""
from aws_cdk import App, Environment, Stack, CfnOutput
from aws_cdk import aws_ec2 as ec2
from standby.settings import Settings
from standby.blueprint.network import VpcStack


class TapStack(Stack):
    def __init__(self, app: App, settings: Settings) -> None:
        primary = Environment(region=settings.primary_region)
        standby = Environment(region=settings.standby_region)
        super().__init__(app, settings.stack_name, env=primary, cross_region_references=True)
        p = VpcStack(self, "VpcStack-Primary", cidr=settings.primary_cidr, az_count=3, env=primary, stack_name=f"{settings.stack_name}-VpcStack-Primary", cross_region_references=True)
        s = VpcStack(self, "VpcStack-Standby", cidr=settings.standby_cidr, az_count=3, env=standby, stack_name=f"{settings.stack_name}-VpcStack-Standby", cross_region_references=True)
        peer = Stack(self, "VpcPeering", env=primary, stack_name=f"{settings.stack_name}-VpcPeering", cross_region_references=True)
        c = ec2.CfnVPCPeeringConnection(peer, "Peering", vpc_id=p.vpc.vpc_id, peer_vpc_id=s.vpc.vpc_id, peer_region=settings.standby_region)
        CfnOutput(peer, "VpcPeeringConnectionId", value=c.attr_id)
