"""Monitoring: the alarms of each side, who hears of them, and the dashboard of both."""

import json
from collections.abc import Mapping
from typing import Any

from standby.verify.outputs import Side
from standby.verify.policy import allows_service, statements
from standby.verify.probe import Verdict, expect, expect_faultless, probe
from standby.verify.probes.security import key_statements
from standby.verify.site import Site, only

ALARMS = "cloudwatch.amazonaws.com"
COVERED: Mapping[Side, frozenset[str]] = {
    side: frozenset(
        {
            own,
            "AWS/ApplicationELB UnHealthyHostCount",
            "AWS/EC2 CPUUtilization",
            "AWS/RDS CPUUtilization",
            "AWS/RDS DatabaseConnections",
            "AWS/RDS FreeStorageSpace",
        }
    )
    for side, own in (
        (Side.PRIMARY, "AWS/EFS TimeSinceLastSync"),
        (Side.STANDBY, "AWS/RDS ReplicaLag"),
    )
}
"""Metrics that some alarm of each side must tell of; each replication's lag is known at one end."""


@probe("monitoring.topic-encrypted")
def topic_encrypted(site: Site) -> Verdict:
    """The alarm topic is encrypted with a key that CloudWatch may use.

    Without that grant an alarm's message to an encrypted topic is lost, and nobody is told.
    """
    key = _topic(site, site.output("AlarmTopicArn")).get("KmsMasterKeyId")
    if not key:
        return expect(False, "a key that CloudWatch may use", "no key")
    policy = key_statements(site, key)
    missing = [
        action
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
        if not allows_service(policy, ALARMS, action)
    ]
    own = key == site.output("KmsKeyArn")
    seen = f"{key}, {'all' if not missing else 'not ' + ' or '.join(missing)} allowed to {ALARMS}"
    return expect(own and not missing, f"{site.output('KmsKeyArn')}, all allowed to {ALARMS}", seen)


@probe("monitoring.topic-policy")
def topic_policy(site: Site) -> Verdict:
    """CloudWatch may publish to the alarm topic."""
    policy = statements(_topic(site, site.output("AlarmTopicArn"))["Policy"])
    allowed = any(allows_service(policy, ALARMS, name) for name in ("sns:Publish", "SNS:Publish"))
    return expect(
        allowed,
        f"sns:Publish allowed to {ALARMS}",
        f"sns:Publish {'' if allowed else 'not '}allowed to {ALARMS}",
    )


@probe("monitoring.alarms-act")
def alarms_act(site: Site) -> Verdict:
    """Every alarm exists and acts, on the side's own topic or group."""
    names, found = alarm_names(site), alarms(site)
    policies = site.ask(
        "autoscaling:DescribePolicies", AutoScalingGroupName=site.output("AutoScalingGroupName")
    )["ScalingPolicies"]
    targets = {site.output("AlarmTopicArn"), *(policy["PolicyARN"] for policy in policies)}
    missing = set(names) - {alarm["AlarmName"] for alarm in found}
    faults = [f"{name} does not exist" for name in sorted(missing)]
    faults += [f"{a['AlarmName']} does nothing" for a in found if not a["AlarmActions"]]
    faults += [f"{a['AlarmName']} is switched off" for a in found if not a["ActionsEnabled"]]
    faults += [
        f"{alarm['AlarmName']} acts on {arn}"
        for alarm in found
        for arn in alarm["AlarmActions"]
        if arn not in targets
    ]
    return expect_faultless("an action on the topic or the group", names, faults)


@probe("monitoring.alarms-cover")
def alarms_cover(site: Site) -> Verdict:
    """People are told of trouble with database, instances, load balancer and replication."""
    told = {
        f"{metric['Namespace']} {metric['MetricName']}"
        for alarm in alarms(site)
        if site.output("AlarmTopicArn") in alarm["AlarmActions"]
        for metric in _metrics(alarm)
    }
    needed = COVERED[site.side]
    faults = [f"nobody is told of {metric}" for metric in sorted(needed - told)]
    return expect_faultless(f"told of {', '.join(sorted(needed))}", needed, faults)


@probe("monitoring.dashboard", Side.PRIMARY)
def dashboard(site: Site) -> Verdict:
    """One dashboard shows both regions."""
    name = only(site.resources("AWS::CloudWatch::Dashboard"), "dashboard")
    body = json.loads(site.ask("cloudwatch:GetDashboard", DashboardName=name)["DashboardBody"])
    regions = {widget.get("properties", {}).get("region") for widget in body["widgets"]}
    wanted = {site.region, site.other.region}
    return expect(
        wanted <= regions,
        f"widgets of {' and '.join(sorted(wanted))}",
        f"{len(body['widgets'])} widgets of {', '.join(sorted(filter(None, regions)))}",
    )


def alarm_names(site: Site) -> list[str]:
    """Name the alarms that the side's stacks made, whether or not they still exist."""
    return site.resources("AWS::CloudWatch::Alarm")


def alarms(site: Site) -> list[dict[str, Any]]:
    """Describe those of the side's alarms that exist; without names, AWS would give all."""
    names = alarm_names(site)
    answer = site.ask("cloudwatch:DescribeAlarms", AlarmNames=names) if names else {}
    return list(answer.get("MetricAlarms", []))


def _metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the metrics that an alarm watches: its own, or those of its expression."""
    if "MetricName" in alarm:
        return [alarm]
    return [
        each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each
    ]


def _topic(site: Site, arn: str) -> dict[str, Any]:
    return dict(site.ask("sns:GetTopicAttributes", TopicArn=arn)["Attributes"])
