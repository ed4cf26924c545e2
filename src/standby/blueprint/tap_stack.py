"""The root stack: the one place that knows both regions and how their stacks depend."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from aws_cdk import App, Environment, Stack

from standby.blueprint.database import PrimaryDatabaseStack, ReplicaDatabaseStack
from standby.blueprint.monitoring import MonitoringStack
from standby.blueprint.network import VpcStack
from standby.blueprint.peering import VpcPeeringRoutesStack, VpcPeeringStack
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
    peering, return routes; standby files, primary files; primary database, replica.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self._settings = settings
        super().__init__(
            app, settings.stack_name, **self._arguments(settings.stack_name, settings.primary_region)
        )
        primary = self._region(
            "Primary", settings.primary_region, settings.primary_cidr, settings.standby_cidr
        )
        standby = self._region(
            "Standby", settings.standby_region, settings.standby_cidr, settings.primary_cidr
        )
        self._peer(primary, standby)
        self._replicate_files(primary, standby)
        self._replicate_database(primary, standby)

    def _region(self, side: str, region: str, cidr: IPv4Network, peer_cidr: IPv4Network) -> _Region:
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

    def _replicate_files(self, primary: _Region, standby: _Region) -> None:
        destination = self._storage(standby)
        self._storage(primary, replicate_to=destination.file_system)

    def _storage(self, region: _Region, **replication: Any) -> StorageStack:
        return StorageStack(
            **self._child(f"Storage{region.side}", region.name),
            settings=self._settings,
            vpc=region.network.vpc,
            key=region.security.key,
            file_system_sg=region.security.file_system_sg,
            alarm_topic=region.monitoring.topic,
            **replication,
        )

    def _replicate_database(self, primary: _Region, standby: _Region) -> None:
        source = PrimaryDatabaseStack(
            **self._child("DatabasePrimary", primary.name), **self._database_arguments(primary)
        )
        replica = ReplicaDatabaseStack(
            **self._child("DatabaseStandby", standby.name), **self._database_arguments(standby)
        )
        # These name what the other region made, without a reference that would order them.
        source.add_stack_dependency(standby.security, "its secret is replicated under the standby's key")
        replica.add_stack_dependency(source, "it replicates the primary instance, by name")

    def _database_arguments(self, region: _Region) -> dict[str, Any]:
        return {
            "settings": self._settings,
            "vpc": region.network.vpc,
            "key": region.security.key,
            "database_sg": region.security.database_sg,
            "alarm_topic": region.monitoring.topic,
        }

    def _child(self, id: str, region: str) -> dict[str, Any]:
        """Place a stack below this one: its id is the end of its name (see the naming contract)."""
        return {"scope": self, "id": id, **self._arguments(f"{self.stack_name}-{id}", region)}

    def _arguments(self, stack_name: str, region: str) -> dict[str, Any]:
        """Give what every stack has: no account, so that one assembly serves any account."""
        return {
            "stack_name": stack_name,
            "env": Environment(region=region),
            "cross_region_references": True,
            "termination_protection": self._settings.deletion_protection,
        }
