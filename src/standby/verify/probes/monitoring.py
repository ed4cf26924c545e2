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
"""Metrics that some alarm of each side must watch; how far replication lags is known at one end."""


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
    """Every alarm acts, and what it acts on exists in its own region."""
    found = alarms(site)
    targets = {arn for alarm in found for arn in alarm["AlarmActions"]}
    for arn in sorted(targets):
        if ":sns:" in arn and f":{site.region}:" in arn:
            _topic(site, arn)
    faults = [f"{a['AlarmName']} does nothing" for a in found if not a["AlarmActions"]]
    faults += [f"{a['AlarmName']} is switched off" for a in found if not a["ActionsEnabled"]]
    faults += [f"{arn} is elsewhere" for arn in sorted(targets) if f":{site.region}:" not in arn]
    return expect_faultless("an action in its own region for every alarm", found, faults)


@probe("monitoring.alarms-cover")
def alarms_cover(site: Site) -> Verdict:
    """Alarms watch database, instances, load balancer and replication."""
    watched = {
        f"{metric['Namespace']} {metric['MetricName']}"
        for alarm in alarms(site)
        for metric in _metrics(alarm)
    }
    needed = COVERED[site.side]
    faults = [f"nothing watches {metric}" for metric in sorted(needed - watched)]
    return expect_faultless(", ".join(sorted(needed)), watched, faults)


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


def alarms(site: Site) -> list[dict[str, Any]]:
    """Describe the alarms that the side's stacks made."""
    names = site.resources("AWS::CloudWatch::Alarm")
    if not names:
        return []
    answer = site.ask("cloudwatch:DescribeAlarms", AlarmNames=names)
    return [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]


def _metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the metrics that an alarm watches: its own, or those of its expression."""
    if "MetricName" in alarm:
        return [alarm]
    return [
        each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each
    ]


def _topic(site: Site, arn: str) -> dict[str, Any]:
    return dict(site.ask("sns:GetTopicAttributes", TopicArn=arn)["Attributes"])
