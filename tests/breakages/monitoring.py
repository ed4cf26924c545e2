"""Monitoring: alarms that are gone, or mute, or heard by nobody."""

import json
from typing import Any

from breakages import Place, Steps, breaks
from breakages.dns import settings_of
from breakages.security import with_key_policy
from standby.verify import Side
from standby.verify.probes.monitoring import alarms

CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}


def _topic(here: Place, attribute: str) -> str:
    answer = here.call("sns:GetTopicAttributes", TopicArn=here.output("AlarmTopicArn"))
    return str(answer["Attributes"][attribute])


def _with_topic(here: Place, attribute: str, value: str, heard: str) -> Steps:
    good = _topic(here, attribute)
    for each in (value, good):
        here.call(
            "sns:SetTopicAttributes",
            TopicArn=here.output("AlarmTopicArn"),
            AttributeName=attribute,
            AttributeValue=each,
        )
        if each == value:
            yield heard


def _without_cloudwatch(statements: list[Any]) -> list[Any]:
    return [each for each in statements if each["Principal"] != CLOUDWATCH]


@breaks("monitoring.topic-encrypted")
def the_topic_is_not_encrypted(here: Place) -> Steps:
    yield from _with_topic(here, "KmsMasterKeyId", "", "no key")


@breaks("monitoring.topic-encrypted")
def alarms_may_not_use_the_topics_key(here: Place) -> Steps:
    yield from with_key_policy(
        here, _without_cloudwatch, "not kms:Decrypt or kms:GenerateDataKey allowed"
    )


@breaks("monitoring.topic-policy")
def alarms_may_not_publish(here: Place) -> Steps:
    document = json.loads(_topic(here, "Policy"))
    less = document | {"Statement": _without_cloudwatch(document["Statement"])}
    yield from _with_topic(here, "Policy", json.dumps(less), "not allowed")


def _alarm(here: Place, metric: str, *, told: bool = True) -> dict[str, Any]:
    """Give an alarm of a metric that tells the topic, or one that does not."""
    topic = here.output("AlarmTopicArn")
    return next(
        alarm
        for alarm in alarms(here.site)
        if alarm["MetricName"] == metric and (topic in alarm["AlarmActions"]) == told
    )


@breaks("monitoring.alarms-act")
def an_alarm_does_nothing(here: Place) -> Steps:
    alarm = _alarm(here, "ReplicaLag")
    yield from _put(here, alarm, f"{alarm['AlarmName']} does nothing", AlarmActions=[])


@breaks("monitoring.alarms-act")
def an_alarm_is_switched_off(here: Place) -> Steps:
    alarm = _alarm(here, "ReplicaLag")
    heard = f"{alarm['AlarmName']} is switched off"
    yield from _put(here, alarm, heard, ActionsEnabled=False)


@breaks("monitoring.alarms-act")
def an_alarm_tells_a_topic_that_is_gone(here: Place) -> Steps:
    gone = here.output("AlarmTopicArn") + "-gone"
    yield from _put(here, _alarm(here, "ReplicaLag"), f" acts on {gone}", AlarmActions=[gone])


@breaks("monitoring.alarms-act")
def an_alarm_sets_off_a_policy_that_is_gone(here: Place) -> Steps:
    alarm = _alarm(here, "CPUUtilization", told=False)
    gone = alarm["AlarmActions"][0] + "-gone"
    yield from _put(here, alarm, f" acts on {gone}", AlarmActions=[gone])


@breaks("monitoring.alarms-act")
def an_alarm_is_gone(here: Place) -> Steps:
    yield from _deleted(here, _alarm(here, "GroupInServiceInstances"), " does not exist")


def _put(here: Place, alarm: dict[str, Any], heard: str, **changes: Any) -> Steps:
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm) | changes)
    yield heard
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm))


@breaks("monitoring.alarms-cover")
def nothing_watches_how_far_the_replica_lags(here: Place) -> Steps:
    alarm = _alarm(here, "ReplicaLag")
    yield from _deleted(here, alarm, "nobody is told of AWS/RDS ReplicaLag")


@breaks("monitoring.alarms-cover")
def only_scaling_learns_that_instances_are_busy(here: Place) -> Steps:
    (alarm,) = [
        each
        for each in alarms(here.site)
        if each["Namespace"] == "AWS/EC2" and here.output("AlarmTopicArn") in each["AlarmActions"]
    ]
    yield from _deleted(here, alarm, "nobody is told of AWS/EC2 CPUUtilization")


def _deleted(here: Place, alarm: dict[str, Any], heard: str) -> Steps:
    here.call("cloudwatch:DeleteAlarms", AlarmNames=[alarm["AlarmName"]])
    yield heard
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm))


@breaks("monitoring.dashboard", Side.PRIMARY)
def the_dashboard_is_gone(here: Place) -> Steps:
    yield from _with_dashboard(here, None, "ResourceNotFound")


@breaks("monitoring.dashboard", Side.PRIMARY)
def the_dashboard_shows_one_region(here: Place) -> Steps:
    yield from _with_dashboard(here, here.region, f"widgets of {here.region}")


def _with_dashboard(here: Place, region: str | None, heard: str) -> Steps:
    name = {"DashboardName": here.root}
    good = here.call("cloudwatch:GetDashboard", **name)["DashboardBody"]
    if region is None:
        here.call("cloudwatch:DeleteDashboards", DashboardNames=[here.root])
    else:
        body = json.loads(good)
        mine = [w for w in body["widgets"] if w["properties"]["region"] == region]
        here.call(
            "cloudwatch:PutDashboard", **name, DashboardBody=json.dumps(body | {"widgets": mine})
        )
    yield heard
    here.call("cloudwatch:PutDashboard", **name, DashboardBody=good)
