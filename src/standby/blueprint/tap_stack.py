"""The root stack: the one place that knows both regions and how their stacks depend."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from aws_cdk import App, Environment, Stack
from aws_cdk import aws_efs as efs
from aws_cdk import aws_route53 as route53

from standby.blueprint.compute import ComputeStack
from standby.blueprint.database import PrimaryDatabaseStack, ReplicaDatabaseStack, secret_name
from standby.blueprint.dns import DnsStack, application_zone
from standby.blueprint.monitoring import MonitoringStack, Side, add_dashboard
from standby.blueprint.network import VpcStack
from standby.blueprint.peering import VpcPeeringRoutesStack, VpcPeeringStack
from standby.blueprint.resilience import ResilienceStack
from standby.blueprint.security import SecurityStack
from standby.blueprint.storage import StorageStack
from standby.settings import Settings


@dataclass(frozen=True)
class _Region:
    """One side of the application, and what its pillars stand on."""

    side: str
    name: str
    network: VpcStack
    security: SecurityStack
    monitoring: MonitoringStack


class TapStack(Stack):
    """Root of the application: it creates every other stack, each in its region.

    What one region passes to the other is known beforehand (a name, a block of addresses) or a
    weak reference (``Fn::GetStackOutput``). References run in one direction only: network,
    peering, return routes; standby files, primary files; load balancers, DNS. What the standby
    serves with refers to nothing of the primary, so that it can change with that region gone.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self._settings = settings
        name = settings.stack_name
        super().__init__(app, name, **self._arguments(name, settings.primary_region))
        primary = self._region(
            "Primary",
            settings.primary_region,
            cidr=settings.primary_cidr,
            peer_cidr=settings.standby_cidr,
        )
        standby = self._region(
            "Standby",
            settings.standby_region,
            cidr=settings.standby_cidr,
            peer_cidr=settings.primary_cidr,
        )
        self._peer(primary, standby)
        standby_files = self._files(standby)
        primary_files = self._files(primary, replicate_to=standby_files.file_system)
        source, replica = self._databases(primary, standby)
        zone = application_zone(self, settings, **self._arguments(f"{name}-DnsZone", standby.name))
        primary_compute = self._compute(
            primary, settings.min_capacity, primary_files, source.endpoint_address, zone
        )
        standby_compute = self._compute(
            standby, settings.standby_min_capacity, standby_files, replica.endpoint_address, zone
        )
        standby_compute.add_stack_dependency(
            primary_compute, "the first primary instance makes the directory that is replicated"
        )
        dns = DnsStack(
            **self._child("Dns", standby.name),
            settings=settings,
            primary_load_balancer=primary_compute.load_balancer,
            standby_load_balancer=standby_compute.load_balancer,
            alarm_topic=standby.monitoring.topic,
            zone=zone,
        )
        ResilienceStack(
            **self._child("Resilience", primary.name),
            settings=settings,
            vpc=primary.network.vpc,
            key=primary.security.key,
            alarm_topic=primary.monitoring.topic,
            stacks=[child for child in self.node.children if isinstance(child, Stack)],
        )
        add_dashboard(
            self,
            settings=settings,
            primary=_side(primary_compute, source, primary_files, dns.primary_check),
            standby=_side(standby_compute, replica, standby_files, dns.standby_check),
            latch=dns.latch_check.attr_health_check_id,
        )

    def _region(
        self, side: str, region: str, *, cidr: IPv4Network, peer_cidr: IPv4Network
    ) -> _Region:
        """Lay the foundation of one region: network, security, and where its alarms go."""
        settings = self._settings
        network = VpcStack(**self._child(f"VpcStack-{side}", region), settings=settings, cidr=cidr)
        security = SecurityStack(
            **self._child(f"Security{side}", region),
            settings=settings,
            vpc=network.vpc,
            peer_cidr=peer_cidr,
        )
        monitoring = MonitoringStack(
            **self._child(f"Monitoring{side}", region), settings=settings, key=security.key
        )
        return _Region(side, region, network, security, monitoring)

    def _peer(self, primary: _Region, standby: _Region) -> None:
        peering = VpcPeeringStack(
            **self._child("VpcPeering", primary.name),
            vpc=primary.network.vpc,
            route_table_ids=primary.network.route_table_ids,
            peer_vpc=standby.network.vpc,
            peer_cidr=self._settings.standby_cidr,
            peer_region=standby.name,
        )
        VpcPeeringRoutesStack(
            **self._child("VpcPeeringRoutes", standby.name),
            route_table_ids=standby.network.route_table_ids,
            peer_cidr=self._settings.primary_cidr,
            connection_id=peering.connection_id,
        )

    def _files(
        self, region: _Region, *, replicate_to: efs.IFileSystem | None = None
    ) -> StorageStack:
        return StorageStack(
            **self._child(f"Storage{region.side}", region.name),
            settings=self._settings,
            vpc=region.network.vpc,
            key=region.security.key,
            file_system_sg=region.security.file_system_sg,
            alarm_topic=region.monitoring.topic,
            replicate_to=replicate_to,
        )

    def _databases(
        self, primary: _Region, standby: _Region
    ) -> tuple[PrimaryDatabaseStack, ReplicaDatabaseStack]:
        source = PrimaryDatabaseStack(
            **self._child("DatabasePrimary", primary.name), **self._database_arguments(primary)
        )
        replica = ReplicaDatabaseStack(
            **self._child("DatabaseStandby", standby.name), **self._database_arguments(standby)
        )
        source.add_stack_dependency(
            standby.security, "its secret is replicated under the standby's key, by alias"
        )
        replica.add_stack_dependency(source, "it replicates the primary instance, by name")
        return source, replica

    def _database_arguments(self, region: _Region) -> dict[str, Any]:
        return {
            "settings": self._settings,
            "vpc": region.network.vpc,
            "key": region.security.key,
            "database_sg": region.security.database_sg,
            "alarm_topic": region.monitoring.topic,
        }

    def _compute(
        self,
        region: _Region,
        min_capacity: int,
        files: StorageStack,
        database_endpoint: str,
        zone: route53.IHostedZone | None,
    ) -> ComputeStack:
        security = region.security
        return ComputeStack(
            **self._child(f"Compute{region.side}", region.name),
            settings=self._settings,
            min_capacity=min_capacity,
            vpc=region.network.vpc,
            key=security.key,
            instance_role=security.instance_role,
            load_balancer_sg=security.load_balancer_sg,
            instance_sg=security.instance_sg,
            file_system=files.file_system,
            access_point=files.access_point,
            database_endpoint=database_endpoint,
            database_secret_name=secret_name(self._settings),
            alarm_topic=region.monitoring.topic,
            zone=zone,
        )

    def _child(self, id: str, region: str) -> dict[str, Any]:
        """Place a stack below this one; its id is the end of its name (the naming contract)."""
        return {"scope": self, "id": id, **self._arguments(f"{self.stack_name}-{id}", region)}

    def _arguments(self, stack_name: str, region: str) -> dict[str, Any]:
        """Give what every stack has; no account, so that one assembly serves any."""
        return {
            "stack_name": stack_name,
            "env": Environment(region=region),
            "cross_region_references": True,
            "termination_protection": self._settings.deletion_protection,
            "tags": tags(self._settings),
        }


def tags(settings: Settings) -> dict[str, str]:
    """Give the tags of every resource, and of every stack for what only CloudFormation tags."""
    return {
        "Environment": settings.environment_suffix,
        "Repository": settings.repository,
        "Author": settings.author,
    }


def _side(
    compute: ComputeStack,
    database: PrimaryDatabaseStack | ReplicaDatabaseStack,
    files: StorageStack,
    check: route53.CfnHealthCheck,
) -> Side:
    """Collect the names that a region's metrics go by."""
    return Side(
        region=compute.region,
        load_balancer=compute.load_balancer.load_balancer_full_name,
        target_group=compute.target_group.target_group_full_name,
        auto_scaling_group=compute.auto_scaling_group.auto_scaling_group_name,
        database=database.identifier,
        file_system=files.file_system.file_system_id,
        health_check=check.attr_health_check_id,
    )
