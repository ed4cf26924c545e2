"""DNS: checks that see nothing or count too little, and names that lead one way only."""

from typing import Any

from breakages import Place, Steps, breaks
from standby.verify.probes.dns import _failover_records


def _check(here: Place, output: str, heard: str, **changes: tuple[Any, Any]) -> Steps:
    """Change a health check, for a while; each change is what it will be, and was."""
    for version in (0, 1):
        values = {key: pair[version] for key, pair in changes.items()}
        here.call("route53:UpdateHealthCheck", HealthCheckId=here.output(output), **values)
        if version == 0:
            yield heard


@breaks("dns.endpoint-check")
def the_check_asks_for_something_else(here: Place) -> Steps:
    yield from _check(here, "StandbyHealthCheckId", "path /,", ResourcePath=("/", "/health"))


@breaks("dns.endpoint-check")
def the_check_is_slow_to_notice(here: Place) -> Steps:
    config = here.call("route53:GetHealthCheck", HealthCheckId=here.output("StandbyHealthCheckId"))
    failures = config["HealthCheck"]["HealthCheckConfig"]["FailureThreshold"]
    yield from _check(
        here, "StandbyHealthCheckId", "notices after 100 s", FailureThreshold=(10, failures)
    )


@breaks("dns.endpoint-check")
def the_check_is_switched_off(here: Place) -> Steps:
    yield from _check(here, "StandbyHealthCheckId", "Disabled True", Disabled=(True, False))


@breaks("dns.endpoint-check")
def the_check_says_the_opposite(here: Place) -> Steps:
    yield from _check(here, "StandbyHealthCheckId", "Inverted True", Inverted=(True, False))


@breaks("dns.endpoint-healthy")
def the_checkers_reach_nothing(here: Place) -> Steps:
    yield from _check(
        here,
        "StandbyHealthCheckId",
        "success from 0 of 16: Failure: DNS resolution failed",
        FullyQualifiedDomainName=("gone.example.org", here.output("LoadBalancerDns")),
    )


@breaks("dns.failover-check")
def one_healthy_child_is_enough(here: Place) -> Steps:
    yield from _check(here, "FailoverHealthCheckId", "HealthThreshold 1", HealthThreshold=(1, 2))


@breaks("dns.failover-check")
def the_latch_does_not_count(here: Place) -> Steps:
    primary = here.output("PrimaryHealthCheckId")
    both = [primary, here.output("FailoverLatchHealthCheckId")]
    heard = f"ChildHealthChecks {primary}, HealthThreshold"
    yield from _check(here, "FailoverHealthCheckId", heard, ChildHealthChecks=([primary], both))


@breaks("dns.failover-check")
def the_calculation_is_switched_off(here: Place) -> Steps:
    yield from _check(here, "FailoverHealthCheckId", "Disabled True", Disabled=(True, False))


@breaks("dns.latch")
def silence_closes_the_latch(here: Place) -> Steps:
    yield from _check(
        here,
        "FailoverLatchHealthCheckId",
        "InsufficientDataHealthStatus Healthy",
        InsufficientDataHealthStatus=("Healthy", "LastKnownStatus"),
    )


@breaks("dns.latch")
def the_latch_follows_an_alarm_that_is_gone(here: Place) -> Steps:
    name = f"{here.root}-failover-latch"
    (alarm,) = here.call("cloudwatch:DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    here.call("cloudwatch:DeleteAlarms", AlarmNames=[name])
    yield "TreatMissingData no such alarm"
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm))


@breaks("dns.latch")
def the_latch_is_switched_off(here: Place) -> Steps:
    yield from _check(here, "FailoverLatchHealthCheckId", "Disabled True", Disabled=(True, False))


def settings_of(alarm: dict[str, Any]) -> dict[str, Any]:
    """Give what an alarm was put with."""
    states = ("State", "AlarmArn", "AlarmConfiguration")
    return {key: value for key, value in alarm.items() if not key.startswith(states)}


@breaks("dns.failover-pair")
def there_is_no_second_answer(here: Place) -> Steps:
    zone, records = _records(here)
    _change(here, zone, "DELETE", records["SECONDARY"])
    yield "there is no SECONDARY"
    _change(here, zone, "UPSERT", records["SECONDARY"])


@breaks("dns.failover-pair")
def the_primary_is_answered_whatever_its_health(here: Place) -> Steps:
    zone, records = _records(here)
    unchecked = {k: v for k, v in records["PRIMARY"].items() if k != "HealthCheckId"}
    yield from _upserted(here, zone, records["PRIMARY"], unchecked, "PRIMARY has health check none")


@breaks("dns.failover-pair")
def both_lead_to_the_primary(here: Place) -> Steps:
    zone, records = _records(here)
    alias = records["PRIMARY"]["AliasTarget"]
    wrong = records["SECONDARY"] | {"AliasTarget": alias}
    heard = f"SECONDARY leads to {here.other.output('LoadBalancerDns')}"
    yield from _upserted(here, zone, records["SECONDARY"], wrong, heard)


@breaks("dns.failover-pair")
def the_targets_health_does_not_count(here: Place) -> Steps:
    zone, records = _records(here)
    alias = records["SECONDARY"]["AliasTarget"] | {"EvaluateTargetHealth": False}
    wrong = records["SECONDARY"] | {"AliasTarget": alias}
    heard = "SECONDARY does not evaluate its target's health"
    yield from _upserted(here, zone, records["SECONDARY"], wrong, heard)


@breaks("dns.failover-pair")
def the_second_answer_can_fail_with_the_first(here: Place) -> Steps:
    zone, records = _records(here)
    check = here.output("StandbyHealthCheckId")
    wrong = records["SECONDARY"] | {"HealthCheckId": check}
    heard = f"SECONDARY has health check {check}"
    yield from _upserted(here, zone, records["SECONDARY"], wrong, heard)


def _records(here: Place) -> tuple[str, dict[str, Any]]:
    name = here.output("ApplicationUrl").partition("://")[2]
    zones = here.call("route53:ListHostedZones")["HostedZones"]
    return zones[0]["Id"], _failover_records(here.site, name)


def _upserted(here: Place, zone: str, good: Any, bad: Any, heard: str) -> Steps:
    for record in (bad, good):
        _change(here, zone, "UPSERT", record)
        if record is bad:
            yield heard


def _change(here: Place, zone: str, action: str, record: Any) -> None:
    change = {"Action": action, "ResourceRecordSet": record}
    here.call(
        "route53:ChangeResourceRecordSets", HostedZoneId=zone, ChangeBatch={"Changes": [change]}
    )


@breaks("dns.accelerated-recovery")
def the_zone_waits_for_us_east_1(here: Place) -> Steps:
    zone, _ = _records(here)
    for on in (False, True):
        here.call(
            "route53:UpdateHostedZoneFeatures",
            HostedZoneId=zone,
            EnableAcceleratedRecovery=on,
        )
        if not on:
            yield "AcceleratedRecoveryStatus DISABLED"
