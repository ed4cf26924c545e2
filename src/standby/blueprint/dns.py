"""DNS: one name for the application, answered with the region that may write.

PRIMARY is healthy while its endpoint answers *and* the failover latch is closed. Without the latch
DNS would return to the old primary by itself as soon as that answered again, with a stale
database behind it. The latch is in the standby region and is moved by publishing one metric data
point, so failing over needs no Route 53 control plane (that lives in us-east-1) and nothing in
the region that is lost. docs/adr/0003 tells why it is built from these parts.
"""

from typing import Any

from aws_cdk import CfnOutput, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_sns as sns
from constructs import Construct

from standby.blueprint.instance import HEALTH_PATH
from standby.blueprint.monitoring import notify
from standby.settings import Settings

LATCH_METRIC = "FailoverLatch"
LATCH_OPEN, LATCH_CLOSED = 1, 0
"""What to publish to send traffic to the standby, and to let it return to the primary."""


def latch_namespace(settings: Settings) -> str:
    """Name the metric namespace that belongs to this environment's latch."""
    return f"Standby/{settings.environment_suffix}"


class DnsZoneStack(Stack):
    """The public zone of the domain, where none is given.

    It is a stack of its own since the certificates of both regions need the zone, and the records
    need the load balancers: in one stack with the records that would be a cycle.

    Attributes:
        zone: The zone.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, id, **kwargs)
        # Accelerated recovery restores the zone's control plane within 60 minutes when us-east-1
        # is impaired. Query logs are left out: Route 53 delivers them to us-east-1 only, and a
        # stack there would tie the deployment of both regions to a third one.
        self.zone = route53.PublicHostedZone(
            self,
            "Zone",
            zone_name=str(settings.domain_name),
            accelerated_recovery_enabled=True,
        )
        # It outlives its stack: Certificate Manager leaves its validation records behind, so that
        # CloudFormation cannot delete the zone, and another would have other name servers.
        self.zone.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        CfnOutput(self, "NameServers", value=Fn.join(" ", self.zone.hosted_zone_name_servers or []))


def application_zone(
    scope: Construct, settings: Settings, **kwargs: Any
) -> route53.IHostedZone | None:
    """Give the domain's public zone: the one of the settings, else a new one; None without domain.

    Args:
        scope: The root stack.
        settings: The configuration in force.
        **kwargs: ``env``, ``stack_name`` and the like of the stack of a new zone.
    """
    if settings.domain_name is None:
        return None
    if settings.hosted_zone_id is None:
        return DnsZoneStack(scope, "DnsZone", settings=settings, **kwargs).zone
    return route53.PublicHostedZone.from_public_hosted_zone_attributes(
        scope,
        "Zone",
        hosted_zone_id=settings.hosted_zone_id,
        zone_name=settings.domain_name,
    )


class DnsStack(Stack):
    """Health checks, the failover latch and, with a domain, the failover records.

    Attributes:
        primary_check: Watches the primary's endpoint.
        standby_check: Watches the standby's endpoint; for people, no record carries it.
        latch_check: Unhealthy while the failover latch is open.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        primary_load_balancer: elbv2.IApplicationLoadBalancer,
        standby_load_balancer: elbv2.IApplicationLoadBalancer,
        alarm_topic: sns.ITopic,
        zone: route53.IHostedZone | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._settings = settings
        self.primary_check = self._endpoint_check("Primary", primary_load_balancer)
        self.standby_check = self._endpoint_check("Standby", standby_load_balancer)
        self.latch_check = self._latch(alarm_topic)
        failover_check = self._failover_check()
        if zone is None:
            for side, balancer in (
                ("Primary", primary_load_balancer),
                ("Standby", standby_load_balancer),
            ):
                CfnOutput(
                    self,
                    f"{side}AlbUrl",
                    value=f"http://{balancer.load_balancer_dns_name}",
                )
        else:
            # SECONDARY carries no health check of its own: if both records were unhealthy,
            # Route 53 would answer PRIMARY, the one place that must not be answered.
            self._record("PRIMARY", zone, primary_load_balancer, failover_check)
            self._record("SECONDARY", zone, standby_load_balancer)
            CfnOutput(self, "ApplicationUrl", value=f"https://{settings.application_name}")
        for name, check in (
            ("PrimaryHealthCheckId", self.primary_check),
            ("StandbyHealthCheckId", self.standby_check),
            ("FailoverHealthCheckId", failover_check),
            ("FailoverLatchHealthCheckId", self.latch_check),
        ):
            CfnOutput(self, name, value=check.attr_health_check_id)

    def _endpoint_check(
        self, side: str, load_balancer: elbv2.IApplicationLoadBalancer
    ) -> route53.CfnHealthCheck:
        """Watch a region from outside, as its clients see it.

        Checkers of all regions take part (the default): with three, the least allowed, a fault
        between two places could pass for a fault of the application. An endpoint is healthy
        while more than 18% of them reach it.
        """
        https = self._settings.domain_name is not None
        return route53.CfnHealthCheck(
            self,
            f"{side}HealthCheck",
            health_check_config=route53.CfnHealthCheck.HealthCheckConfigProperty(
                type="HTTPS" if https else "HTTP",
                port=443 if https else 80,
                enable_sni=True if https else None,
                fully_qualified_domain_name=load_balancer.load_balancer_dns_name,
                resource_path=HEALTH_PATH,
                request_interval=self._settings.health_check_interval,
                failure_threshold=self._settings.health_check_failures,
                measure_latency=True,
            ),
            health_check_tags=self._name_tag(side.lower()),
        )

    def _latch(self, alarm_topic: sns.ITopic) -> route53.CfnHealthCheck:
        """Make the latch: an alarm that one data point trips, and its health check.

        The metric is silent between failovers, so what silence means is the whole design. Route 53
        does not read the alarm's state but evaluates its metric by the alarm's rule, and keeps
        the last known status while there is no data; an alarm that ignores missing data keeps its
        state as well, so that people see what Route 53 sees. One period decides (Route 53
        supports no "M of N" alarms): the newest minute with data counts. Maximum lets "open" win
        over "closed" within a minute.
        """
        alarm = cloudwatch.Alarm(
            self,
            "FailoverLatchAlarm",
            alarm_name=f"{self._settings.stack_name}-failover-latch",
            alarm_description=(
                f"Traffic is sent to {self.region}. Stays so until {LATCH_CLOSED} is published as "
                f"{LATCH_METRIC} in {latch_namespace(self._settings)}"
            ),
            metric=cloudwatch.Metric(
                namespace=latch_namespace(self._settings),
                metric_name=LATCH_METRIC,
                statistic="Maximum",
                period=Duration.minutes(1),
            ),
            comparison_operator=(cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD),
            threshold=LATCH_OPEN,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )
        notify(alarm, alarm_topic)
        return route53.CfnHealthCheck(
            self,
            "FailoverLatchCheck",
            health_check_config=route53.CfnHealthCheck.HealthCheckConfigProperty(
                type="CLOUDWATCH_METRIC",
                alarm_identifier=route53.CfnHealthCheck.AlarmIdentifierProperty(
                    name=alarm.alarm_name, region=self.region
                ),
                insufficient_data_health_status="LastKnownStatus",
            ),
            health_check_tags=self._name_tag("failover-latch"),
        )

    def _failover_check(self) -> route53.CfnHealthCheck:
        children = [self.primary_check, self.latch_check]
        return route53.CfnHealthCheck(
            self,
            "FailoverCheck",
            health_check_config=route53.CfnHealthCheck.HealthCheckConfigProperty(
                type="CALCULATED",
                child_health_checks=[check.attr_health_check_id for check in children],
                health_threshold=len(children),
            ),
            health_check_tags=self._name_tag("failover"),
        )

    def _record(
        self,
        role: str,
        zone: route53.IHostedZone,
        load_balancer: elbv2.IApplicationLoadBalancer,
        check: route53.CfnHealthCheck | None = None,
    ) -> None:
        """Add one of the pair. Only type A: the load balancers have no IPv6 addresses."""
        route53.CfnRecordSet(
            self,
            f"{role.capitalize()}Record",
            hosted_zone_id=zone.hosted_zone_id,
            name=f"{self._settings.application_name}.",
            type="A",
            failover=role,
            set_identifier=role.lower(),
            health_check_id=check.attr_health_check_id if check else None,
            alias_target=route53.CfnRecordSet.AliasTargetProperty(
                dns_name=load_balancer.load_balancer_dns_name,
                hosted_zone_id=load_balancer.load_balancer_canonical_hosted_zone_id,
                evaluate_target_health=True,
            ),
        )

    def _name_tag(self, name: str) -> list[route53.CfnHealthCheck.HealthCheckTagProperty]:
        """Name a health check for the console, which shows nothing else of it."""
        return [
            route53.CfnHealthCheck.HealthCheckTagProperty(
                key="Name", value=f"{self._settings.stack_name}-{name}"
            )
        ]
