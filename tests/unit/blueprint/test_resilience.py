import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from assemblies import Assembly

from standby.settings import resolve

EXPERIMENT = "AWS::FIS::ExperimentTemplate"
APP = "AWS::ResilienceHub::App"
HUB = "AWS::ResilienceHub"
SUPPORTED = {
    "AWS::AutoScaling::AutoScalingGroup": f"{HUB}::ComputeAppComponent",
    "AWS::EFS::FileSystem": f"{HUB}::StorageAppComponent",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": f"{HUB}::NetworkingAppComponent",
    "AWS::RDS::DBInstance": f"{HUB}::DatabaseAppComponent",
    "AWS::Route53::RecordSet": f"{HUB}::NetworkingAppComponent",
}
"""Of the types Resilience Hub supports, those we have, and the components they may be in (user
guide, "Grouping resources in an AppComponent")."""
NEEDED = {
    "ec2:CreateNetworkAcl",
    "ec2:CreateNetworkAclEntry",
    "ec2:CreateTags",
    "ec2:DeleteNetworkAcl",
    "ec2:DescribeManagedPrefixLists",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:GetManagedPrefixListEntries",
    "ec2:ReplaceNetworkAclAssociation",
}
"""What FIS needs to disrupt connectivity (FIS user guide, "AWS FIS actions reference")."""
READS = re.compile(r"ec2:(Describe|Get)")


def roles(variant: Assembly) -> dict[str, dict[str, Any]]:
    """Give the roles of the stack by the service that may assume them."""
    return {
        role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]: role
        for role in variant.find("Resilience", "AWS::IAM::Role").values()
    }


def statements(variant: Assembly) -> Iterator[tuple[set[str], dict[str, Any]]]:
    """Give what FIS may do, statement by statement, each with its actions."""
    (policy,) = roles(variant)["fis.amazonaws.com"]["Properties"]["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        action = statement["Action"]
        yield {action} if isinstance(action, str) else set(action), statement


class TestExperiment:
    def test_cuts_off_exactly_where_the_primarys_load_balancer_is(self, variant: Assembly) -> None:
        (target,) = variant.one("Resilience", EXPERIMENT)["Targets"].values()
        balancer = variant.one("ComputePrimary", "AWS::ElasticLoadBalancingV2::LoadBalancer")
        assert target["ResourceType"] == "aws:ec2:subnet"
        assert target["SelectionMode"] == "ALL"
        assert [arn["Fn::Join"][1][-1] for arn in target["ResourceArns"]] == balancer["Subnets"]
        assert len(target["ResourceArns"]) <= 6

    def test_does_what_makes_health_fail(self, variant: Assembly) -> None:
        experiment = variant.one("Resilience", EXPERIMENT)
        (action,) = experiment["Actions"].values()
        (target,) = experiment["Targets"]
        assert action["ActionId"] == "aws:network:disrupt-connectivity"
        assert action["Parameters"]["scope"] == "all"
        assert action["Targets"] == {"Subnets": target}

    def test_fails_rather_than_prove_nothing(self, variant: Assembly) -> None:
        options = variant.one("Resilience", EXPERIMENT)["ExperimentOptions"]
        assert options["EmptyTargetResolutionMode"] == "fail"

    @pytest.mark.parametrize(
        ("rto", "duration"), [("15m", "PT30M"), ("10s", "PT1M"), ("100s", "PT4M"), ("9h", "PT720M")]
    )
    def test_outlasts_the_recovery_it_asks_for_within_what_fis_allows(
        self, assembly: Callable[..., Assembly], rto: str, duration: str
    ) -> None:
        with_rto = assembly(resolve(flags={"rto": rto}, environ={}).settings)
        (action,) = with_rto.one("Resilience", EXPERIMENT)["Actions"].values()
        assert action["Parameters"]["duration"] == duration

    def test_stops_when_the_replica_no_longer_keeps_up_or_is_not_there(
        self, variant: Assembly
    ) -> None:
        ((id, alarm),) = variant.find("Resilience", "AWS::CloudWatch::Alarm").items()
        guard = alarm["Properties"]
        primary = variant.one("DatabasePrimary", "AWS::RDS::DBInstance")["DBInstanceIdentifier"]
        assert variant.one("Resilience", EXPERIMENT)["StopConditions"] == [
            {"Source": "aws:cloudwatch:alarm", "Value": {"Fn::GetAtt": [id, "Arn"]}}
        ]
        assert (guard["Namespace"], guard["MetricName"]) == ("AWS/RDS", "OldestReplicationSlotLag")
        assert guard["Dimensions"] == [{"Name": "DBInstanceIdentifier", "Value": primary}]
        assert guard["TreatMissingData"] == "breaching"

    def test_keeps_an_encrypted_log(self, variant: Assembly) -> None:
        ((id, group),) = variant.find("Resilience", "AWS::Logs::LogGroup").items()
        logging = variant.one("Resilience", EXPERIMENT)["LogConfiguration"]
        assert logging["CloudWatchLogsConfiguration"] == {
            "LogGroupArn": {"Fn::GetAtt": [id, "Arn"]}
        }
        assert "KmsKeyId" in group["Properties"]


class TestExperimentRole:
    def test_is_for_fis_in_this_account(self, variant: Assembly) -> None:
        ((id, _),) = (
            (id, role)
            for id, role in variant.find("Resilience", "AWS::IAM::Role").items()
            if role == roles(variant)["fis.amazonaws.com"]
        )
        trust = roles(variant)["fis.amazonaws.com"]["Properties"]["AssumeRolePolicyDocument"]
        assert variant.one("Resilience", EXPERIMENT)["RoleArn"] == {"Fn::GetAtt": [id, "Arn"]}
        assert trust["Statement"][0]["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }

    def test_may_do_all_that_the_experiment_takes(self, variant: Assembly) -> None:
        allowed = {action for actions, _ in statements(variant) for action in actions}
        assert {action for action in allowed if action.startswith("ec2:")} == NEEDED
        assert "logs:CreateLogDelivery" in allowed

    def test_changes_only_acls_that_fis_made_and_subnets_of_the_primary_vpc(
        self, variant: Assembly
    ) -> None:
        for actions, statement in statements(variant):
            if all(READS.match(a) or a.startswith("logs:") for a in actions):
                continue
            scope = json.dumps([statement["Resource"], statement.get("Condition")])
            assert statement["Resource"] != "*", actions
            assert "VpcStack-Primary" in scope or "managedByFIS" in scope, actions
            if "DeleteNetworkAcl" in str(actions):
                assert "managedByFIS" in scope


class TestPolicy:
    def test_demands_the_objectives_of_the_settings_of_every_disruption(
        self, assembly: Callable[..., Assembly]
    ) -> None:
        flags = {"rto": "90s", "rpo": "30s"}
        strict = assembly(resolve(flags=flags, environ={}).settings)
        policy = strict.one("Resilience", "AWS::ResilienceHub::ResiliencyPolicy")["Policy"]
        assert policy == {
            disruption: {"RtoInSecs": 90, "RpoInSecs": 30}
            for disruption in ("Region", "AZ", "Hardware", "Software")
        }


class TestApp:
    def test_is_assessed_every_day_against_the_policy(self, variant: Assembly) -> None:
        (policy,) = variant.find("Resilience", "AWS::ResilienceHub::ResiliencyPolicy")
        app = variant.one("Resilience", APP)
        assert app["AppAssessmentSchedule"] == "Daily"
        assert app["ResiliencyPolicyArn"] == {"Fn::GetAtt": [policy, "PolicyArn"]}

    def test_is_read_by_a_role_that_only_resilience_hub_assumes(self, variant: Assembly) -> None:
        role = roles(variant)["resiliencehub.amazonaws.com"]
        (id,) = (
            id
            for id, found in variant.find("Resilience", "AWS::IAM::Role").items()
            if found == role
        )
        assert variant.one("Resilience", APP)["PermissionModel"] == {
            "Type": "RoleBased",
            "InvokerRoleName": {"Ref": id},
        }

    def test_covers_every_stack_of_both_regions(self, variant: Assembly) -> None:
        mappings = {
            mapping["LogicalStackName"]: mapping["PhysicalResourceId"]
            for mapping in variant.one("Resilience", APP)["ResourceMappings"]
        }
        assert mappings.keys() == variant.keys() - {"TapStackdev", "TapStackdev-Resilience"}
        for name, physical in mappings.items():
            identifier = physical["Identifier"]
            if "Fn::GetStackOutput" in identifier:
                stack = identifier["Fn::GetStackOutput"]["StackName"]
                output = variant[stack]["Outputs"][identifier["Fn::GetStackOutput"]["OutputName"]]
                assert (stack, output["Value"]) == (name, {"Ref": "AWS::StackId"})
            assert physical["Type"] == "Arn"

    def test_lists_resources_that_exist_each_in_a_component_of_its_kind(
        self, variant: Assembly
    ) -> None:
        body = template(variant)
        kinds = {
            name: component["type"]
            for component in body["appComponents"]
            for name in component["resourceNames"]
        }
        assert kinds.keys() == {resource["name"] for resource in body["resources"]}
        for resource in body["resources"]:
            id = resource["logicalResourceId"]
            found = variant[id["logicalStackName"]]["Resources"][id["identifier"]]
            assert found["Type"] == resource["type"]
            assert kinds[resource["name"]] == SUPPORTED[resource["type"]]

    def test_sees_that_each_region_stands_in_for_the_other(self, variant: Assembly) -> None:
        body = template(variant)
        regions = {
            resource["name"]: variant.stacks[resource["logicalResourceId"]["logicalStackName"]][
                "environment"
            ]
            for resource in body["resources"]
        }
        for component in body["appComponents"]:
            members = component["resourceNames"]
            if component["name"] not in {"appcommon", "dns"}:
                assert len({regions[name] for name in members}) == len(members) == 2

    def test_lists_the_failover_records_where_there_are_some(self, variant: Assembly) -> None:
        listed = [r for r in template(variant)["resources"] if "RecordSet" in r["type"]]
        assert len(listed) == len(variant.find("-Dns", "AWS::Route53::RecordSet"))

    def test_names_resources_as_resilience_hub_allows_with_the_longest_suffix(
        self, assembly: Callable[..., Assembly]
    ) -> None:
        flags = {"environmentSuffix": "s" * 18, "domainName": "example.org"}
        longest = assembly(resolve(flags=flags, environ={}).settings)
        names = [resource["name"] for resource in template(longest)["resources"]]
        assert len(set(names)) == len(names)
        for name in names:
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{1,59}", name)


def template(variant: Assembly) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(variant.one("Resilience", APP)["AppTemplateBody"])
    return body
