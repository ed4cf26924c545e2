"""Database: RDS's subnet groups and parameter groups, where moto forgets, overwrites or loses.

Source: RDS API reference. Which parameters wait for a restart: PostgreSQL 16, those that
``postgres --describe-config`` gives the context "postmaster", and RDS's own static ones.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.models import DBInstance, DBParameterGroup, rds_backends

from standby.twin.operations import Call, ServiceError, operation

MIN_ZONES = 2
STATIC_PARAMETERS = frozenset(
    """
    archive_mode autovacuum_freeze_max_age autovacuum_max_workers
    autovacuum_multixact_freeze_max_age cluster_name data_sync_retry dynamic_shared_memory_type
    event_source hot_standby huge_page_size huge_pages jit_provider listen_addresses
    logging_collector max_connections max_files_per_process max_locks_per_transaction
    max_logical_replication_workers max_pred_locks_per_transaction max_prepared_transactions
    max_replication_slots max_wal_senders max_worker_processes min_dynamic_shared_memory
    old_snapshot_threshold port rds.logical_replication recovery_target recovery_target_action
    recovery_target_inclusive recovery_target_lsn recovery_target_name recovery_target_time
    recovery_target_timeline recovery_target_xid reserved_connections shared_buffers
    shared_memory_type shared_preload_libraries superuser_reserved_connections
    track_activity_query_size track_commit_timestamp unix_socket_directories unix_socket_group
    unix_socket_permissions wal_buffers wal_decode_buffer_size wal_level wal_log_hints
    """.split()  # noqa: SIM905 - fifty lines of quotes would say no more
)


class PendingReboots(set[str]):
    """The identifiers of instances whose parameters wait for a reboot."""


def apply_method(parameter: str) -> str:
    """Say when a change of a parameter can take effect."""
    return "pending-reboot" if parameter in STATIC_PARAMETERS else "immediate"


@operation("rds", "CreateDBSubnetGroup")
def create_db_subnet_group(call: Call) -> Mapping[str, Any]:
    """Create a subnet group of two zones or more, under a name that is free."""
    name = call.params["DBSubnetGroupName"]
    if name in rds_backends[call.account][call.region].subnet_groups:
        raise ServiceError(
            "DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists."
        )
    _subnets(call)
    return call.moto()


def _subnets(call: Call) -> list[Any]:
    """Give the request's subnets.

    Raises:
        ServiceError: They are in one zone only, which no database may be limited to.
    """
    ec2 = ec2_backends[call.account][call.region]
    subnets = [ec2.get_subnet(id_) for id_ in call.params["SubnetIds"]]
    if len({subnet.availability_zone for subnet in subnets}) < MIN_ZONES:
        raise ServiceError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            f"The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement: "
            f"it needs subnets in at least {MIN_ZONES} AZs.",
        )
    return subnets


@operation("rds", "ModifyDBSubnetGroup")
def modify_db_subnet_group(call: Call) -> Mapping[str, Any]:
    """Change description and subnets; moto would lose the group."""
    groups = rds_backends[call.account][call.region].subnet_groups
    name = call.params["DBSubnetGroupName"]
    if name not in groups:
        raise ServiceError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' not found.")
    group = groups[name]
    group.subnets = _subnets(call)
    group.description = call.params.get("DBSubnetGroupDescription", group.description)
    client = call.twin.client("rds", call.region)
    found = client.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"][0]
    return {"DBSubnetGroup": found}


@operation("rds", "DeleteDBSubnetGroup")
def delete_db_subnet_group(call: Call) -> Mapping[str, Any]:
    """Delete a subnet group that no instance is in."""
    name = call.params["DBSubnetGroupName"].lower()
    for instance in _instances(call):
        group = getattr(instance, "db_subnet_group", None)
        if group is not None and group.name == name:
            raise ServiceError(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database "
                f"instance: {instance.db_instance_identifier} is still using it.",
            )
    return call.moto()


def _instances(call: Call) -> Iterable[DBInstance]:
    return list(rds_backends[call.account][call.region].databases.values())


def _users(call: Call, name: str) -> list[str]:
    return [
        instance.db_instance_identifier
        for instance in _instances(call)
        if (instance.db_parameter_group_name or "").lower() == name.lower()
    ]


def _group(call: Call) -> DBParameterGroup:
    name = call.params["DBParameterGroupName"]
    found = rds_backends[call.account][call.region].db_parameter_groups.get(name)
    if found is None:
        raise ServiceError("DBParameterGroupNotFound", f"DBParameterGroup not found: {name}")
    return found


@operation("rds", "ModifyDBParameterGroup")
def modify_db_parameter_group(call: Call) -> Mapping[str, Any]:
    """Set parameters; those that are static wait for a reboot of the instances."""
    group, changed = _group(call), set()
    for parameter in call.params["Parameters"]:
        name, method = parameter["ParameterName"], parameter.get("ApplyMethod", "immediate")
        if method == "immediate" and name in STATIC_PARAMETERS:
            raise ServiceError(
                "InvalidParameterCombination",
                f"cannot use immediate apply method for static parameter: {name}",
            )
        if group.parameters.get(name, {}).get("ParameterValue") != parameter["ParameterValue"]:
            changed.add(method)
    answer = call.moto()
    if "pending-reboot" in changed:
        call.store(PendingReboots).update(_users(call, group.name))
    return answer


@operation("rds", "ResetDBParameterGroup")
def reset_db_parameter_group(call: Call) -> Mapping[str, Any]:
    """Give parameters their engine default again, all of them or those named."""
    group = _group(call)
    named = {parameter["ParameterName"] for parameter in call.params.get("Parameters", ())}
    names = set(group.parameters) if call.params.get("ResetAllParameters", not named) else named
    for name in names & set(group.parameters):
        del group.parameters[name]
    if names & STATIC_PARAMETERS:
        call.store(PendingReboots).update(_users(call, group.name))
    return {"DBParameterGroupName": group.name}


@operation("rds", "DescribeDBParameters")
def describe_db_parameters(call: Call) -> Mapping[str, Any]:
    """Describe the parameters that were set; the engine's defaults are the engine's to tell."""
    parameters = [
        {
            **parameter,
            "Source": "user",
            "IsModifiable": True,
            "ApplyType": "static" if name in STATIC_PARAMETERS else "dynamic",
            "ApplyMethod": parameter.get("ApplyMethod", apply_method(name)),
        }
        for name, parameter in _group(call).parameters.items()
    ]
    return {"Parameters": parameters if call.params.get("Source", "user") == "user" else []}


@operation("rds", "DescribeDBParameterGroups")
def describe_db_parameter_groups(call: Call) -> Mapping[str, Any]:
    """Describe parameter groups; a name that is none's is refused."""
    if "DBParameterGroupName" in call.params:
        _group(call)
    return call.moto()


@operation("rds", "DeleteDBParameterGroup")
def delete_db_parameter_group(call: Call) -> Mapping[str, Any]:
    """Delete a parameter group that no instance uses."""
    group = _group(call)
    if users := _users(call, group.name):
        raise ServiceError(
            "InvalidDBParameterGroupState",
            f"One or more database instances are still members of this parameter group "
            f"{group.name}, so the group cannot be deleted: {', '.join(users)}",
        )
    return call.moto()
