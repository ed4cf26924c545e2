import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from assemblies import Assembly

from standby.settings import resolve

GROUP = "AWS::AutoScaling::AutoScalingGroup"
TEMPLATE = "AWS::EC2::LaunchTemplate"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
CERTIFICATE = "AWS::CertificateManager::Certificate"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
ALARM = "AWS::CloudWatch::Alarm"
POLICY = "AWS::AutoScaling::ScalingPolicy"

both = pytest.mark.parametrize("side", ["Primary", "Standby"])


def seconds(duration: str) -> int:
    """Read the one form of ISO 8601 that templates use here."""
    minutes = re.fullmatch(r"PT(\d+)M", duration)
    assert minutes
    return int(minutes[1]) * 60


def source(reference: dict[str, Any]) -> str:
    """Name the stack that a reference reads, without the root's name."""
    stack: str = reference["Fn::GetStackOutput"]["StackName"]
    return stack.removeprefix("TapStackdev-")


def listeners(variant: Assembly, side: str) -> dict[int, dict[str, Any]]:
    """Give the listeners of a region's load balancer by port."""
    found = [
        listener["Properties"] for listener in variant.find(f"Compute{side}", LISTENER).values()
    ]
    return {listener["Port"]: listener for listener in found}


def launched(variant: Assembly, side: str) -> dict[str, Any]:
    data: dict[str, Any] = variant.one(f"Compute{side}", TEMPLATE)["LaunchTemplateData"]
    return data


def user_data(variant: Assembly, side: str) -> tuple[list[str], dict[str, Any]]:
    """Give the commands that an instance boots with, and what is filled in for their names."""
    text, values = launched(variant, side)["UserData"]["Fn::Base64"]["Fn::Sub"]
    joined = text.replace("\\\n", "")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return lines, values


def line_of(lines: list[str], *words: str) -> int:
    """Find the one line that has all words."""
    (found,) = (i for i, line in enumerate(lines) if all(word in line for word in words))
    return found


@both
class TestGroup:
    def test_serves_with_its_smallest_size_and_leaves_the_rest_to_scaling(
        self, variant: Assembly, side: str
    ) -> None:
        group = variant.one(f"Compute{side}", GROUP)
        assert int(group["MinSize"]) == 2
        assert int(group["MaxSize"]) > 2
        assert "DesiredCapacity" not in group

    def test_replaces_what_the_load_balancer_finds_unhealthy_but_nothing_that_still_boots(
        self, variant: Assembly, side: str
    ) -> None:
        (group,) = variant.find(f"Compute{side}", GROUP).values()
        properties = group["Properties"]
        patience = seconds(group["CreationPolicy"]["ResourceSignal"]["Timeout"])
        assert properties["HealthCheckType"] == "ELB"
        assert properties["HealthCheckGracePeriod"] == patience
        assert properties["TargetGroupARNs"] == [
            {"Ref": id} for id in variant.find(f"Compute{side}", TARGETS)
        ]

    def test_is_created_when_every_instance_has_said_that_it_works(
        self, variant: Assembly, side: str
    ) -> None:
        ((id, group),) = variant.find(f"Compute{side}", GROUP).items()
        lines, values = user_data(variant, side)
        assert group["CreationPolicy"]["ResourceSignal"]["Count"] == 2
        assert values["Group"] == id
        assert '--resource "${Group}"' in lines[line_of(lines, "--stack")]

    def test_is_updated_a_part_at_a_time_and_waits_for_each(
        self, variant: Assembly, side: str
    ) -> None:
        (group,) = variant.find(f"Compute{side}", GROUP).values()
        update = group["UpdatePolicy"]["AutoScalingRollingUpdate"]
        assert update["WaitOnResourceSignals"] is True
        assert update["MaxBatchSize"] < int(group["Properties"]["MinSize"])
        assert update["MinInstancesInService"] == int(group["Properties"]["MinSize"])

    def test_boots_nothing_before_instances_may_do_what_they_must_and_have_a_listener(
        self, variant: Assembly, side: str
    ) -> None:
        (group,) = variant.find(f"Compute{side}", GROUP).values()
        (permissions,) = variant.find(f"Compute{side}", "AWS::IAM::Policy")
        forwarding = [
            id
            for id, listener in variant.find(f"Compute{side}", LISTENER).items()
            if listener["Properties"]["DefaultActions"][0]["Type"] == "forward"
        ]
        assert {permissions, *forwarding} == set(group["DependsOn"])

    def test_spans_the_private_subnets_of_its_region(self, variant: Assembly, side: str) -> None:
        subnets = variant.one(f"Compute{side}", GROUP)["VPCZoneIdentifier"]
        assert len(subnets) == len(variant.find(f"VpcStack-{side}", "AWS::EC2::Subnet")) / 3
        for subnet in subnets:
            assert source(subnet) == f"VpcStack-{side}"
            assert "PrivateSubnet" in subnet["Fn::GetStackOutput"]["OutputName"]


def test_a_full_group_can_still_be_updated(assembly: Callable[..., Assembly]) -> None:
    flags = {"minCapacity": 2, "standbyMinCapacity": 2, "maxCapacity": 2}
    full = assembly(resolve(flags=flags, environ={}).settings)
    for side in ("Primary", "Standby"):
        (group,) = full.find(f"Compute{side}", GROUP).values()
        update = group["UpdatePolicy"]["AutoScalingRollingUpdate"]
        assert update["MinInstancesInService"] < int(group["Properties"]["MaxSize"])


def test_the_standby_has_a_smallest_size_of_its_own(assembly: Callable[..., Assembly]) -> None:
    flags = {"minCapacity": 4, "standbyMinCapacity": 3}
    uneven = assembly(resolve(flags=flags, environ={}).settings)
    assert uneven.one("ComputePrimary", GROUP)["MinSize"] == "4"
    assert uneven.one("ComputeStandby", GROUP)["MinSize"] == "3"


@both
class TestInstance:
    def test_is_hardened_and_encrypted_with_its_regions_key(
        self, variant: Assembly, side: str
    ) -> None:
        data = launched(variant, side)
        (volume,) = (device["Ebs"] for device in data["BlockDeviceMappings"])
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert volume["Encrypted"] is True
        assert source(volume["KmsKeyId"]) == f"Security{side}"
        assert [source(group) for group in data["SecurityGroupIds"]] == [f"Security{side}"]

    def test_runs_amazon_linux_2023_as_of_the_deployment(
        self, variant: Assembly, side: str
    ) -> None:
        image = launched(variant, side)["ImageId"]["Ref"]
        (template,) = (t for name, t in variant.items() if name.endswith(f"Compute{side}"))
        parameter = template["Parameters"][image]
        assert parameter["Type"] == "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
        assert re.search(r"/al2023-ami-.*-x86_64$", parameter["Default"])

    def test_stops_at_the_first_failure_and_reports_it(self, variant: Assembly, side: str) -> None:
        lines, _ = user_data(variant, side)
        assert lines[0] == "set -euo pipefail"
        trap, first = line_of(lines, "trap report EXIT"), line_of(lines, "dnf install")
        assert trap < first
        assert '--exit-code "$outcome"' in lines[line_of(lines, "cfn-signal")]
        for line in lines[first:]:
            assert "||" not in line, line

    def test_mounts_its_regions_files_encrypted_and_through_the_access_point(
        self, variant: Assembly, side: str
    ) -> None:
        lines, values = user_data(variant, side)
        mounting = lines[line_of(lines, "mount -t efs")]
        assert "-o tls,iam,accesspoint=${AccessPoint} ${FileSystem}:/" in mounting
        assert source(values["AccessPoint"]) == source(values["FileSystem"]) == f"Storage{side}"

    def test_serves_only_with_its_files_and_says_so_last(
        self, variant: Assembly, side: str
    ) -> None:
        lines, values = user_data(variant, side)
        assert line_of(lines, "mount -t efs") < line_of(lines, "systemctl enable --now workload")
        assert "RequiresMountsFor=/mnt/shared" in lines
        assert lines[-1].startswith("retry")
        assert "curl --fail" in lines[-1]
        assert lines[-1].endswith('"http://127.0.0.1:${Port}${HealthPath}"')
        assert values["HealthPath"] == variant.one(f"Compute{side}", TARGETS)["HealthCheckPath"]

    def test_takes_the_database_of_its_own_region_and_the_secret_of_one_name(
        self, variant: Assembly, side: str
    ) -> None:
        _, values = user_data(variant, side)
        secret = variant.one("DatabasePrimary", "AWS::SecretsManager::Secret")
        assert source(values["DatabaseHost"]) == f"Database{side}"
        assert values["DatabaseSecret"] == secret["Name"]

    def test_may_do_nothing_but_read_its_secret_and_program_and_mount_its_files(
        self, variant: Assembly, side: str
    ) -> None:
        region = "eu-west-2" if side == "Primary" else "eu-west-3"
        policy = variant.one(f"Compute{side}", "AWS::IAM::Policy")
        statements = {s["Sid"]: s for s in policy["PolicyDocument"]["Statement"]}
        assert {sid: s["Action"] for sid, s in statements.items()} == {
            "ReadDatabaseCredentials": "secretsmanager:GetSecretValue",
            "DecryptDatabaseCredentials": "kms:Decrypt",
            "MountSharedFiles": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            "FetchProgram": "s3:GetObject",
        }
        assert not any("*" in json.dumps(s["Resource"]) for s in statements.values())
        assert f":secretsmanager:{region}:" in json.dumps(statements["ReadDatabaseCredentials"])
        assert source(statements["DecryptDatabaseCredentials"]["Resource"]) == f"Security{side}"
        assert source(statements["MountSharedFiles"]["Resource"]) == f"Storage{side}"
        (through,) = statements["MountSharedFiles"]["Condition"]["StringEquals"]
        assert through == "elasticfilesystem:AccessPointArn"


@both
class TestLoadBalancer:
    def test_faces_the_internet_from_the_public_subnets(self, variant: Assembly, side: str) -> None:
        balancer = variant.one(f"Compute{side}", BALANCER)
        region = "eu-west-2" if side == "Primary" else "eu-west-3"
        assert balancer["Name"] == f"alb-{region}-dev"
        assert balancer["Scheme"] == "internet-facing"
        for subnet in balancer["Subnets"]:
            assert "PublicSubnet" in subnet["Fn::GetStackOutput"]["OutputName"]

    def test_drops_invalid_headers_and_keeps_logs_where_the_setting_asks(
        self, dev: Assembly, prod: Assembly, side: str
    ) -> None:
        for preset, logged in ((dev, None), (prod, "true")):
            attributes = {
                attribute["Key"]: attribute["Value"]
                for attribute in preset.one(f"Compute{side}", BALANCER)["LoadBalancerAttributes"]
            }
            assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
            assert attributes.get("access_logs.s3.enabled") == logged
            assert len(preset.find(f"Compute{side}", "AWS::S3::Bucket")) == bool(logged)

    def test_asks_health_of_every_instance(self, variant: Assembly, side: str) -> None:
        group = variant.one(f"Compute{side}", TARGETS)
        assert group["TargetType"] == "instance"
        assert group["HealthCheckPath"] == "/health"
        assert group["Matcher"] == {"HttpCode": "200"}

    def test_speaks_http_where_there_is_no_name_to_certify(self, dev: Assembly, side: str) -> None:
        ((port, listener),) = listeners(dev, side).items()
        assert port == 80
        assert [action["Type"] for action in listener["DefaultActions"]] == ["forward"]

    def test_speaks_https_where_there_is_a_name_and_redirects_the_rest(
        self, named: Assembly, side: str
    ) -> None:
        ports = listeners(named, side)
        assert ports.keys() == {80, 443}
        (action,) = ports[80]["DefaultActions"]
        assert (action["Type"], action["RedirectConfig"]["Protocol"]) == ("redirect", "HTTPS")
        (certificate,) = named.find(f"Compute{side}", CERTIFICATE)
        assert ports[443]["Certificates"] == [{"CertificateArn": {"Ref": certificate}}]
        assert "TLS13-1-2" in ports[443]["SslPolicy"]

    def test_has_a_certificate_that_the_zone_proves(self, named: Assembly, side: str) -> None:
        certificate = named.one(f"Compute{side}", CERTIFICATE)
        (option,) = certificate["DomainValidationOptions"]
        assert certificate["DomainName"] == option["DomainName"] == "app.example.org"
        assert certificate["ValidationMethod"] == "DNS"
        assert option["HostedZoneId"]


@both
class TestScaling:
    def test_tracks_a_target_and_steps_out_above_it_and_in_below_it(
        self, variant: Assembly, side: str
    ) -> None:
        policies = variant.find(f"Compute{side}", POLICY)
        (target,) = (
            policy["Properties"]["TargetTrackingConfiguration"]["TargetValue"]
            for policy in policies.values()
            if policy["Properties"]["PolicyType"] == "TargetTrackingScaling"
        )
        steps = {
            id: [step["ScalingAdjustment"] for step in policy["Properties"]["StepAdjustments"]]
            for id, policy in policies.items()
            if policy["Properties"]["PolicyType"] == "StepScaling"
        }
        thresholds = {
            action["Ref"]: alarm["Properties"]["Threshold"]
            for alarm in variant.find(f"Compute{side}", ALARM).values()
            for action in alarm["Properties"]["AlarmActions"]
            if "Ref" in action
        }
        assert thresholds.keys() == steps.keys()
        out = {id for id, adjustments in steps.items() if min(adjustments) > 0}
        (into,) = steps.keys() - out
        assert max(steps[into]) < 0
        assert thresholds[into] < target < min(thresholds[id] for id in out)

    def test_counts_an_instance_only_when_it_has_warmed_up(
        self, variant: Assembly, side: str
    ) -> None:
        assert variant.one(f"Compute{side}", GROUP)["DefaultInstanceWarmup"] > 0


@both
class TestAlarms:
    def test_tell_of_busy_missing_and_unhealthy_instances_and_of_errors(
        self, variant: Assembly, side: str
    ) -> None:
        told = {
            alarm["Properties"]["MetricName"]
            for alarm in variant.find(f"Compute{side}", ALARM).values()
            if alarm["Properties"].get("OKActions")
        }
        assert told == {
            "CPUUtilization",
            "GroupInServiceInstances",
            "UnHealthyHostCount",
            "HTTPCode_ELB_5XX_Count",
            "HTTPCode_Target_5XX_Count",
        }

    def test_take_silence_for_a_group_that_is_gone(self, variant: Assembly, side: str) -> None:
        group = variant.one(f"Compute{side}", GROUP)
        (few,) = (
            alarm["Properties"]
            for alarm in variant.find(f"Compute{side}", ALARM).values()
            if alarm["Properties"]["MetricName"] == "GroupInServiceInstances"
        )
        assert few["Threshold"] == int(group["MinSize"])
        assert few["ComparisonOperator"] == "LessThanThreshold"
        assert few["TreatMissingData"] == "breaching"
        assert group["MetricsCollection"], "without it, the group publishes no such metric"
