"""Monitoring on the twin: alarms, dashboards, topics, log groups and events, through their APIs."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY, STANDBY, Deploy, DeploymentFailed

from standby.twin.twin import ACCOUNT, Twin

TAGS = [{"Key": "Environment", "Value": "test"}]
WATCHING: dict[str, Any] = {
    "Namespace": "AWS/EC2",
    "MetricName": "CPUUtilization",
    "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "web"}],
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 3,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 80,
}


def alarm(**properties: Any) -> dict[str, Any]:
    return {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": WATCHING | properties}}


def topic(**properties: Any) -> dict[str, Any]:
    return {"Topic": {"Type": "AWS::SNS::Topic", "Properties": properties}}


def log_group(**properties: Any) -> dict[str, Any]:
    return {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}


def test_an_alarm_without_data_says_so_and_tells_its_topic(deploy: Deploy) -> None:
    ref = {"Ref": "Topic"}
    stack = deploy(topic() | alarm(AlarmActions=[ref], OKActions=[ref], Tags=TAGS))
    cloudwatch = stack.client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[stack["Alarm"]])["MetricAlarms"]
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert found["AlarmActions"] == found["OKActions"] == [stack["Topic"]]
    assert found["InsufficientDataActions"] == []
    assert found["ActionsEnabled"]
    assert {key: found[key] for key in WATCHING} == WATCHING
    assert cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == TAGS
    assert stack.client("cloudwatch", STANDBY).describe_alarms()["MetricAlarms"] == []


def test_an_alarms_tags_change_with_the_template(deploy: Deploy) -> None:
    stack = deploy(alarm(AlarmName="tagged", Tags=TAGS))
    changed = [{"Key": "Environment", "Value": "other"}, {"Key": "Owner", "Value": "sre"}]
    stack.update(alarm(AlarmName="tagged", Tags=changed))
    cloudwatch = stack.client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=["tagged"])["MetricAlarms"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == changed


def test_an_alarm_changes_and_keeps_its_state(deploy: Deploy) -> None:
    stack = deploy(alarm(AlarmName="busy", Tags=TAGS))
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName="busy", StateValue="ALARM", StateReason="a test")
    stack.update(alarm(AlarmName="busy", Threshold=90, TreatMissingData="breaching"))
    (found,) = cloudwatch.describe_alarms(AlarmNames=["busy"])["MetricAlarms"]
    assert (found["Threshold"], found["TreatMissingData"]) == (90, "breaching")
    assert (found["StateValue"], found["StateReason"]) == ("ALARM", "a test")
    assert cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == []
    history = cloudwatch.describe_alarm_history(AlarmName="busy")["AlarmHistoryItems"]
    assert [item["HistoryItemType"] for item in history] == ["ConfigurationUpdate", "StateUpdate"]


def test_a_deleted_alarm_leaves_nothing(deploy: Deploy) -> None:
    stack = deploy(alarm(Tags=TAGS))
    cloudwatch = stack.client("cloudwatch")
    arn = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmArn"]
    stack.delete()
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == []


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Period": 45}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"DatapointsToAlarm": 4}, "DatapointsToAlarm"),
        ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic and ExtendedStatistic"),
        ({"AlarmActions": ["ops@example.com"]}, "Invalid arn syntax"),
        (
            {"AlarmActions": [f"arn:aws:sns:{STANDBY}:{ACCOUNT}:elsewhere"]},
            f"Invalid region {STANDBY} specified",
        ),
        ({"Period": 60, "EvaluationPeriods": 1441}, "more than a day"),
    ],
)
def test_an_alarm_that_cloudwatch_refuses(
    deploy: Deploy, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DeploymentFailed, match=reason):
        deploy(alarm(**properties))


def test_alarms_are_listed_in_pages_and_by_metric(twin: Twin) -> None:
    cloudwatch = twin.client("cloudwatch", PRIMARY)
    names = [f"page-{number:03}" for number in range(120)]
    for name in names:
        cloudwatch.put_metric_alarm(AlarmName=name, **WATCHING)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="page-")
    assert [a["AlarmName"] for page in pages for a in page["MetricAlarms"]] == names
    same = {key: WATCHING[key] for key in ("Namespace", "MetricName", "Dimensions")}
    assert len(cloudwatch.describe_alarms_for_metric(**same)["MetricAlarms"]) == len(names)
    other = same | {"Dimensions": []}
    assert cloudwatch.describe_alarms_for_metric(**other)["MetricAlarms"] == []
    cloudwatch.delete_alarms(AlarmNames=names[:100])
    cloudwatch.delete_alarms(AlarmNames=names[100:])


def test_a_composite_alarm_knows_its_children(deploy: Deploy) -> None:
    composite = {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {"AlarmRule": {"Fn::Sub": 'ALARM("${Alarm}") AND TRUE'}},
    }
    stack = deploy(alarm() | {"Both": composite})
    cloudwatch = stack.client("cloudwatch")
    assert cloudwatch.describe_alarms(AlarmNames=[stack["Both"]])["CompositeAlarms"] == []
    (found,) = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert found["AlarmName"] == stack["Both"]
    children = cloudwatch.describe_alarms(ChildrenOfAlarmName=stack["Both"])["MetricAlarms"]
    assert [child["AlarmName"] for child in children] == [stack["Alarm"]]
    with pytest.raises(ClientError, match="used by composite alarms"):
        cloudwatch.delete_alarms(AlarmNames=[stack["Alarm"]])


def test_a_composite_alarm_on_nothing_is_refused(deploy: Deploy) -> None:
    composite = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": "OK(no)"}}
    with pytest.raises(DeploymentFailed, match=r"alarms \[no\] in the alarm rule do not exist"):
        deploy({"Both": composite})


def test_a_dashboard_is_the_same_in_every_region(deploy: Deploy) -> None:
    def dashboard(title: str) -> dict[str, Any]:
        widget = {"type": "text", "properties": {"markdown": title}}
        body = json.dumps({"widgets": [widget]})
        properties = {"DashboardName": "both", "DashboardBody": body}
        return {"Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}}

    stack = deploy(dashboard("one"))
    stack.update(dashboard("two"))
    elsewhere = stack.client("cloudwatch", STANDBY)
    body = json.loads(elsewhere.get_dashboard(DashboardName="both")["DashboardBody"])
    assert body["widgets"][0]["properties"]["markdown"] == "two"
    (entry,) = elsewhere.list_dashboards()["DashboardEntries"]
    assert entry["DashboardArn"] == f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/both"
    stack.delete()
    with pytest.raises(ClientError, match="does not exist"):
        elsewhere.get_dashboard(DashboardName="both")


def test_a_dashboard_without_a_json_body_is_refused(deploy: Deploy) -> None:
    board = {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardBody": "widgets"}}
    with pytest.raises(DeploymentFailed, match="valid JSON"):
        deploy({"Board": board})


def allowing(action: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": action,
        "Resource": {"Ref": "Topic"},
    }
    return {
        "Allow": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [{"Ref": "Topic"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            },
        }
    }


def test_a_topic_is_encrypted_tagged_and_open_to_whom_its_policy_names(deploy: Deploy) -> None:
    key = {"Key": {"Type": "AWS::KMS::Key", "Properties": {}}}
    encrypted = {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}
    stack = deploy(
        key | topic(**encrypted, DisplayName="Alarms", Tags=TAGS) | allowing("sns:Publish")
    )
    sns, named = stack.client("sns"), {"TopicArn": stack["Topic"]}
    attributes = sns.get_topic_attributes(**named)["Attributes"]
    assert attributes["KmsMasterKeyId"].endswith(f"key/{stack['Key']}")
    assert attributes["DisplayName"] == "Alarms"
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert sns.list_tags_for_resource(ResourceArn=stack["Topic"])["Tags"] == TAGS


def test_a_topic_changes_with_its_template(deploy: Deploy) -> None:
    stack = deploy(
        topic(DisplayName="Alarms", SignatureVersion="2", Tags=TAGS) | allowing("sns:Publish")
    )
    arn = stack["Topic"]
    stack.update(topic(KmsMasterKeyId="alias/aws/sns", SignatureVersion="1"))
    sns = stack.client("sns")
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert stack["Topic"] == arn
    assert (attributes["KmsMasterKeyId"], attributes["SignatureVersion"]) == ("alias/aws/sns", "1")
    assert attributes["DisplayName"] == ""
    assert json.loads(attributes["Policy"])["Id"] == "__default_policy_ID"
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == []
    stack.delete()
    assert sns.list_topics()["Topics"] == []


def test_an_address_that_has_not_confirmed_is_pending(deploy: Deploy) -> None:
    endpoint = {"Protocol": "email", "Endpoint": "ops@example.com"}
    other = {"Protocol": "sms", "Endpoint": "+12025550123"}
    stack = deploy(topic(Subscription=[endpoint, other]))
    sns, named = stack.client("sns"), {"TopicArn": stack["Topic"]}
    listed = sns.list_subscriptions_by_topic(**named)["Subscriptions"]
    arns = {each["Protocol"]: each["SubscriptionArn"] for each in listed}
    assert arns["email"] == "PendingConfirmation"
    assert arns["sms"].startswith(stack["Topic"])
    attributes = sns.get_topic_attributes(**named)["Attributes"]
    assert attributes["SubscriptionsPending"] == attributes["SubscriptionsConfirmed"] == "1"
    stack.update(topic(Subscription=[endpoint]))
    listed = sns.list_subscriptions_by_topic(**named)["Subscriptions"]
    assert [each["Protocol"] for each in listed] == ["email"]


def test_a_subscription_filters_what_it_is_told(deploy: Deploy) -> None:
    def subscribed(state: str) -> dict[str, Any]:
        properties = {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "email",
            "Endpoint": "ops@example.com",
            "FilterPolicy": {"state": [state]},
        }
        return topic() | {"Mail": {"Type": "AWS::SNS::Subscription", "Properties": properties}}

    stack = deploy(subscribed("ALARM"))
    arn = stack["Mail"]
    stack.update(subscribed("OK"))
    attributes = stack.client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"state": ["OK"]}
    assert attributes["PendingConfirmation"] == "true"


def test_a_topic_policy_of_other_services_actions_is_refused(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="out of service scope"):
        deploy(topic() | allowing("sqs:SendMessage"))


def test_an_inline_policy_goes_with_its_resource(deploy: Deploy) -> None:
    properties = allowing("sns:Subscribe")["Allow"]["Properties"]
    inline = {
        "Type": "AWS::SNS::TopicInlinePolicy",
        "Properties": {
            "TopicArn": {"Ref": "Topic"},
            "PolicyDocument": properties["PolicyDocument"],
        },
    }
    stack = deploy(topic() | {"Inline": inline})
    sns, named = stack.client("sns"), {"TopicArn": stack["Topic"]}

    def actions() -> Any:
        policy = json.loads(sns.get_topic_attributes(**named)["Attributes"]["Policy"])
        return policy["Statement"][0]["Action"]

    assert actions() == "sns:Subscribe"
    stack.update(topic())
    assert "SNS:Publish" in actions()


def logs_key(service: str) -> dict[str, Any]:
    own = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:*:{ACCOUNT}:log-group:*"
            }
        },
    }
    policy = {"Version": "2012-10-17", "Statement": [own, statement]}
    return {"Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}}}


ENCRYPTED = {"KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}


def test_a_log_group_keeps_what_it_was_given(deploy: Deploy) -> None:
    key = logs_key(f"logs.{PRIMARY}.amazonaws.com")
    group = log_group(LogGroupName="/app", RetentionInDays=90, Tags=TAGS, **ENCRYPTED)
    stack = deploy(key | group)
    logs = stack.client("logs")
    (found,) = logs.describe_log_groups(logGroupNamePrefix="/app")["logGroups"]
    assert (found["logGroupName"], found["retentionInDays"]) == ("/app", 90)
    assert found["kmsKeyId"].endswith(stack["Key"])
    assert found["logGroupClass"] == "STANDARD"
    assert logs.list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"] == {
        "Environment": "test"
    }
    stack.update(key | log_group(LogGroupName="/app", DeletionProtectionEnabled=True))
    (found,) = logs.describe_log_groups()["logGroups"]
    assert "kmsKeyId" not in found
    assert "retentionInDays" not in found
    assert found["deletionProtectionEnabled"]
    assert logs.list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"] == {}
    with pytest.raises(DeploymentFailed, match="deletion is protected"):
        stack.delete()
    logs.put_log_group_deletion_protection(
        logGroupIdentifier="/app", deletionProtectionEnabled=False
    )
    stack.delete()
    assert logs.describe_log_groups()["logGroups"] == []


def test_a_log_group_with_a_key_closed_to_it_is_refused(deploy: Deploy) -> None:
    key = logs_key(f"logs.{STANDBY}.amazonaws.com")
    with pytest.raises(DeploymentFailed, match="not allowed to be used with Arn"):
        deploy(key | log_group(**ENCRYPTED))


def test_a_retention_that_does_not_exist_is_refused(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="retentionInDays 42"):
        deploy(log_group(RetentionInDays=42))


def metric_filter(pattern: str) -> dict[str, Any]:
    transformation = {"MetricNamespace": "App", "MetricName": "Errors", "MetricValue": "1"}
    properties = {
        "LogGroupName": {"Ref": "Logs"},
        "FilterName": "errors",
        "FilterPattern": pattern,
        "MetricTransformations": [transformation | {"DefaultValue": 0}],
    }
    stream = {"LogGroupName": {"Ref": "Logs"}, "LogStreamName": "one"}
    return {
        "Filter": {"Type": "AWS::Logs::MetricFilter", "Properties": properties},
        "Stream": {"Type": "AWS::Logs::LogStream", "Properties": stream},
    }


def test_a_metric_filter_is_replaced_not_doubled(deploy: Deploy) -> None:
    stack = deploy(log_group() | metric_filter("ERROR"))
    stack.update(log_group() | metric_filter("FATAL"))
    logs = stack.client("logs")
    (found,) = logs.describe_metric_filters(logGroupName=stack["Logs"])["metricFilters"]
    assert found["filterPattern"] == "FATAL"
    assert found["metricTransformations"][0]["defaultValue"] == 0
    (group,) = logs.describe_log_groups()["logGroups"]
    assert group["metricFilterCount"] == 1
    (stream,) = logs.describe_log_streams(logGroupName=stack["Logs"])["logStreams"]
    assert stream["logStreamName"] == "one"
    stack.update(log_group())
    assert logs.describe_metric_filters(logGroupName=stack["Logs"])["metricFilters"] == []


def test_a_resource_policy_comes_changes_and_goes(deploy: Deploy) -> None:
    def policy(service: str) -> dict[str, Any]:
        document = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}}]}
        properties = {"PolicyName": "writers", "PolicyDocument": json.dumps(document)}
        return {"Policy": {"Type": "AWS::Logs::ResourcePolicy", "Properties": properties}}

    stack = deploy(policy("route53.amazonaws.com"))
    stack.update(policy("es.amazonaws.com"))
    logs = stack.client("logs")
    (found,) = logs.describe_resource_policies()["resourcePolicies"]
    assert "es.amazonaws.com" in found["policyDocument"]
    stack.delete()
    assert logs.describe_resource_policies()["resourcePolicies"] == []


def flow_log(**properties: Any) -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
    }
    return log_group() | {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}
            },
        },
        "Flow": {
            "Type": "AWS::EC2::FlowLog",
            "Properties": {
                "ResourceId": {"Ref": "Vpc"},
                "ResourceType": "VPC",
                "TrafficType": "ALL",
                "LogGroupName": {"Ref": "Logs"},
                "DeliverLogsPermissionArn": {"Fn::GetAtt": ["Role", "Arn"]},
                **properties,
            },
        },
    }


def test_a_flow_log_delivers_while_its_log_group_is_there(deploy: Deploy) -> None:
    stack = deploy(flow_log(Tags=TAGS, MaxAggregationInterval=60))
    ec2 = stack.client("ec2")

    def described() -> dict[str, Any]:
        of_vpc = [{"Name": "resource-id", "Values": [stack["Vpc"]]}]
        (found,) = ec2.describe_flow_logs(Filter=of_vpc)["FlowLogs"]
        return dict(found)

    found = described()
    assert found["FlowLogId"] == stack["Flow"]
    assert (found["FlowLogStatus"], found["TrafficType"]) == ("ACTIVE", "ALL")
    assert (found["DeliverLogsStatus"], found["MaxAggregationInterval"]) == ("SUCCESS", 60)
    assert found["Tags"] == TAGS
    stack.client("logs").delete_log_group(logGroupName=stack["Logs"])
    assert described()["DeliverLogsStatus"] == "FAILED"
    stack.delete()
    assert ec2.describe_flow_logs()["FlowLogs"] == []


def test_a_flow_log_with_an_option_that_the_twin_lacks_stops_the_deployment(
    deploy: Deploy,
) -> None:
    with pytest.raises(DeploymentFailed, match="DeliverCrossAccountRole"):
        deploy(flow_log(DeliverCrossAccountRole=f"arn:aws:iam::{ACCOUNT}:role/other"))


def test_a_rule_has_the_targets_of_its_template(deploy: Deploy) -> None:
    def rule(source: str, *targets: str) -> dict[str, Any]:
        properties = {
            "EventPattern": {"source": [source]},
            "Targets": [{"Id": target, "Arn": {"Ref": "Topic"}} for target in targets],
            "Tags": TAGS,
        }
        return topic() | {"Rule": {"Type": "AWS::Events::Rule", "Properties": properties}}

    stack = deploy(rule("aws.fis", "one", "two"))
    stack.update(rule("aws.rds", "two"))
    events, name = stack.client("events"), stack["Rule"]
    found = events.describe_rule(Name=name)
    assert json.loads(found["EventPattern"]) == {"source": ["aws.rds"]}
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    assert targets == [{"Id": "two", "Arn": stack["Topic"]}]
    assert events.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"] == TAGS
    stack.delete()
    assert events.list_rules()["Rules"] == []
