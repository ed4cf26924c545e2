"""DNS: the configuration of health checks, all of it, checked as Route 53 checks it.

Source: Route 53 API reference, HealthCheckConfig, CreateHealthCheck and UpdateHealthCheck;
developer guide, "Monitoring a CloudWatch alarm" (which alarms a health check can follow).
Whether a check is healthy is told by `standby.twin.services.dns_health`.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from moto.route53.models import route53_backends

from standby.twin.operations import Call, ServiceError, operation
from standby.twin.services.dns_health import (
    CALCULATED,
    CHECKERS,
    ON_ALARM,
    HealthCheck,
    health_checks,
    observations,
)
from standby.twin.services.monitoring_alarms import METRIC, Alarm, find_alarm

SERVICE = "route53"
PORTS = {"HTTP": 80, "HTTP_STR_MATCH": 80, "HTTPS": 443, "HTTPS_STR_MATCH": 443, "TCP": None}
"""The types of checks of an endpoint, with the port each uses by default."""
FOLLOWED_STATISTICS = {"Average", "Maximum", "Minimum", "SampleCount", "Sum"}
PAGE = 100


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidInput", f"Invalid parameter : {message}")


@operation(SERVICE, "CreateHealthCheck")
def create_health_check(call: Call) -> Mapping[str, Any]:
    """Create a health check; the same request twice gives the same check."""
    checks, reference = health_checks(call.twin), call.params["CallerReference"]
    requested = dict(call.params["HealthCheckConfig"])
    for check in checks.values():
        if check.reference == reference:
            if check.requested != requested:
                raise ServiceError(
                    "HealthCheckAlreadyExists",
                    f"A health check with caller reference {reference} exists, with other settings",
                )
            return _answer(call, check)
    config = _completed(requested)
    _check(call, config)
    check = HealthCheck(str(uuid.uuid4()), reference, requested, config)
    checks[check.id] = check
    return _answer(call, check)


def _answer(call: Call, check: HealthCheck) -> dict[str, Any]:
    location = f"https://route53.amazonaws.com/2013-04-01/healthcheck/{check.id}"
    return {"HealthCheck": _described(call, check), "Location": location}


def _completed(requested: Mapping[str, Any]) -> dict[str, Any]:
    """Add what Route 53 takes for granted."""
    kind = requested["Type"]
    defaults: dict[str, Any] = {"Inverted": False, "Disabled": False}
    if kind in PORTS:
        defaults |= {
            "RequestInterval": 30,
            "FailureThreshold": 3,
            "MeasureLatency": False,
            "EnableSNI": kind.startswith("HTTPS"),
        }
        if port := PORTS[kind]:
            defaults["Port"] = port
    return defaults | dict(requested)


def _check(call: Call, config: Mapping[str, Any]) -> None:
    """Refuse a configuration that Route 53 would refuse.

    Raises:
        ServiceError: The first problem.
    """
    kind = config["Type"]
    if kind in PORTS:
        _check_endpoint(config)
    elif kind == CALCULATED:
        _check_calculated(call, config)
    elif kind == ON_ALARM:
        _check_alarm(call, config)
    else:
        raise _invalid(f"the twin has no health checks of type {kind}")


def _check_endpoint(config: Mapping[str, Any]) -> None:
    kind = config["Type"]
    if not config.get("IPAddress") and not config.get("FullyQualifiedDomainName"):
        raise _invalid("IPAddress or FullyQualifiedDomainName must be specified")
    if "Port" not in config:
        raise _invalid(f"Port is required for health checks of type {kind}")
    if kind == "TCP" and "ResourcePath" in config:
        raise _invalid("ResourcePath must not be specified for health checks of type TCP")
    if kind.endswith("_STR_MATCH") != bool(config.get("SearchString")):
        raise _invalid("SearchString belongs to the types that match a string, and only to them")
    if config["RequestInterval"] not in {10, 30}:
        raise _invalid("RequestInterval must be 10 or 30")
    if not 1 <= config["FailureThreshold"] <= 10:
        raise _invalid("FailureThreshold must be between 1 and 10")
    regions = config.get("Regions", CHECKERS)
    if len(regions) < 3 or not set(regions) <= set(CHECKERS):
        raise _invalid(f"Regions must be at least three of {', '.join(CHECKERS)}")
    if foreign := {"ChildHealthChecks", "HealthThreshold", "AlarmIdentifier"} & set(config):
        raise _invalid(f"{min(foreign)} must not be specified for type {kind}")


def _check_calculated(call: Call, config: Mapping[str, Any]) -> None:
    for key in ("ChildHealthChecks", "HealthThreshold"):
        if key not in config:
            raise _invalid(f"{key} is required for health checks of type {CALCULATED}")
    checks = health_checks(call.twin)
    for child in config["ChildHealthChecks"]:
        if child not in checks:
            raise _invalid(f"child health check {child} does not exist")


def _check_alarm(call: Call, config: Mapping[str, Any]) -> None:
    for key in ("AlarmIdentifier", "InsufficientDataHealthStatus"):
        if key not in config:
            raise _invalid(f"{key} is required for health checks of type {ON_ALARM}")
    region, name = config["AlarmIdentifier"]["Region"], config["AlarmIdentifier"]["Name"]
    alarm = find_alarm(call.twin, region, name)
    if alarm is None:
        raise _invalid(f"alarm {name} in {region} does not exist")
    settings = alarm.settings
    if alarm.kind != METRIC or "MetricName" not in settings:
        raise _invalid(f"alarm {name} watches no single metric; Route 53 follows no other")
    if settings.get("Statistic") not in FOLLOWED_STATISTICS:
        raise _invalid(f"alarm {name} has an extended statistic; Route 53 follows none")
    if settings["Period"] < 60:
        raise _invalid(f"alarm {name} watches a high-resolution metric; Route 53 follows none")
    periods = settings["EvaluationPeriods"]
    if settings.get("DatapointsToAlarm", periods) != periods:
        raise _invalid(f'alarm {name} is an "M out of N" alarm; Route 53 follows none')


@operation(SERVICE, "UpdateHealthCheck")
def update_health_check(call: Call) -> Mapping[str, Any]:
    """Change some settings of a health check, unless somebody else did meanwhile."""
    params = dict(call.params)
    check = _get(call, params.pop("HealthCheckId"))
    if params.pop("HealthCheckVersion", check.version) != check.version:
        raise ServiceError("HealthCheckVersionMismatch", f"The current version is {check.version}")
    kept = dict(check.config)
    for name in params.pop("ResetElements", ()):
        kept.pop(name, None)
    config = kept | params
    _check(call, config)
    check.config, check.version = config, check.version + 1
    return {"HealthCheck": _described(call, check)}


@operation(SERVICE, "GetHealthCheck")
def get_health_check(call: Call) -> Mapping[str, Any]:
    """Show a health check."""
    return {"HealthCheck": _described(call, _get(call, call.params["HealthCheckId"]))}


@operation(SERVICE, "ListHealthChecks")
def list_health_checks(call: Call) -> Mapping[str, Any]:
    """List health checks in pages."""
    checks = sorted(health_checks(call.twin).values(), key=lambda check: (check.created, check.id))
    ids = [check.id for check in checks]
    marker, limit = call.params.get("Marker", ""), int(call.params.get("MaxItems") or PAGE)
    if marker and marker not in ids:
        raise ServiceError("InvalidInput", f"The marker {marker} is not valid")
    start = ids.index(marker) if marker else 0
    page = checks[start : start + limit]
    more = ids[start + limit : start + limit + 1]
    return {
        "HealthChecks": [_described(call, check) for check in page],
        "Marker": marker,
        "MaxItems": str(limit),
        "IsTruncated": bool(more),
        **({"NextMarker": more[0]} if more else {}),
    }


@operation(SERVICE, "GetHealthCheckCount")
def get_health_check_count(call: Call) -> Mapping[str, Any]:
    """Count the account's health checks."""
    return {"HealthCheckCount": len(health_checks(call.twin))}


@operation(SERVICE, "DeleteHealthCheck")
def delete_health_check(call: Call) -> None:
    """Delete a health check, even one that records and other checks name."""
    check = _get(call, call.params["HealthCheckId"])
    del health_checks(call.twin)[check.id]
    route53_backends[call.account]["aws"].resource_tags.pop(check.id, None)


@operation(SERVICE, "GetHealthCheckStatus")
def get_health_check_status(call: Call) -> Mapping[str, Any]:
    """Tell what each checker sees; of a calculated check there is nothing to see."""
    check = _get(call, call.params["HealthCheckId"])
    if check.config["Type"] == CALCULATED:
        raise ServiceError(
            "InvalidInput", f"{check.id} is a calculated health check: it has no checkers"
        )
    return {"HealthCheckObservations": observations(call.twin, check)}


def _get(call: Call, id_: str) -> HealthCheck:
    check = health_checks(call.twin).get(id_)
    if check is None:
        raise ServiceError("NoSuchHealthCheck", f"No health check exists with ID: {id_}")
    return check


def _described(call: Call, check: HealthCheck) -> dict[str, Any]:
    found = {
        "Id": check.id,
        "CallerReference": check.reference,
        "HealthCheckConfig": check.config,
        "HealthCheckVersion": check.version,
    }
    if identifier := check.config.get("AlarmIdentifier"):
        alarm = find_alarm(call.twin, identifier["Region"], identifier["Name"])
        if alarm:
            found["CloudWatchAlarmConfiguration"] = _followed(alarm)
    return found


def _followed(alarm: Alarm) -> dict[str, Any]:
    keys = (
        "EvaluationPeriods",
        "Threshold",
        "ComparisonOperator",
        "Period",
        "MetricName",
        "Namespace",
        "Statistic",
    )
    dimensions = alarm.settings.get("Dimensions", [])
    return {key: alarm.settings[key] for key in keys} | {"Dimensions": dimensions}
