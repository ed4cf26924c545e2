"""DNS: the health checks that decide which region answers, and the names it answers for."""

from typing import Any

from standby.verify.outputs import Outputs, Side
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.probes.compute import HEALTH_PATH, load_balancer
from standby.verify.site import Site, only

SLOWEST_DETECTION_SECONDS = 90
HEALTHY_SHARE = 0.18
"""More than 18% of the checkers make an endpoint healthy (Route 53 developer guide)."""
_PORTS = {("HTTP", 80), ("HTTPS", 443)}
_IN_FORCE = {"Disabled": False, "Inverted": False}
"""Of every check: one that is disabled counts as healthy, whatever there is to see."""


def with_domain(outputs: Outputs) -> bool:
    """Tell whether the application has a name of its own."""
    return outputs.has_domain


def without_domain(outputs: Outputs) -> bool:
    """Tell whether the application is reached by the load balancers' names."""
    return not outputs.has_domain


def with_own_zone(outputs: Outputs) -> bool:
    """Tell whether the deployment created the hosted zone itself."""
    return any(outputs.get(side, "NameServers") for side in Side)


@probe("dns.endpoint-check")
def endpoint_check(site: Site) -> Verdict:
    """Route 53 asks this side's load balancer for its health, often enough to notice soon."""
    config = _config(site, _endpoint_check_id(site))
    detection = config["RequestInterval"] * config["FailureThreshold"]
    seen = config | {
        "target": f"{config['Type']} {config['FullyQualifiedDomainName']}",
        "path": config["ResourcePath"],
        "notices": "in time" if detection <= SLOWEST_DETECTION_SECONDS else f"after {detection} s",
    }
    verdict = expect_fields(
        seen,
        target=f"{config['Type']} {site.output('LoadBalancerDns')}",
        path=HEALTH_PATH,
        notices="in time",
        **_IN_FORCE,
    )
    ok = verdict.ok and (config["Type"], config["Port"]) in _PORTS
    return expect(ok, verdict.expected, f"{verdict.seen} ({detection} s)")


@probe("dns.endpoint-healthy")
def endpoint_healthy(site: Site) -> Verdict:
    """Route 53's checkers reach this side."""
    answer = site.ask("route53:GetHealthCheckStatus", HealthCheckId=_endpoint_check_id(site))
    states = [each["StatusReport"]["Status"] for each in answer["HealthCheckObservations"]]
    bad = [state for state in states if not state.startswith("Success")]
    good = len(states) - len(bad)
    return expect(
        good > HEALTHY_SHARE * len(states),
        f"success from more than {HEALTHY_SHARE:.0%} of the checkers",
        f"success from {good} of {len(states)}" + (f": {bad[0]}" if bad else ""),
    )


@probe("dns.failover-check", Side.STANDBY)
def failover_check(site: Site) -> Verdict:
    """The primary counts as healthy only while its endpoint answers and the latch is closed."""
    config = _config(site, site.output("FailoverHealthCheckId"))
    children = [site.output("PrimaryHealthCheckId"), site.output("FailoverLatchHealthCheckId")]
    seen = config | {"ChildHealthChecks": sorted(config.get("ChildHealthChecks", []))}
    return expect_fields(
        seen,
        Type="CALCULATED",
        ChildHealthChecks=sorted(children),
        HealthThreshold=2,
        **_IN_FORCE,
    )


@probe("dns.latch", Side.STANDBY)
def latch(site: Site) -> Verdict:
    """The failover latch follows an alarm of the standby region, and holds when that is silent."""
    config = _config(site, site.output("FailoverLatchHealthCheckId"))
    alarm = config.get("AlarmIdentifier", {})
    names = [alarm["Name"]] if alarm else []
    found = site.ask("cloudwatch:DescribeAlarms", AlarmNames=names)["MetricAlarms"] if names else []
    seen = config | {
        "Region": alarm.get("Region"),
        "TreatMissingData": found[0].get("TreatMissingData") if found else "no such alarm",
    }
    return expect_fields(
        seen,
        Type="CLOUDWATCH_METRIC",
        InsufficientDataHealthStatus="LastKnownStatus",
        Region=site.region,
        TreatMissingData="ignore",
        **_IN_FORCE,
    )


@probe("dns.alb-urls", when=without_domain)
def alb_urls(site: Site) -> Verdict:
    """Without a domain, each region has an address of its own, and it is its load balancer's."""
    url = _dns_output(site, f"{site.side.capitalize()}AlbUrl")
    wanted = f"http://{load_balancer(site)['DNSName']}"
    return expect(url == wanted, wanted, url)


@probe("dns.failover-pair", Side.STANDBY, when=with_domain)
def failover_pair(site: Site) -> Verdict:
    """The application's name has a PRIMARY and a SECONDARY record, each for its own region.

    SECONDARY carries no check: were both records unhealthy, Route 53 would answer PRIMARY.
    """
    name = site.output("ApplicationUrl").partition("://")[2]
    records = _failover_records(site, name)
    faults = [f"there is no {role}" for role in ("PRIMARY", "SECONDARY") if role not in records]
    check = site.output("FailoverHealthCheckId")
    for role, side in (("PRIMARY", site.other), ("SECONDARY", site)):
        record = records.get(role, {})
        alias = record.get("AliasTarget", {})
        target = alias.get("DNSName", "").rstrip(".").removeprefix("dualstack.").lower()
        if record and target != side.output("LoadBalancerDns").lower():
            faults.append(f"{role} leads to {target or 'no load balancer'}")
        if record and not alias.get("EvaluateTargetHealth"):
            faults.append(f"{role} does not evaluate its target's health")
        wanted = check if role == "PRIMARY" else "none"
        if record and (seen := record.get("HealthCheckId", "none")) != wanted:
            faults.append(f"{role} has health check {seen}")
    return expect_faultless(
        f"{name}: PRIMARY by check {check}, SECONDARY by its target", records, faults
    )


@probe("dns.accelerated-recovery", Side.STANDBY, when=with_own_zone)
def accelerated_recovery(site: Site) -> Verdict:
    """Changes to the zone are possible again soon after us-east-1 is impaired."""
    kind = "AWS::Route53::HostedZone"
    zone = only([*site.resources(kind), *site.other.resources(kind)], "hosted zone")
    found = site.ask("route53:GetHostedZone", Id=zone)["HostedZone"]
    return expect_fields(found.get("Features", {}), AcceleratedRecoveryStatus="ENABLED")


def _endpoint_check_id(site: Site) -> str:
    return _dns_output(site, f"{site.side.capitalize()}HealthCheckId")


def _dns_output(site: Site, key: str) -> str:
    """Give an output of the DNS stack, which is in the standby region for both sides."""
    return (site if site.side is Side.STANDBY else site.other).output(key)


def _config(site: Site, check: str) -> dict[str, Any]:
    answer = site.ask("route53:GetHealthCheck", HealthCheckId=check)
    return {**_IN_FORCE, **answer["HealthCheck"]["HealthCheckConfig"]}


def _failover_records(site: Site, name: str) -> dict[str, dict[str, Any]]:
    """Give the failover records of a name by their role, from the public zone that holds it."""
    zones = [
        zone["Id"]
        for zone in site.ask("route53:ListHostedZones")["HostedZones"]
        if f".{name}.".endswith(f".{zone['Name']}")
        and not zone.get("Config", {}).get("PrivateZone", False)
    ]
    return {
        record["Failover"]: record
        for zone in zones
        for record in site.ask("route53:ListResourceRecordSets", HostedZoneId=zone)[
            "ResourceRecordSets"
        ]
        if record["Name"] == f"{name}." and "Failover" in record
    }
