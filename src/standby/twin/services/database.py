"""Database: RDS instances as AWS describes them, and replicas in another region.

moto describes whatever attribute its model of an instance has, so what it leaves out is set
there. Source: RDS API reference; RDS user guide, "Working with DB instance read replicas".
"""

import secrets
import string
from collections.abc import Mapping
from typing import Any

from botocore import xform_name
from moto.rds.models import DBInstance, RDSBackend, rds_backends

from standby.twin.operations import Call, ServiceError, operation
from standby.twin.services.database_backups import forget_backups, renew_backups, retain_backups
from standby.twin.services.database_groups import PendingReboots
from standby.twin.services.security import key_arn

REPLICATING = {"StatusType": "read replication", "Normal": True, "Status": "replicating"}
TERMINATED = {"StatusType": "read replication", "Normal": False, "Status": "terminated"}
LARGE_GP3_GIB = 400
"""From this size on, gp3 storage of PostgreSQL is striped, with four times the baseline."""
_INHERITED = (
    "allocated_storage",
    "auto_minor_version_upgrade",
    "db_instance_class",
    "db_name",
    "engine",
    "engine_version",
    "license_model",
    "master_username",
    "port",
    "storage_encrypted",
    "storage_type",
)
"""What a replica has from its source where its request says nothing."""


def backend(call: Call, region: str | None = None) -> RDSBackend:
    """Give RDS's state in a region."""
    found: RDSBackend = rds_backends[call.account][region or call.region]
    return found


def find_instance(call: Call, id_: str) -> DBInstance:
    """Find an instance by identifier, or by ARN in the ARN's region.

    Raises:
        ServiceError: There is none.
    """
    region = id_.split(":")[3] if id_.startswith("arn:") else call.region
    found = backend(call, region).databases.get(id_.rpartition(":")[2])
    if found is None:
        raise ServiceError("DBInstanceNotFound", f"DBInstance {id_} not found.")
    return found


def _described(call: Call, id_: str) -> dict[str, Any]:
    client = call.twin.client("rds", call.region)
    return {"DBInstance": client.describe_db_instances(DBInstanceIdentifier=id_)["DBInstances"][0]}


@operation("rds", "CreateDBInstance")
def create_db_instance(call: Call) -> Mapping[str, Any]:
    """Create an instance, encrypted with a key that exists."""
    params = call.params
    if "DBClusterIdentifier" in params:
        return call.moto()
    key = params.get("KmsKeyId")
    arn = key_arn(call, key, "rds") if key or params.get("StorageEncrypted") else None
    insights = _insights_key(call)
    call.moto()
    instance = find_instance(call, params["DBInstanceIdentifier"])
    forget_backups(instance)  # moto takes one of every instance, and before it has an id
    instance.storage_encrypted, instance.kms_key_id = bool(arn), arn
    _complete(instance)
    _apply(instance, params, insights)
    renew_backups(instance)
    return _described(call, instance.db_instance_identifier)


@operation("rds", "CreateDBInstanceReadReplica")
def create_db_instance_read_replica(call: Call) -> Mapping[str, Any]:
    """Create a replica of an instance of this region, or by ARN of another one."""
    params = call.params
    id_ = params["DBInstanceIdentifier"]
    here = backend(call)
    if id_ in here.databases:
        raise ServiceError("DBInstanceAlreadyExists", "DB instance already exists")
    source = find_instance(call, params["SourceDBInstanceIdentifier"])
    if not source.is_replica and not source.backup_retention_period:
        raise ServiceError(
            "InvalidDBInstanceState",
            f"Automated backups are not enabled for {source.db_instance_identifier}; "
            "a source of replicas needs them.",
        )
    elsewhere = source.region != call.region
    if elsewhere and source.storage_encrypted and "KmsKeyId" not in params:
        raise ServiceError(
            "InvalidParameterCombination",
            "A replica of an encrypted instance of another region needs KmsKeyId of its own.",
        )
    key = params.get("KmsKeyId")
    insights = _insights_key(call)
    wanted: dict[str, Any] = {name: getattr(source, name) for name in _INHERITED}
    if not elsewhere:
        wanted |= {
            "db_parameter_group_name": source.db_parameter_group_name,
            "kms_key_id": source.kms_key_id,
        }
    wanted |= {xform_name(name): value for name, value in params.items()}
    if key:
        wanted["kms_key_id"] = key_arn(call, key, "rds")
    wanted |= {
        "backup_retention_period": 0,
        "master_user_password": source._master_user_password,
        "source_db_instance_identifier": _seen_from(source, call.region),
    }
    replica = DBInstance(here, **wanted)
    replica.set_as_replica()
    replica.status_infos = [dict(REPLICATING)]
    _complete(replica)
    _apply(replica, params, insights)
    here.databases[id_] = replica
    source.add_replica(replica)
    return _described(call, replica.db_instance_identifier)


def _seen_from(instance: DBInstance, region: str) -> str:
    """Name an instance as one of another region (by ARN) or of its own sees it."""
    near = instance.region == region
    return str(instance.db_instance_identifier if near else instance.db_instance_arn)


def _complete(instance: DBInstance) -> None:
    """Set what every instance has from birth on."""
    alphabet = string.ascii_uppercase + string.digits
    instance.dbi_resource_id = "db-" + "".join(secrets.choice(alphabet) for _ in range(26))
    instance.performance_insights_enabled = False
    instance.network_type = "IPV4"
    instance.backup_target = "region"
    instance.database_insights_mode = "standard"
    if instance.ca_certificate_identifier == "rds-ca-default":
        instance.ca_certificate_identifier = "rds-ca-rsa2048-g1"
    if instance.engine == "postgres":
        instance.license_model = "postgresql-license"
    instance.publicly_accessible = bool(instance.publicly_accessible)


def _insights_key(call: Call) -> str | None:
    """Give the ARN of the key for Performance Insights, where the request turns it on."""
    if not call.params.get("EnablePerformanceInsights"):
        return None
    return key_arn(call, call.params.get("PerformanceInsightsKMSKeyId"), "rds")


def _apply(instance: DBInstance, params: Mapping[str, Any], insights: str | None) -> None:
    """Set what follows from a request's parameters and moto does not derive."""
    if "EnablePerformanceInsights" in params:
        on = bool(params["EnablePerformanceInsights"])
        days = int(params.get("PerformanceInsightsRetentionPeriod", 7))
        instance.performance_insights_enabled = on
        instance.performance_insights_kms_key_id = insights
        instance.performance_insights_retention_period = days if on else None
    for name in ("NetworkType", "DatabaseInsightsMode"):
        if name in params:
            setattr(instance, xform_name(name), params[name])
    instance.enhanced_monitoring_resource_arn = (
        f"arn:aws:logs:{instance.region}:{instance.account_id}:log-group:RDSOSMetrics:"
        f"log-stream:{instance.dbi_resource_id}"
        if instance.monitoring_interval
        else None
    )
    if instance.storage_type == "gp3":
        large = instance.allocated_storage >= LARGE_GP3_GIB
        instance.iops = params.get("Iops", instance.iops) or (12000 if large else 3000)
        throughput = params.get("StorageThroughput", instance.storage_throughput)
        instance.storage_throughput = throughput or (500 if large else 125)
    _place(instance, params.get("AvailabilityZone"))


def _place(instance: DBInstance, wanted: str | None) -> None:
    """Put the instance, and with Multi-AZ its standby, into zones of its subnets."""
    group = getattr(instance, "db_subnet_group", None)
    if group is not None:
        zones = sorted({subnet.availability_zone for subnet in group._subnets})
    else:
        zones = [f"{instance.region}{letter}" for letter in "abc"]
    if wanted or instance.availability_zone not in zones:
        instance.availability_zone = wanted or zones[0]
    others = [zone for zone in zones if zone != instance.availability_zone]
    instance.secondary_availability_zone = others[0] if instance.multi_az and others else None


@operation("rds", "DescribeDBInstances")
def describe_db_instances(call: Call) -> Mapping[str, Any]:
    """Describe instances, with parameters that wait for a reboot."""
    answer = call.moto()
    pending = call.store(PendingReboots)
    for instance in answer["DBInstances"]:
        if not instance.get("BackupRetentionPeriod"):
            instance.pop("LatestRestorableTime", None)
        if instance["DBInstanceIdentifier"] in pending:
            for group in instance["DBParameterGroups"]:
                group["ParameterApplyStatus"] = "pending-reboot"
    return answer


@operation("rds", "ModifyDBInstance")
def modify_db_instance(call: Call) -> Mapping[str, Any]:
    """Change an instance, at once; also its identifier, which replicas and source then know."""
    params = call.params
    instance = find_instance(call, params["DBInstanceIdentifier"])
    insights = _insights_key(call)
    former_group = instance.db_parameter_group_name
    former_ends = [(end, _seen_from(instance, end.region)) for end in _other_ends(call, instance)]
    call.moto()
    if "DBPortNumber" in params:
        instance.port = params["DBPortNumber"]
    _apply(instance, params, insights)
    renew_backups(instance)
    if instance.db_parameter_group_name != former_group:
        call.store(PendingReboots).add(instance.db_instance_identifier)
    for end, former in former_ends:
        name = _seen_from(instance, end.region)
        if end.source_db_instance_identifier == former:
            end.source_db_instance_identifier = name
        end.replicas = [name if each == former else each for each in end.replicas]
    return _described(call, instance.db_instance_identifier)


def _other_ends(call: Call, instance: DBInstance) -> list[DBInstance]:
    """Give the instances that replicate to or from one: its replicas, and its source."""
    names = list(instance.replicas)
    if instance.is_replica:
        names.append(instance.source_db_instance_identifier)
    found = []
    for name in names:
        region = name.split(":")[3] if name.startswith("arn:") else instance.region
        end = backend(call, region).databases.get(name.rpartition(":")[2])
        if end is not None:
            found.append(end)
    return found


@operation("rds", "RebootDBInstance")
def reboot_db_instance(call: Call) -> Mapping[str, Any]:
    """Restart an instance: parameters that waited for it take effect."""
    answer = call.moto()
    call.store(PendingReboots).discard(answer["DBInstance"]["DBInstanceIdentifier"])
    return answer


@operation("rds", "PromoteReadReplica")
def promote_read_replica(call: Call) -> Mapping[str, Any]:
    """Make a replica an instance of its own, with backups; its source forgets it."""
    params = call.params
    replica = find_instance(call, params["DBInstanceIdentifier"])
    if not replica.is_replica:
        raise ServiceError(
            "InvalidDBInstanceState",
            f"DB instance {replica.db_instance_identifier} is not a read replica.",
        )
    _detach(call, replica)
    replica.backup_retention_period = int(params.get("BackupRetentionPeriod", 1))
    if "PreferredBackupWindow" in params:
        replica.preferred_backup_window = params["PreferredBackupWindow"]
    renew_backups(replica)
    return _described(call, replica.db_instance_identifier)


def _detach(call: Call, replica: DBInstance) -> None:
    """End a replica's replication on both ends."""
    for source in _other_ends(call, replica):
        name = _seen_from(replica, source.region)
        source.replicas = [each for each in source.replicas if each != name]
    replica.is_replica, replica.source_db_instance_identifier = False, None
    replica.status_infos = []


@operation("rds", "DeleteDBInstance")
def delete_db_instance(call: Call) -> Mapping[str, Any]:
    """Delete an instance; replicas in its region are promoted, those elsewhere are cut off."""
    params = call.params
    instance = find_instance(call, params["DBInstanceIdentifier"])
    if instance.deletion_protection or instance.db_cluster_identifier:
        return call.moto()
    skip, final = params.get("SkipFinalSnapshot"), params.get("FinalDBSnapshotIdentifier")
    if bool(skip) == bool(final):
        raise ServiceError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
        )
    if final and instance.is_replica:
        raise ServiceError(
            "InvalidParameterCombination", "A read replica takes no final snapshot when deleted."
        )
    described = _described(call, instance.db_instance_identifier)
    source = instance.source_db_instance_identifier if instance.is_replica else None
    for end in _other_ends(call, instance):
        if end.source_db_instance_identifier != _seen_from(instance, end.region):
            continue
        if end.region == instance.region:
            _detach(call, end)
        else:
            end.status_infos = [dict(TERMINATED)]
    if source:
        _detach(call, instance)
    delete_backups = bool(params.get("DeleteAutomatedBackups", True))
    if not delete_backups:
        retain_backups(call, instance)
    call.moto()
    forget_backups(instance)
    call.store(PendingReboots).discard(instance.db_instance_identifier)
    described["DBInstance"]["DBInstanceStatus"] = "deleting"
    return described
