"""Monitoring: alarms, kept as they were put, with the state that moto makes up.

Source: CloudWatch API reference, PutMetricAlarm, PutCompositeAlarm, DescribeAlarms and
SetAlarmState; user guide, "Alarm states" (an alarm that was never evaluated has insufficient
data) and "Create a composite alarm" (what a rule may say).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends

from standby.twin.operations import Call, ServiceError, operation

if TYPE_CHECKING:
    from standby.twin.twin import Twin

SERVICE = "cloudwatch"
METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
OK, ALARM, NO_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
PAGE = 50
HOUR, DAY, WEEK = 3600, 86_400, 604_800
_CHILD = re.compile(r"\b(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(\"[^\"]+\"|'[^']+'|[^\s()]+)\s*\)")


@dataclass(frozen=True)
class Transition:
    """One entry of an alarm's history."""

    time: datetime
    kind: str
    summary: str
    data: str


@dataclass
class Alarm:
    """One alarm.

    Attributes:
        settings: The parameters it was put with, its tags aside.
        known: The last state that rested on data, once another followed it, and until when.
    """

    arn: str
    kind: str
    settings: Mapping[str, Any]
    configured: datetime
    state: str = NO_DATA
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str = ""
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    transitioned: datetime = field(default_factory=lambda: datetime.now(UTC))
    known: tuple[str, datetime] | None = None
    history: list[Transition] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Give the alarm's name, unique in its region."""
        return str(self.settings["AlarmName"])

    def enter(self, state: str, reason: str, reason_data: str = "") -> None:
        """Bring the alarm into a state; its history says from which."""
        now = datetime.now(UTC)
        if state != self.state:
            if self.state != NO_DATA:
                self.known = (self.state, now)
            self._note("StateUpdate", f"Alarm updated from {self.state} to {state}")
            self.transitioned = now
        self.state, self.reason, self.reason_data, self.updated = state, reason, reason_data, now

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Replace the whole configuration; the state stays."""
        self.settings, self.configured = settings, datetime.now(UTC)
        self._note("ConfigurationUpdate", f'Alarm "{self.name}" updated')

    def _note(self, kind: str, summary: str) -> None:
        data = json.dumps({"version": "1.0", "type": kind})
        self.history.append(Transition(datetime.now(UTC), kind, summary, data))

    def described(self) -> dict[str, Any]:
        """Describe the alarm as DescribeAlarms does."""
        return {
            "ActionsEnabled": True,
            **{key: [] for key in ACTIONS},
            **({"Dimensions": []} if self.kind == METRIC else {}),
            **self.settings,
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.state,
            "StateReason": self.reason,
            **({"StateReasonData": self.reason_data} if self.reason_data else {}),
            "StateUpdatedTimestamp": self.updated,
            "StateTransitionedTimestamp": self.transitioned,
        }


class Alarms(dict[str, Alarm]):
    """The alarms of one region, by name."""


def find_alarm(twin: "Twin", region: str, name: str) -> Alarm | None:
    """Give an alarm, or None where there is none of this name."""
    return twin.store(Alarms, region).get(name)


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


@operation(SERVICE, "PutMetricAlarm")
def put_metric_alarm(call: Call) -> None:
    """Create an alarm, or replace the configuration of the one that has the name."""
    _check_metric(call.params)
    _put(call, METRIC)


@operation(SERVICE, "PutCompositeAlarm")
def put_composite_alarm(call: Call) -> None:
    """Create an alarm on alarms, or replace its configuration."""
    alarms = call.store(Alarms)
    if missing := sorted(set(_children(call.params["AlarmRule"])) - set(alarms)):
        raise _invalid(
            f"Could not save the composite alarm as alarms [{', '.join(missing)}] "
            "in the alarm rule do not exist"
        )
    _put(call, COMPOSITE)


def _put(call: Call, kind: str) -> None:
    alarms, name = call.store(Alarms), call.params["AlarmName"]
    settings = {key: value for key, value in call.params.items() if key != "Tags"}
    _check_actions(settings, call.region)
    if name in alarms:
        if alarms[name].kind != kind:
            raise _invalid(f"An alarm named {name} of another type exists")
        alarms[name].configure(settings)
        return
    arn = f"arn:aws:cloudwatch:{call.region}:{call.account}:alarm:{name}"
    alarms[name] = Alarm(arn, kind, settings, datetime.now(UTC))
    if tags := call.params.get("Tags"):
        _tagger(call).tag_resource(arn, tags)


def _tagger(call: Call) -> Any:
    return cloudwatch_backends[call.account][call.region].tagger


def _check_metric(params: Mapping[str, Any]) -> None:
    kinds = [key for key in ("MetricName", "Metrics", "EvaluationCriteria") if key in params]
    if len(kinds) != 1:
        raise _invalid("Exactly one of MetricName, Metrics and EvaluationCriteria must be given")
    if kinds == ["MetricName"]:
        if missing := [key for key in ("Namespace", "Period") if key not in params]:
            raise _invalid(f"{' and '.join(missing)} must be specified with MetricName")
        if ("Statistic" in params) == ("ExtendedStatistic" in params):
            raise _invalid("Exactly one of Statistic and ExtendedStatistic must be specified")
    if kinds == ["EvaluationCriteria"]:
        return
    for key in ("EvaluationPeriods", "ComparisonOperator"):
        if key not in params:
            raise _invalid(f"{key} must be specified")
    if ("Threshold" in params) == ("ThresholdMetricId" in params):
        raise _invalid("Exactly one of Threshold and ThresholdMetricId must be specified")
    periods = params["EvaluationPeriods"]
    if params.get("DatapointsToAlarm", 1) > periods:
        raise _invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    if (period := params.get("Period")) is None:
        return
    if period not in {10, 20, 30} and period % 60:
        raise _invalid(f"Period must be 10, 20, 30 or a multiple of 60, not {period}")
    if period * periods > (WEEK if period >= HOUR else DAY):
        raise _invalid("Metrics cannot be checked across more than a day, or a week by the hour")


def _check_actions(settings: Mapping[str, Any], region: str) -> None:
    for arn in (arn for key in ACTIONS for arn in settings.get(key, ())):
        parts = arn.split(":")
        if parts[0] != "arn" or len(parts) < 6:
            raise _invalid(f"Invalid arn syntax: {arn}")
        if parts[2] == "sns" and parts[3] != region:
            raise _invalid(f"Invalid region {parts[3]} specified. Only {region} is supported.")


def _children(rule: str) -> Iterator[str]:
    """Name the alarms that a rule speaks of, whether by name or by ARN."""
    for match in _CHILD.findall(rule):
        name = match.strip("\"'")
        yield name.partition(":alarm:")[2] if name.startswith("arn:") else name


@operation(SERVICE, "DescribeAlarms")
def describe_alarms(call: Call) -> Mapping[str, Any]:
    """Describe alarms; composite ones only where they are asked for."""
    params = call.params
    types = params.get("AlarmTypes") or [METRIC]
    if "AlarmNames" in params and "AlarmNamePrefix" in params:
        raise _invalid("AlarmNamePrefix and AlarmNames are mutually exclusive")
    chosen = [
        alarm
        for name, alarm in sorted(call.store(Alarms).items())
        if alarm.kind in types and _wanted(alarm, params)
    ]
    parent = params.get("ChildrenOfAlarmName")
    if parent is not None:
        rule = _get(call, parent).settings.get("AlarmRule", "")
        chosen = [alarm for alarm in chosen if alarm.name in set(_children(rule))]
    page, token = _page(chosen, params)
    return {
        f"{kind}s": [alarm.described() for alarm in page if alarm.kind == kind]
        for kind in (METRIC, COMPOSITE)
    } | token


def _wanted(alarm: Alarm, params: Mapping[str, Any]) -> bool:
    child = params.get("ParentsOfAlarmName")
    return (
        ("AlarmNames" not in params or alarm.name in params["AlarmNames"])
        and alarm.name.startswith(params.get("AlarmNamePrefix", ""))
        and params.get("StateValue", alarm.state) == alarm.state
        and (
            "ActionPrefix" not in params
            or any(
                arn.startswith(params["ActionPrefix"])
                for key in ACTIONS
                for arn in alarm.settings.get(key, ())
            )
        )
        and (child is None or child in _children(alarm.settings.get("AlarmRule", "")))
    )


def _page(items: list[Any], params: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """Cut one page out of a list; the token is where the next begins."""
    start = int(params.get("NextToken") or 0)
    end = start + params.get("MaxRecords", PAGE)
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}


@operation(SERVICE, "DescribeAlarmsForMetric")
def describe_alarms_for_metric(call: Call) -> Mapping[str, Any]:
    """Describe the alarms that watch exactly this metric."""
    params = call.params
    named = {key: params[key] for key in ("Namespace", "MetricName")}
    optional = ("Statistic", "ExtendedStatistic", "Period", "Unit")
    wanted = named | {key: params[key] for key in optional if key in params}
    found = [
        alarm.described()
        for alarm in call.store(Alarms).values()
        if all(alarm.settings.get(key) == value for key, value in wanted.items())
        and _dimensions(alarm.settings) == _dimensions(params)
    ]
    return {"MetricAlarms": found}


def _dimensions(holder: Mapping[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in holder.get("Dimensions", ())}


@operation(SERVICE, "DeleteAlarms")
def delete_alarms(call: Call) -> None:
    """Delete alarms; names that nothing has are passed over, alarms that rules name are kept."""
    alarms, names = call.store(Alarms), call.params["AlarmNames"]
    for name in names:
        parents = [
            alarm.name
            for alarm in alarms.values()
            if alarm.name not in names and name in _children(alarm.settings.get("AlarmRule", ""))
        ]
        if parents:
            raise _invalid(f"Alarm {name} is used by composite alarms: {', '.join(parents)}")
    for name in names:
        if alarm := alarms.pop(name, None):
            _tagger(call).delete_all_tags_for_resource(alarm.arn)


@operation(SERVICE, "TagResource")
def tag_resource(call: Call) -> None:
    """Set tags of an alarm, or of what moto keeps."""
    _tagger(call).tag_resource(_tagged(call), call.params["Tags"])


@operation(SERVICE, "UntagResource")
def untag_resource(call: Call) -> None:
    """Remove tags of an alarm, or of what moto keeps."""
    _tagger(call).untag_resource_using_names(_tagged(call), call.params["TagKeys"])


def _tagged(call: Call) -> str:
    arn = str(call.params["ResourceARN"])
    name = arn.partition(":alarm:")[2]
    if name and name not in call.store(Alarms):
        raise ServiceError("ResourceNotFoundException", f"{arn} does not exist")
    return arn


@operation(SERVICE, "SetAlarmState")
def set_alarm_state(call: Call) -> None:
    """Bring an alarm into a state by hand."""
    params = call.params
    alarm = _get(call, params["AlarmName"])
    alarm.enter(params["StateValue"], params["StateReason"], params.get("StateReasonData", ""))


@operation(SERVICE, "EnableAlarmActions")
def enable_alarm_actions(call: Call) -> None:
    """Let alarms act."""
    _switch_actions(call, on=True)


@operation(SERVICE, "DisableAlarmActions")
def disable_alarm_actions(call: Call) -> None:
    """Keep alarms from acting."""
    _switch_actions(call, on=False)


def _switch_actions(call: Call, *, on: bool) -> None:
    for name in call.params["AlarmNames"]:
        if alarm := call.store(Alarms).get(name):
            alarm.configure({**alarm.settings, "ActionsEnabled": on})


@operation(SERVICE, "DescribeAlarmHistory")
def describe_alarm_history(call: Call) -> Mapping[str, Any]:
    """Tell what happened to alarms, the latest first unless asked otherwise."""
    params = call.params
    types = params.get("AlarmTypes") or [METRIC]
    items: list[dict[str, Any]] = [
        {
            "AlarmName": alarm.name,
            "AlarmType": alarm.kind,
            "Timestamp": entry.time,
            "HistoryItemType": entry.kind,
            "HistorySummary": entry.summary,
            "HistoryData": entry.data,
        }
        for alarm in _named(call.store(Alarms).values(), params.get("AlarmName"))
        if alarm.kind in types
        for entry in alarm.history
        if params.get("HistoryItemType", entry.kind) == entry.kind
        and params.get("StartDate", entry.time) <= entry.time <= params.get("EndDate", entry.time)
    ]
    oldest_first = params.get("ScanBy") == "TimestampAscending"
    items.sort(key=lambda item: item["Timestamp"], reverse=not oldest_first)
    page, token = _page(items, params)
    return {"AlarmHistoryItems": page} | token


def _named(alarms: Iterable[Alarm], name: str | None) -> Iterator[Alarm]:
    return (alarm for alarm in list(alarms) if name in {None, alarm.name})


def _get(call: Call, name: str) -> Alarm:
    alarm = call.store(Alarms).get(name)
    if alarm is None:
        raise ServiceError("ResourceNotFound", f"Alarm {name} does not exist")
    return alarm
