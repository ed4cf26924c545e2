import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from assemblies import Assembly

from standby.settings import resolve

TOPIC = "AWS::SNS::Topic"
ALARM = "AWS::CloudWatch::Alarm"
REGIONS = {"Primary": "eu-west-2", "Standby": "eu-west-3"}

DATABASES = {"eu-west-2": "db-primary-dev", "eu-west-3": "db-replica-dev"}

both = pytest.mark.parametrize("side", REGIONS)


def alarms(variant: Assembly) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give every alarm with its region and a name for messages."""
    for name, template in variant.items():
        region = variant.stacks[name]["environment"].rpartition("/")[2]
        for id, resource in template.get("Resources", {}).items():
            if resource["Type"] == ALARM:
                yield f"{name}.{id}", region, resource["Properties"]


@both
class TestTopic:
    def test_is_encrypted_with_its_regions_key(self, variant: Assembly, side: str) -> None:
        key = variant.one(f"Monitoring{side}", TOPIC)["KmsMasterKeyId"]["Fn::GetStackOutput"]
        assert key["StackName"] == f"TapStackdev-Security{side}"

    def test_has_a_key_that_alarms_may_use(self, variant: Assembly, side: str) -> None:
        policy = variant.one(f"Security{side}", "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        (statement,) = (
            s for s in policy if s["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        )
        assert statement["Effect"] == "Allow"
        assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}

    def test_takes_messages_of_this_accounts_alarms_only_and_over_tls(
        self, variant: Assembly, side: str
    ) -> None:
        policy = variant.one(f"Monitoring{side}", "AWS::SNS::TopicPolicy")["PolicyDocument"]
        deny, allow = sorted(policy["Statement"], key=lambda s: s["Effect"], reverse=True)
        assert (deny["Effect"], allow["Effect"]) == ("Deny", "Allow")
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert allow["Condition"]["StringEquals"] == {
            "aws:SourceAccount": {"Ref": "AWS::AccountId"}
        }
        assert f"cloudwatch:{REGIONS[side]}:" in json.dumps(allow["Condition"]["ArnLike"])

    def test_sends_mail_where_the_settings_name_an_address(
        self, assembly: Callable[..., Assembly], dev: Assembly, side: str
    ) -> None:
        subscription = "AWS::SNS::Subscription"
        flags = {"alarmEmail": "ops@example.org"}
        mailed = assembly(resolve(flags=flags, environ={}).settings)
        sent = mailed.one(f"Monitoring{side}", subscription)
        assert (sent["Protocol"], sent["Endpoint"]) == ("email", "ops@example.org")
        assert not dev.find(f"Monitoring{side}", subscription)


class TestAlarms:
    def test_all_tell_the_topic_of_their_own_region_unless_they_scale(
        self, variant: Assembly
    ) -> None:
        topics = {
            region: {
                "StackName": f"TapStackdev-Monitoring{side}",
                "Region": region,
            }
            for side, region in REGIONS.items()
        }
        silent = []
        for name, region, alarm in alarms(variant):
            (action,) = alarm["AlarmActions"]
            if "Ref" in action:
                silent.append(alarm["AlarmDescription"])
                continue
            told = action["Fn::GetStackOutput"]
            assert topics[region].items() <= told.items(), name
            assert "RefAlarmTopic" in told["OutputName"], name
            assert alarm["OKActions"] == alarm["AlarmActions"], name
        assert len(silent) == 4
        assert all(description.startswith("Scales the group") for description in silent)

    def test_watch_nothing_that_another_region_publishes(self, variant: Assembly) -> None:
        for name, region, alarm in alarms(variant):
            assert alarm["Namespace"] != "AWS/Route53", name
            for dimension in alarm.get("Dimensions", []):
                if dimension["Name"] == "DestinationFileSystemId":
                    continue  # a name of the other region, in a metric of the source's
                if isinstance(dimension["Value"], dict):
                    watched = dimension["Value"].get("Fn::GetStackOutput", {"Region": region})
                    assert watched["Region"] == region, name

    def test_say_what_is_wrong(self, variant: Assembly) -> None:
        for name, _, alarm in alarms(variant):
            assert len(alarm["AlarmDescription"]) > 20, name


class TestDashboard:
    def test_shows_every_metric_from_the_region_that_publishes_it(self, variant: Assembly) -> None:
        for widget in widgets(variant):
            region = widget["properties"]["region"]
            for namespace, metric, *rest in widget["properties"]["metrics"]:
                if namespace == "AWS/Route53":  # publishes there, wherever the check's stack is
                    assert region == "us-east-1"
                elif metric != "TimeSinceLastSync":
                    assert f"@{region}" in rest[1] or rest[1] == DATABASES[region], (metric, rest)

    def test_shows_the_same_of_both_regions(self, variant: Assembly) -> None:
        shown = {
            region: {
                (metric[0], metric[1])
                for widget in widgets(variant)
                if widget["properties"]["region"] == region
                for metric in widget["properties"]["metrics"]
            }
            for region in REGIONS.values()
        }
        only_one = {("AWS/EFS", "TimeSinceLastSync"), ("AWS/RDS", "ReplicaLag")}
        assert shown["eu-west-2"] - only_one == shown["eu-west-3"] - only_one
        assert shown["eu-west-2"] | shown["eu-west-3"] >= only_one
        assert {namespace for namespace, _ in shown["eu-west-3"]} == {
            "AWS/ApplicationELB",
            "AWS/AutoScaling",
            "AWS/EC2",
            "AWS/RDS",
        }

    def test_shows_both_endpoints_and_the_latch(self, variant: Assembly) -> None:
        checks = [
            rest[1]
            for widget in widgets(variant)
            for namespace, _, *rest in widget["properties"]["metrics"]
            if namespace == "AWS/Route53"
        ]
        assert len(set(checks)) == 3

    def test_fits_its_grid(self, variant: Assembly) -> None:
        taken: set[tuple[int, int]] = set()
        for widget in widgets(variant):
            cells = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells


def widgets(variant: Assembly) -> list[dict[str, Any]]:
    """Read the dashboard of the root stack; a reference reads as what it names, @region."""
    (dashboard,) = variant["TapStackdev"]["Resources"].values()
    body = "".join(
        part
        if isinstance(part, str)
        else "{OutputName}@{Region}".format(**part["Fn::GetStackOutput"])
        for part in dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]
    )
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found
