import json
from typing import Any

import pytest
from assemblies import Assembly

pytestmark = pytest.mark.parametrize("stack", ["SecurityPrimary", "SecurityStandby"])
WEB_GROUP, INSTANCE_GROUP, DATABASE_GROUP, FILE_GROUP = (
    "LoadBalancerSg",
    "InstanceSg",
    "DatabaseSg",
    "FileSystemSg",
)


def name(group: Any) -> str:
    """Give the readable part of a reference to a security group, or the block it is not."""
    return group["Fn::GetAtt"][0][:-8] if isinstance(group, dict) else group


def rules(variant: Assembly, stack: str, direction: str) -> set[tuple[str, str, int]]:
    """Collect (group, peer, port) of every rule, however it is written."""
    peer_key = {"Egress": "DestinationSecurityGroupId", "Ingress": "SourceSecurityGroupId"}
    found = [
        (id[:-8], rule)
        for id, group in variant.find(stack, "AWS::EC2::SecurityGroup").items()
        for rule in group["Properties"].get(f"SecurityGroup{direction}", [])
    ] + [
        (name(resource["Properties"]["GroupId"]), resource["Properties"])
        for resource in variant.find(stack, f"AWS::EC2::SecurityGroup{direction}").values()
    ]
    return {
        (group, name(rule.get("CidrIp") or rule[peer_key[direction]]), rule["FromPort"])
        for group, rule in found
        if rule["FromPort"] == rule["ToPort"]
    }


def test_traffic_leaves_a_group_only_for_where_it_must_go(variant: Assembly, stack: str) -> None:
    peer = "10.1.0.0/16" if stack == "SecurityPrimary" else "10.0.0.0/16"
    assert rules(variant, stack, "Egress") == {
        (WEB_GROUP, INSTANCE_GROUP, 80),
        (INSTANCE_GROUP, DATABASE_GROUP, 5432),
        (INSTANCE_GROUP, FILE_GROUP, 2049),
        (INSTANCE_GROUP, peer, 5432),
        (INSTANCE_GROUP, "0.0.0.0/0", 443),
    }


def test_what_a_group_admits_is_what_the_design_says(variant: Assembly, stack: str) -> None:
    peer = "10.1.0.0/16" if stack == "SecurityPrimary" else "10.0.0.0/16"
    with_domain = "ApplicationUrl" in variant["TapStackdev-Dns"]["Outputs"]
    assert rules(variant, stack, "Ingress") == {
        (WEB_GROUP, "0.0.0.0/0", 80),
        *([(WEB_GROUP, "0.0.0.0/0", 443)] if with_domain else []),
        (INSTANCE_GROUP, WEB_GROUP, 80),
        (DATABASE_GROUP, INSTANCE_GROUP, 5432),
        (DATABASE_GROUP, peer, 5432),
        (FILE_GROUP, INSTANCE_GROUP, 2049),
    }


def test_no_group_is_created_with_the_open_egress_that_ec2_adds(
    variant: Assembly, stack: str
) -> None:
    for group in variant.find(stack, "AWS::EC2::SecurityGroup").values():
        egress = group["Properties"]["SecurityGroupEgress"]
        assert egress
        assert all(rule["IpProtocol"] != "-1" for rule in egress)


def test_database_and_files_have_no_way_out(variant: Assembly, stack: str) -> None:
    for id, group in variant.find(stack, "AWS::EC2::SecurityGroup").items():
        if id.startswith((DATABASE_GROUP, FILE_GROUP)):
            (nowhere,) = group["Properties"]["SecurityGroupEgress"]
            assert nowhere["CidrIp"] == "255.255.255.255/32"


def test_every_rule_says_what_it_is_for(variant: Assembly, stack: str) -> None:
    inline = [
        rule
        for group in variant.find(stack, "AWS::EC2::SecurityGroup").values()
        for direction in ("SecurityGroupIngress", "SecurityGroupEgress")
        for rule in group["Properties"].get(direction, [])
    ]
    apart = [
        resource["Properties"]
        for direction in ("Ingress", "Egress")
        for resource in variant.find(stack, f"AWS::EC2::SecurityGroup{direction}").values()
    ]
    assert all(rule["Description"] for rule in inline + apart)


class TestKey:
    def test_rotates_and_is_named_by_environment_and_region(
        self, variant: Assembly, stack: str
    ) -> None:
        region = "eu-west-2" if stack == "SecurityPrimary" else "eu-west-3"
        assert variant.one(stack, "AWS::KMS::Key")["EnableKeyRotation"] is True
        assert variant.one(stack, "AWS::KMS::Alias")["AliasName"] == f"alias/standby-dev-{region}"

    def test_serves_only_the_account_and_services_that_act_for_it(
        self, variant: Assembly, stack: str
    ) -> None:
        policy = variant.one(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        administration, *services = policy
        assert ":root" in json.dumps(administration["Principal"])
        for statement in services:
            assert statement["Condition"], statement["Sid"]
            assert "AWS::AccountId" in json.dumps(statement["Condition"]), statement["Sid"]

    def test_outlives_the_data_it_encrypts(self, variant: Assembly, stack: str) -> None:
        retained = variant.stacks["TapStackdev"]["properties"].get("terminationProtection")
        (key,) = variant.find(stack, "AWS::KMS::Key").values()
        assert key["DeletionPolicy"] == ("RetainExceptOnCreate" if retained else "Delete")


def test_instances_may_open_sessions_and_read_no_parameters(variant: Assembly, stack: str) -> None:
    policies = variant.find(stack, "AWS::IAM::Policy")
    (policy,) = (p["Properties"] for id, p in policies.items() if id.startswith("InstanceRole"))
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert "ssm:UpdateInstanceInformation" in statement["Action"]
    assert not any("GetParameter" in action for action in statement["Action"])
