"""DNS: whether a health check is healthy, and what its checkers see.

This is the one place that knows. Today it asks the control plane at the moment of the question:
the load balancer that an endpoint's name leads to, or the state of an alarm. Whoever makes the
checks run (on a clock, against processes) replaces `_seen` and `_alarm_is_healthy`, and nothing
else.

Source: Route 53 developer guide, "How Amazon Route 53 determines whether a health check is
healthy"; API reference, HealthCheckConfig.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from standby.twin.services.monitoring_alarms import ALARM, NO_DATA, find_alarm

if TYPE_CHECKING:
    from standby.twin.twin import Twin

GLOBAL = "us-east-1"
"""The region that holds the state of services which have one for all regions."""
CALCULATED, ON_ALARM = "CALCULATED", "CLOUDWATCH_METRIC"
CHECKERS: Mapping[str, tuple[str, str]] = {
    "us-east-1": ("54.243.31.245", "107.23.255.54"),
    "us-west-1": ("54.183.255.182", "54.241.32.118"),
    "us-west-2": ("54.244.52.246", "54.245.168.54"),
    "eu-west-1": ("54.228.16.54", "176.34.159.246"),
    "ap-southeast-1": ("54.251.31.182", "54.255.254.246"),
    "ap-southeast-2": ("54.252.79.182", "54.252.254.246"),
    "ap-northeast-1": ("54.248.220.54", "54.250.253.246"),
    "sa-east-1": ("54.232.40.118", "177.71.207.182"),
}
"""Where checkers are, and addresses of two of each place: one of each range that AWS publishes
for them (ip-ranges.json, ROUTE53_HEALTHCHECKS)."""
NO_CONNECTION = (
    "Failure: The health checker could not establish a connection within the timeout limit."
)
_BALANCER = re.compile(
    r"(?:dualstack\.)?(?P<name>.+?)\.(?:elb\.(?P<network>[a-z0-9-]+)|(?P<region>[a-z0-9-]+)\.elb)"
    r"\.amazonaws\.com\.?$",
    re.IGNORECASE,
)


@dataclass
class HealthCheck:
    """One health check.

    Attributes:
        requested: The configuration as its creator wrote it.
        config: The configuration in force, what Route 53 takes for granted included.
    """

    id: str
    reference: str
    requested: Mapping[str, Any]
    config: Mapping[str, Any]
    version: int = 1
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


class HealthChecks(dict[str, HealthCheck]):
    """The account's health checks, by id."""


def health_checks(twin: "Twin") -> HealthChecks:
    """Give the account's health checks."""
    return twin.store(HealthChecks, GLOBAL)


def is_healthy(twin: "Twin", check: HealthCheck, asking: frozenset[str] = frozenset()) -> bool:
    """Say whether Route 53 considers a health check healthy.

    Args:
        twin: The twin that has the check.
        check: The check.
        asking: Ids of the calculated checks that ask: one that counts itself is no help.
    """
    config, kind = check.config, check.config["Type"]
    if config["Disabled"]:
        healthy = True
    elif kind == CALCULATED:
        found = [health_checks(twin).get(id_) for id_ in config["ChildHealthChecks"]]
        around = asking | {check.id}
        good = sum(
            is_healthy(twin, child, around) for child in found if child and child.id not in around
        )
        healthy = good >= config["HealthThreshold"]
    elif kind == ON_ALARM:
        healthy = _alarm_is_healthy(twin, check)
    else:
        healthy = _seen(twin, config).startswith("Success")
    return bool(healthy != config["Inverted"])


def observations(twin: "Twin", check: HealthCheck) -> list[dict[str, Any]]:
    """Tell what each checker of a health check sees, before any inversion.

    A disabled check has no checkers.
    """
    if check.config["Disabled"]:
        return []
    if check.config["Type"] == ON_ALARM:
        healthy = _alarm_is_healthy(twin, check)
        name = check.config["AlarmIdentifier"]["Name"]
        status = f"{'Success' if healthy else 'Failure'}: by alarm {name}"
    else:
        status = _seen(twin, check.config)
    report = {"Status": status, "CheckedTime": datetime.now(UTC)}
    return [
        {"Region": region, "IPAddress": address, "StatusReport": report}
        for region in check.config.get("Regions", CHECKERS)
        for address in CHECKERS[region]
    ]


def balancer_region(name: str) -> str | None:
    """Give the region in which a name is a load balancer's, or None."""
    match = _BALANCER.match(name)
    return (match["region"] or match["network"]).lower() if match else None


def find_balancer(twin: "Twin", name: str) -> Mapping[str, Any] | None:
    """Describe the load balancer that a DNS name leads to, or give None."""
    region = balancer_region(name)
    if region is None:
        return None
    wanted = name.lower().rstrip(".").removeprefix("dualstack.")
    pages = twin.client("elbv2", region).get_paginator("describe_load_balancers").paginate()
    for page in pages:
        for balancer in page["LoadBalancers"]:
            if balancer["DNSName"].lower() == wanted:
                found: Mapping[str, Any] = balancer
                return found
    return None


def _alarm_is_healthy(twin: "Twin", check: HealthCheck) -> bool:
    """Read an alarm; without data, the check's own setting decides."""
    identifier = check.config["AlarmIdentifier"]
    alarm = find_alarm(twin, identifier["Region"], identifier["Name"])
    state = alarm.state if alarm else NO_DATA
    if state != NO_DATA:
        return state != ALARM
    fallback = check.config["InsufficientDataHealthStatus"]
    if fallback != "LastKnownStatus":
        return bool(fallback == "Healthy")
    known = alarm.known if alarm else None
    return known is None or known[1] < check.created or known[0] != ALARM


def _seen(twin: "Twin", config: Mapping[str, Any]) -> str:
    """Tell what a checker sees at an endpoint."""
    name = config.get("FullyQualifiedDomainName", "")
    if "IPAddress" in config:
        return NO_CONNECTION  # no address of the twin can be reached from the internet
    balancer = find_balancer(twin, name)
    if balancer is None:
        return f"Failure: DNS resolution failed: Name or service not known: {name}"
    if balancer["State"]["Code"] != "active" or balancer["Scheme"] != "internet-facing":
        return NO_CONNECTION
    elb = twin.client("elbv2", str(balancer_region(name)))
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    for listener in listeners:
        if listener["Port"] == config["Port"]:
            return _answered(elb, listener["DefaultActions"], tcp=config["Type"] == "TCP")
    return NO_CONNECTION


def _answered(elb: Any, actions: list[Mapping[str, Any]], *, tcp: bool) -> str:
    """Tell what a listener's default action answers.

    Args:
        elb: A client of the load balancer's region.
        actions: The listener's actions; the last one answers.
        tcp: Whether a connection is all that is wanted.
    """
    if tcp:
        return "Success: Connection established"
    action = max(actions, key=lambda each: each.get("Order", 0))
    if action["Type"] == "redirect":
        return _http(int(action["RedirectConfig"]["StatusCode"].removeprefix("HTTP_")))
    if action["Type"] == "fixed-response":
        return _http(int(action["FixedResponseConfig"]["StatusCode"]))
    groups = [g["TargetGroupArn"] for g in action.get("ForwardConfig", {}).get("TargetGroups", ())]
    for group in groups or [action["TargetGroupArn"]]:
        try:
            targets = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        except ClientError:
            continue
        if any(target["TargetHealth"]["State"] == "healthy" for target in targets):
            return _http(200)
    return _http(503)


def _http(code: int) -> str:
    verdict = "Success" if 200 <= code < 400 else "Failure"
    return f"{verdict}: HTTP Status Code {code}"
