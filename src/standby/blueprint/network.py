"""Network."""

from aws_cdk import CfnOutput, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct
from ipaddress import IPv4Network


class VpcStack(Stack):
    def __init__(self, scope: Construct, id: str, *, cidr: IPv4Network, az_count: int, **kwargs) -> None:
        super().__init__(scope, id, **kwargs)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(str(cidr)),
            availability_zones=[Fn.select(i, Fn.get_azs()) for i in range(az_count)],
            nat_gateways=1,
        )
        CfnOutput(self, "VpcId", value=self.vpc.vpc_id)
