import json
from ipaddress import IPv4Network

import pytest
from assemblies import Assembly

TIERS = ("Public", "Private", "Isolated")


def subnets(variant: Assembly, stack: str, tier: str) -> list[IPv4Network]:
    return [
        IPv4Network(resource["Properties"]["CidrBlock"])
        for resource in variant.find(stack, "AWS::EC2::Subnet").values()
        if {"Key": "aws-cdk:subnet-name", "Value": tier} in resource["Properties"]["Tags"]
    ]


@pytest.mark.parametrize("stack", ["VpcStack-Primary", "VpcStack-Standby"])
class TestVpc:
    def test_has_three_tiers_of_equal_subnets_in_every_zone(
        self, variant: Assembly, stack: str
    ) -> None:
        tiers = [subnets(variant, stack, tier) for tier in TIERS]
        zones = 3 if len(variant.find(stack, "AWS::EC2::Subnet")) == 9 else 2
        assert [len(tier) for tier in tiers] == [zones] * 3
        assert len({subnet.prefixlen for tier in tiers for subnet in tier}) == 1

    def test_gives_no_public_address_to_what_is_launched(
        self, variant: Assembly, stack: str
    ) -> None:
        for subnet in variant.find(stack, "AWS::EC2::Subnet").values():
            assert subnet["Properties"]["MapPublicIpOnLaunch"] is False

    def test_reaches_s3_from_every_subnet_without_nat(self, variant: Assembly, stack: str) -> None:
        endpoint = variant.one(stack, "AWS::EC2::VPCEndpoint")
        tables = {table["Ref"] for table in endpoint["RouteTableIds"]}
        assert tables == set(variant.find(stack, "AWS::EC2::RouteTable"))

    def test_leads_the_private_tier_out_through_nat_and_the_isolated_tier_nowhere(
        self, variant: Assembly, stack: str
    ) -> None:
        routes = variant.find(stack, "AWS::EC2::Route").values()
        ways_out = {
            route["Properties"]["RouteTableId"]["Ref"]: {"NatGatewayId", "GatewayId"}
            & route["Properties"].keys()
            for route in routes
        }
        assert len(ways_out) == len(routes)
        for table, way_out in ways_out.items():
            assert way_out == {"GatewayId" if "Public" in table else "NatGatewayId"}
            assert "Isolated" not in table

    def test_chooses_zones_at_deployment(self, variant: Assembly, stack: str) -> None:
        for subnet in variant.find(stack, "AWS::EC2::Subnet").values():
            assert subnet["Properties"]["AvailabilityZone"]["Fn::Select"][1] == {"Fn::GetAZs": ""}

    def test_needs_no_custom_resource(self, variant: Assembly, stack: str) -> None:
        template = next(t for name, t in variant.items() if name.endswith(stack))
        assert "Custom::" not in json.dumps(template)


@pytest.mark.parametrize("side", ["Primary", "Standby"])
def test_all_traffic_is_logged_encrypted_and_for_a_limited_time(
    variant: Assembly, side: str
) -> None:
    flow_log = variant.one(f"Security{side}", "AWS::EC2::FlowLog")
    log_group = variant.one(f"Security{side}", "AWS::Logs::LogGroup")
    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceId"]["Fn::GetStackOutput"]["StackName"].endswith(f"VpcStack-{side}")
    assert "KmsKeyId" in log_group
    assert log_group["RetentionInDays"] == 90


def test_presets_differ_in_nat_gateways(dev: Assembly, prod: Assembly) -> None:
    for preset, gateways in ((dev, 1), (prod, 3)):
        assert len(preset.find("VpcStack-Primary", "AWS::EC2::NatGateway")) == gateways
