from collections.abc import Callable
from typing import Any

import pytest
from assemblies import Assembly

from standby.settings import resolve

CHECK = "AWS::Route53::HealthCheck"
RECORD = "AWS::Route53::RecordSet"
ALARM = "AWS::CloudWatch::Alarm"
ZONE = "AWS::Route53::HostedZone"


def has_domain(variant: Assembly) -> bool:
    return "ApplicationUrl" in outputs(variant)


def outputs(variant: Assembly) -> dict[str, Any]:
    found: dict[str, Any] = variant["TapStackdev-Dns"]["Outputs"]
    return found


def check_of(variant: Assembly, output: str) -> dict[str, Any]:
    """Give the configuration of the health check whose id is an output."""
    id = outputs(variant)[output]["Value"]["Fn::GetAtt"][0]
    config: dict[str, Any] = variant.find("-Dns", CHECK)[id]["Properties"]["HealthCheckConfig"]
    return config


def records(variant: Assembly) -> dict[str, dict[str, Any]]:
    found = [record["Properties"] for record in variant.find("-Dns", RECORD).values()]
    return {record["Failover"]: record for record in found}


class TestEndpointChecks:
    @pytest.mark.parametrize("side", ["Primary", "Standby"])
    def test_ask_each_load_balancer_as_its_clients_would(
        self, variant: Assembly, side: str
    ) -> None:
        check = check_of(variant, f"{side}HealthCheckId")
        asked = check["FullyQualifiedDomainName"]["Fn::GetStackOutput"]
        assert asked["StackName"] == f"TapStackdev-Compute{side}"
        assert check["ResourcePath"] == "/health"
        assert (check["Type"], check["Port"]) == (
            ("HTTPS", 443) if has_domain(variant) else ("HTTP", 80)
        )

    def test_believe_no_handful_of_places(self, variant: Assembly) -> None:
        for side in ("Primary", "Standby"):
            assert "Regions" not in check_of(variant, f"{side}HealthCheckId")

    def test_are_as_quick_as_the_settings_say(self, assembly: Callable[..., Assembly]) -> None:
        flags = {"healthCheckInterval": 30, "healthCheckFailures": 2}
        slow = assembly(resolve(flags=flags, environ={}).settings)
        check = check_of(slow, "PrimaryHealthCheckId")
        assert (check["RequestInterval"], check["FailureThreshold"]) == (30, 2)


class TestLatch:
    def test_is_tripped_and_reset_by_one_data_point(self, variant: Assembly) -> None:
        alarm = variant.one("-Dns", ALARM)
        assert (alarm["Namespace"], alarm["MetricName"]) == ("Standby/dev", "FailoverLatch")
        assert not alarm.get("Dimensions")
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60, 1)
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["Threshold"] == 1
        assert alarm["Statistic"] == "Maximum"

    def test_stays_as_it_is_while_nothing_is_published(self, variant: Assembly) -> None:
        check = check_of(variant, "FailoverLatchHealthCheckId")
        assert variant.one("-Dns", ALARM)["TreatMissingData"] == "ignore"
        assert check["Type"] == "CLOUDWATCH_METRIC"
        assert check["InsufficientDataHealthStatus"] == "LastKnownStatus"
        assert not check.get("Inverted")

    def test_lives_in_the_region_that_remains(self, variant: Assembly) -> None:
        (alarm,) = variant.find("-Dns", ALARM)
        assert variant.stacks["TapStackdev-Dns"]["environment"].endswith("/eu-west-3")
        assert check_of(variant, "FailoverLatchHealthCheckId")["AlarmIdentifier"] == {
            "Name": {"Ref": alarm},
            "Region": "eu-west-3",
        }


class TestFailover:
    def test_primary_is_healthy_while_its_endpoint_and_the_latch_are(
        self, variant: Assembly
    ) -> None:
        check = check_of(variant, "FailoverHealthCheckId")
        assert check["Type"] == "CALCULATED"
        assert check["ChildHealthChecks"] == [
            outputs(variant)[output]["Value"]
            for output in ("PrimaryHealthCheckId", "FailoverLatchHealthCheckId")
        ]
        assert check["HealthThreshold"] == 2

    def test_is_a_pair_of_one_name_each_an_alias_of_its_own_load_balancer(
        self, named: Assembly
    ) -> None:
        pair = records(named)
        assert pair.keys() == {"PRIMARY", "SECONDARY"}
        assert {(record["Name"], record["Type"]) for record in pair.values()} == {
            ("app.example.org.", "A")
        }
        assert len({record["SetIdentifier"] for record in pair.values()}) == 2
        for failover, stack in (("PRIMARY", "ComputePrimary"), ("SECONDARY", "ComputeStandby")):
            alias = pair[failover]["AliasTarget"]
            assert alias["EvaluateTargetHealth"] is True
            for part in ("DNSName", "HostedZoneId"):
                assert alias[part]["Fn::GetStackOutput"]["StackName"] == f"TapStackdev-{stack}"

    def test_never_leaves_both_of_the_pair_unhealthy_by_a_check(self, named: Assembly) -> None:
        pair, check = records(named), outputs(named)["FailoverHealthCheckId"]["Value"]
        assert pair["PRIMARY"]["HealthCheckId"] == check
        assert "HealthCheckId" not in pair["SECONDARY"]

    def test_without_a_domain_leaves_the_two_addresses_to_the_user(self, dev: Assembly) -> None:
        assert records(dev) == {}
        for side in ("Primary", "Standby"):
            protocol, address = outputs(dev)[f"{side}AlbUrl"]["Value"]["Fn::Join"][1]
            assert protocol == "http://"
            assert address["Fn::GetStackOutput"]["StackName"] == f"TapStackdev-Compute{side}"


@pytest.fixture(scope="module")
def new(assembly: Callable[..., Assembly]) -> Assembly:
    return assembly(resolve(flags={"domainName": "example.org"}, environ={}).settings)


@pytest.fixture(scope="module")
def imported(assembly: Callable[..., Assembly]) -> Assembly:
    flags = {"domainName": "example.org", "hostedZoneId": "Z0123456789ABC"}
    return assembly(resolve(flags=flags, environ={}).settings)


class TestZone:
    def test_that_is_created_is_public_and_recovers_fast(self, new: Assembly) -> None:
        zone = new.one("DnsZone", ZONE)
        assert zone["Name"] == "example.org."
        assert "VPCs" not in zone
        assert zone["HostedZoneFeatures"] == {"EnableAcceleratedRecovery": True}
        assert "NameServers" in new["TapStackdev-DnsZone"]["Outputs"]

    def test_that_is_created_stays_with_the_records_that_certificates_leave_in_it(
        self, new: Assembly
    ) -> None:
        (zone,) = new.find("DnsZone", ZONE).values()
        assert zone["DeletionPolicy"] == "RetainExceptOnCreate"

    def test_that_is_given_is_used_and_not_created(self, imported: Assembly) -> None:
        assert "TapStackdev-DnsZone" not in imported
        assert {r["HostedZoneId"] for r in records(imported).values()} == {"Z0123456789ABC"}
        for side in ("Primary", "Standby"):
            certificate = imported.one(f"Compute{side}", "AWS::CertificateManager::Certificate")
            (option,) = certificate["DomainValidationOptions"]
            assert option["HostedZoneId"] == "Z0123456789ABC"
