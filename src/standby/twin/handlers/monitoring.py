"""Monitoring: alarms, dashboards and rules for events.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon
CloudWatch" and "Amazon EventBridge".
"""

from typing import Any, ClassVar

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler
from standby.twin.shapes import call


class _NamedAlarm(Handler):
    """An alarm of either kind; its name is its ``Ref``.

    Attributes:
        operation: The operation that creates it or replaces its configuration.
        kind: What DescribeAlarms calls its type.
        keys: The properties that the operation takes.
    """

    operation: ClassVar[str]
    kind: ClassVar[str]
    keys: ClassVar[tuple[str, ...]] = (
        "ActionConfiguration",
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "InsufficientDataActions",
        "OKActions",
    )

    def create(self, r: Resource) -> Created:
        """Create the alarm; a name that is taken is refused."""
        cloudwatch = r.client("cloudwatch")
        name = r.properties.get("AlarmName")
        if name:
            named = {"AlarmNames": [name], "AlarmTypes": [self.kind]}
            if cloudwatch.describe_alarms(**named)[f"{self.kind}s"]:
                raise TemplateError(f"alarm {name!r} already exists")
        name = name or r.generated_name(255)
        self._put(r, name, r.all_tags())
        return Created(name, {"Arn": self._arn(r, name)})

    def update(self, r: Resource) -> Created:
        """Replace the alarm's configuration; its state stays."""
        self._put(r, r.physical_id, [])
        _retag(r, "cloudwatch", "ResourceARN", self._arn(r, r.physical_id))
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the alarm."""
        r.client("cloudwatch").delete_alarms(AlarmNames=[r.physical_id])

    def _put(self, r: Resource, name: str, tags: list[dict[str, str]]) -> None:
        wanted = r.properties.pick(*self.keys)
        call(r.client("cloudwatch"), self.operation, AlarmName=name, Tags=tags, **wanted)

    @staticmethod
    def _arn(r: Resource, name: str) -> str:
        return f"arn:aws:cloudwatch:{r.region}:{r.account}:alarm:{name}"


def _retag(r: Resource, service: str, argument: str, arn: str) -> None:
    """Bring the tags of what a service knows by ARN to what is wanted."""
    client = r.client(service)
    if dropped := r.dropped_tags():
        client.untag_resource(**{argument: arn}, TagKeys=dropped)
    if tags := r.all_tags():
        client.tag_resource(**{argument: arn}, Tags=tags)


@handler("AWS::CloudWatch::Alarm")
class Alarm(_NamedAlarm):
    """An alarm on a metric or on an expression of metrics."""

    operation = "PutMetricAlarm"
    kind = "MetricAlarm"
    keys = (
        *_NamedAlarm.keys,
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluateLowSampleCountPercentile",
        "EvaluationCriteria",
        "EvaluationInterval",
        "EvaluationPeriods",
        "EvaluationWindow",
        "ExtendedStatistic",
        "MetricName",
        "Metrics",
        "Namespace",
        "Period",
        "Statistic",
        "Threshold",
        "ThresholdMetricId",
        "TreatMissingData",
        "Unit",
        "WarmUpConfiguration",
    )


@handler("AWS::CloudWatch::CompositeAlarm")
class CompositeAlarm(_NamedAlarm):
    """An alarm on the states of others."""

    operation = "PutCompositeAlarm"
    kind = "CompositeAlarm"
    keys = (
        *_NamedAlarm.keys,
        "ActionsSuppressor",
        "ActionsSuppressorExtensionPeriod",
        "ActionsSuppressorWaitPeriod",
        "AlarmRule",
    )


@handler("AWS::CloudWatch::Dashboard")
class Dashboard(Handler):
    """A dashboard; its name is its ``Ref``."""

    def create(self, r: Resource) -> Created:
        """Create the dashboard; a name that is taken is refused."""
        cloudwatch = r.client("cloudwatch")
        name = r.properties.get("DashboardName") or r.generated_name(255)
        with gone_is_fine():
            cloudwatch.get_dashboard(DashboardName=name)
            raise TemplateError(f"dashboard {name!r} already exists")
        self._put(r, name, r.all_tags())
        return Created(name)

    def update(self, r: Resource) -> Created:
        """Replace the dashboard's body."""
        self._put(r, r.physical_id, [])
        arn = f"arn:aws:cloudwatch::{r.account}:dashboard/{r.physical_id}"
        _retag(r, "cloudwatch", "ResourceARN", arn)
        return Created(r.physical_id)

    def delete(self, r: Resource) -> None:
        """Delete the dashboard."""
        with gone_is_fine():
            r.client("cloudwatch").delete_dashboards(DashboardNames=[r.physical_id])

    @staticmethod
    def _put(r: Resource, name: str, tags: list[dict[str, str]]) -> None:
        body = r.properties.document("DashboardBody")
        cloudwatch = r.client("cloudwatch")
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body, Tags=tags)


@handler("AWS::Events::Rule")
class Rule(Configured):
    """A rule of an event bus, with its targets; ``Ref`` is its name, led by a custom bus's."""

    def make(self, r: Resource) -> Created:
        """Create the rule."""
        name = r.properties.get("Name") or r.generated_name()
        answer = self._put(r, name, Tags=r.all_tags())
        bus = r.properties.get("EventBusName", "default").rpartition("/")[2]
        id_ = name if bus == "default" else f"{bus}|{name}"
        return Created(id_, {"Arn": answer["RuleArn"], "RuleName": name})

    def configure(self, r: Resource) -> None:
        """Bring targets and, after creation, everything else to what is wanted."""
        events, named = r.client("events"), self._named(r)
        if r.previous:
            self._put(r, r.attributes["RuleName"])
            _retag(r, "events", "ResourceARN", r.attributes["Arn"])
        wanted = r.properties.get("Targets", [])
        kept = {target["Id"] for target in wanted}
        gone = [each["Id"] for each in r.previous.get("Targets", []) if each["Id"] not in kept]
        if gone:
            events.remove_targets(**named, Ids=gone)
        if wanted:
            answer = call(events, "PutTargets", **named, Targets=wanted)
            for failed in answer["FailedEntries"]:
                raise TemplateError(f"target {failed['TargetId']}: {failed['ErrorMessage']}")

    def delete(self, r: Resource) -> None:
        """Delete the rule with its targets."""
        events, named = r.client("events"), self._named(r)
        with gone_is_fine():
            targets = events.list_targets_by_rule(**named)["Targets"]
            if targets:
                events.remove_targets(**named, Ids=[target["Id"] for target in targets])
            events.delete_rule(Name=named["Rule"], EventBusName=named["EventBusName"])

    @staticmethod
    def _named(r: Resource) -> dict[str, str]:
        bus, _, name = r.physical_id.rpartition("|")
        return {"Rule": name, "EventBusName": bus or "default"}

    @staticmethod
    def _put(r: Resource, name: str, **more: Any) -> dict[str, Any]:
        wanted = r.properties.pick(
            "Description", "EventBusName", "RoleArn", "ScheduleExpression", "State"
        )
        if "EventPattern" in r.properties:
            wanted["EventPattern"] = r.properties.document("EventPattern")
        return call(r.client("events"), "PutRule", Name=name, **wanted, **more)
