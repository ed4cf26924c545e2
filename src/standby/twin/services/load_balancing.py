"""Elastic Load Balancing beyond moto: the health of targets, and what deletions demand.

Source: Elastic Load Balancing API reference, DescribeTargetHealth and TargetHealth; user guide
of Application Load Balancers, "Health checks" (a new target must pass one check, one that was
unhealthy as many as the threshold says).
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from standby.twin.boot import Machines
from standby.twin.operations import Call, ServiceError, operation

SERVICE = "elbv2"
ZONES = {
    "af-south-1": "Z268VQBMOI5EKX",
    "ap-east-1": "Z3DQVH9N71FHZ0",
    "ap-northeast-1": "Z14GRHDCWA56QT",
    "ap-northeast-2": "ZWKZPGTI48KDX",
    "ap-northeast-3": "Z5LXEXXYW11ES",
    "ap-south-1": "ZP97RAFLXTNZK",
    "ap-south-2": "Z0173938T07WNTVAEPZN",
    "ap-southeast-1": "Z1LMS91P8CMLE5",
    "ap-southeast-2": "Z1GM3OXH4ZPM65",
    "ap-southeast-3": "Z08888821HLRG5A9ZRTER",
    "ap-southeast-4": "Z09517862IB2WZLPXG76F",
    "ca-central-1": "ZQSVJUPU6J1EY",
    "ca-west-1": "Z06473681N0SF6OS049SD",
    "eu-central-1": "Z215JYRZR1TBD5",
    "eu-central-2": "Z06391101F2ZOEP8P5EB3",
    "eu-north-1": "Z23TAZ6LKFMNIO",
    "eu-south-1": "Z3ULH7SSC9OV64",
    "eu-south-2": "Z0956581394HF5D5LXGAP",
    "eu-west-1": "Z32O12XQLNTSW2",
    "eu-west-2": "ZHURV8PSTC4K8",
    "eu-west-3": "Z3Q77PNBQS71R4",
    "il-central-1": "Z09170902867EHPV2DABU",
    "me-central-1": "Z08230872XQRWHG2XF6I",
    "me-south-1": "ZS929ML54UICD",
    "sa-east-1": "Z2P70J7HTTTPLU",
    "us-east-1": "Z35SXDOTRQ7X7K",
    "us-east-2": "Z3AADJGX6KTTL2",
    "us-west-1": "Z368ELLRRE2KJ0",
    "us-west-2": "Z1H1FL5HABSF5",
}
"""The zone in which a region's Application Load Balancers have their names (AWS General
Reference, "Elastic Load Balancing endpoints and quotas")."""
FIXED = {"load_balancing.cross_zone.enabled": "true"}
"""What an Application Load Balancer cannot change."""
ATTRIBUTES = {
    "access_logs.s3.bucket": "",
    "access_logs.s3.enabled": "false",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
"""What the attributes of an Application Load Balancer are until they are set."""
Health = tuple[str, str | None, str | None]
"""State, reason and description."""
HEALTHY: Health = ("healthy", None, None)


@dataclass
class Targets:
    """When each target of a region came and went, by target group and id."""

    since: dict[tuple[str, str], float] = field(default_factory=dict)
    draining: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)


@operation(SERVICE, "RegisterTargets")
def register_targets(call: Call) -> None:
    """Register targets; their health checks begin."""
    call.moto()
    targets, arn = call.store(Targets), call.params["TargetGroupArn"]
    for target in call.params["Targets"]:
        targets.draining.pop((arn, target["Id"]), None)
        targets.since.setdefault((arn, target["Id"]), time.monotonic())


@operation(SERVICE, "DeregisterTargets")
def deregister_targets(call: Call) -> None:
    """Deregister targets, which drain for as long as the target group says."""
    arn, targets = call.params["TargetGroupArn"], call.store(Targets)
    elb = call.twin.client(SERVICE, call.region)
    attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    values = {each["Key"]: each["Value"] for each in attributes}
    delay = float(values["deregistration_delay.timeout_seconds"]) / call.twin.speed
    port = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0].get("Port", 0)
    call.moto()
    for target in call.params["Targets"]:
        if targets.since.pop((arn, target["Id"]), None) is not None:
            end = time.monotonic() + delay
            targets.draining[arn, target["Id"]] = (target.get("Port", port), end)


@operation(SERVICE, "DescribeTargetHealth")
def describe_target_health(call: Call) -> Mapping[str, Any]:
    """Tell how each target does: from its registration, its boot and the group's checks."""
    answer, arn, now = call.moto(), call.params["TargetGroupArn"], time.monotonic()
    targets = call.store(Targets)
    group = call.twin.client(SERVICE, call.region).describe_target_groups(TargetGroupArns=[arn])
    checks = Checks.of(group["TargetGroups"][0], call.twin.speed)
    for each in answer["TargetHealthDescriptions"]:
        id_ = each["Target"]["Id"]
        each["HealthCheckPort"] = checks.port or str(each["Target"]["Port"])
        since = targets.since.get((arn, id_))
        if since is not None and each["TargetHealth"].get("Reason") != "Target.InvalidState":
            each["TargetHealth"] = _described(
                checks.health(now, since, call.store(Machines).serving_since(id_))
            )
    wanted = {target["Id"] for target in call.params.get("Targets", ())}
    for (owner, id_), (port, end) in list(targets.draining.items()):
        if now >= end:
            del targets.draining[owner, id_]
        elif owner == arn and (not wanted or id_ in wanted):
            answer["TargetHealthDescriptions"] = [
                *(d for d in answer["TargetHealthDescriptions"] if d["Target"]["Id"] != id_),
                {
                    "Target": {"Id": id_, "Port": port},
                    "HealthCheckPort": checks.port or str(port),
                    "TargetHealth": _described(
                        (
                            "draining",
                            "Target.DeregistrationInProgress",
                            "Target deregistration is in progress",
                        )
                    ),
                },
            ]
    return answer


def _described(health: Health) -> dict[str, str]:
    keys = ("State", "Reason", "Description")
    return {key: value for key, value in zip(keys, health, strict=True) if value}


@dataclass(frozen=True)
class Checks:
    """A target group's health checks, with their times on the twin's clock.

    Attributes:
        port: Where targets are asked; empty for the port that they serve on.
    """

    in_use: bool
    enabled: bool
    port: str
    interval: float
    healthy_after: int
    unhealthy_after: int

    @classmethod
    def of(cls, group: Mapping[str, Any], speed: float) -> "Checks":
        """Read them from a target group's description."""
        port = str(group.get("HealthCheckPort", "traffic-port"))
        return cls(
            in_use=bool(group.get("LoadBalancerArns")),
            enabled=group.get("HealthCheckEnabled", True),
            port="" if port == "traffic-port" else port,
            interval=group["HealthCheckIntervalSeconds"] / speed,
            healthy_after=group["HealthyThresholdCount"],
            unhealthy_after=group["UnhealthyThresholdCount"],
        )

    def health(self, now: float, since: float, serving: float | None) -> Health:
        """Give the health at a moment of a target that is checked ``since`` another.

        Args:
            now: The moment.
            since: When it was registered; the first check comes at once.
            serving: Since when it answers, or None.
        """
        if not self.in_use:
            reason = "Target group is not configured to receive traffic from the load balancer"
            return "unused", "Target.NotInUse", reason
        if not self.enabled:
            return "unavailable", "Target.HealthCheckDisabled", "Health checks are disabled"
        done = math.floor((now - since) / self.interval) + 1
        failed = done
        if serving is not None:
            failed = min(done, max(0, math.ceil((serving - since) / self.interval)))
        given_up = failed >= self.unhealthy_after
        if done - failed >= (self.healthy_after if given_up else 1):
            return HEALTHY
        if given_up:
            return "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
        return "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"


@operation(SERVICE, "CreateLoadBalancer")
def create_load_balancer(call: Call) -> Mapping[str, Any]:
    """Create a load balancer; no two of a region have the same name."""
    names = {"Names": [call.params["Name"]]}
    try:
        call.twin.client(SERVICE, call.region).describe_load_balancers(**names)
    except ClientError:
        return _in_its_zone(call, call.moto())
    message = f"A load balancer with the same name '{call.params['Name']}' exists"
    raise ServiceError("DuplicateLoadBalancerName", message)


@operation(SERVICE, "DescribeLoadBalancers")
def describe_load_balancers(call: Call) -> Mapping[str, Any]:
    """Describe load balancers with the zone that their names are in."""
    return _in_its_zone(call, call.moto())


def _in_its_zone(call: Call, answer: dict[str, Any]) -> dict[str, Any]:
    for balancer in answer["LoadBalancers"]:
        if balancer["Type"] == "application":
            if call.region not in ZONES:
                raise ServiceError(
                    "InternalFailure", f"the twin knows no load balancers' zone of {call.region}"
                )
            balancer["CanonicalHostedZoneId"] = ZONES[call.region]
    return answer


@operation(SERVICE, "DescribeLoadBalancerAttributes")
def describe_load_balancer_attributes(call: Call) -> Mapping[str, Any]:
    """Give every attribute, also those that are as they began; moto leaves most of these out."""
    answer = call.moto()
    given = {each["Key"]: each["Value"] for each in answer["Attributes"]}
    return {
        "Attributes": [
            {"Key": key, "Value": value} for key, value in (ATTRIBUTES | given | FIXED).items()
        ]
    }


@operation(SERVICE, "DeleteLoadBalancer")
def delete_load_balancer(call: Call) -> None:
    """Delete a load balancer unless it is protected; its target groups serve it no more."""
    elb, arn = call.twin.client(SERVICE, call.region), call.params["LoadBalancerArn"]
    try:
        attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    except ClientError:
        return  # the API takes what is gone as deleted
    if {"Key": "deletion_protection.enabled", "Value": "true"} in attributes:
        raise ServiceError(
            "OperationNotPermitted",
            f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
        )
    for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
        elb.delete_listener(ListenerArn=listener["ListenerArn"])
    call.moto()


@operation(SERVICE, "CreateListener")
def create_listener(call: Call) -> Mapping[str, Any]:
    """Create a listener, on a port that has none yet."""
    elb, port = call.twin.client(SERVICE, call.region), call.params.get("Port")
    balancer = {"LoadBalancerArn": call.params["LoadBalancerArn"]}
    if any(other.get("Port") == port for other in _listeners(elb, balancer)):
        raise ServiceError("DuplicateListener", f"A listener already exists on port {port}")
    return _own(call.moto())


@operation(SERVICE, "DescribeListeners")
def describe_listeners(call: Call) -> Mapping[str, Any]:
    """Describe listeners with what is theirs."""
    return _own(call.moto())


def _listeners(elb: Any, balancer: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = elb.describe_listeners(**balancer)["Listeners"]
    except ClientError:
        return []  # moto says what is wrong with the load balancer
    return found


def _own(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave a listener its default certificate, and its policy where it speaks TLS."""
    for listener in answer["Listeners"]:
        if not listener.get("AlpnPolicy"):
            listener.pop("AlpnPolicy", None)
        if listener.get("Protocol") in {"HTTPS", "TLS"}:
            listener["Certificates"] = listener.get("Certificates", [])[:1]
        else:
            listener.pop("SslPolicy", None)
            listener.pop("Certificates", None)
    return answer


@operation(SERVICE, "DescribeTargetGroups")
def describe_target_groups(call: Call) -> Mapping[str, Any]:
    """Describe target groups with the load balancers whose listeners and rules name them.

    moto adds a load balancer when a listener is made, again for each, and never takes it away.
    """
    params, users = call.params, _users(call)
    wanted = params.get("LoadBalancerArn")
    if wanted:
        if wanted not in {arn for arns in users.values() for arn in arns}:
            # moto knows whether it exists, and what to say if not
            call.twin.client(SERVICE, call.region).describe_listeners(LoadBalancerArn=wanted)
            return {"TargetGroups": []}
        arns = [arn for arn, balancers in users.items() if wanted in balancers]
        return dict(
            call.twin.client(SERVICE, call.region).describe_target_groups(TargetGroupArns=arns)
        )
    answer = call.moto()
    for group in answer["TargetGroups"]:
        group["LoadBalancerArns"] = users.get(group["TargetGroupArn"], [])
    return answer


def _users(call: Call) -> dict[str, list[str]]:
    """Give the load balancers that send to each target group, by default or by a rule."""
    elb, found = call.twin.client(SERVICE, call.region), dict[str, list[str]]()
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        arn = balancer["LoadBalancerArn"]
        for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
            actions = [action for rule in rules for action in rule["Actions"]]
            for group in _groups_of(actions):
                balancers = found.setdefault(group, [])
                if arn not in balancers:
                    balancers.append(arn)
    return found


def _groups_of(actions: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for action in actions:
        if "TargetGroupArn" in action:
            yield action["TargetGroupArn"]
        for group in action.get("ForwardConfig", {}).get("TargetGroups", ()):
            yield group["TargetGroupArn"]
