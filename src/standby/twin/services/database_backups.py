"""Database: the automated backups of RDS instances, also those that outlive their instance.

Source: RDS API reference, DescribeDBInstanceAutomatedBackups.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.rds.models import DBInstance, DBSnapshot, rds_backends

from standby.twin.operations import Call, ServiceError, operation


class RetainedBackups(dict[str, dict[str, Any]]):
    """The backups of deleted instances, by their resource id."""


def _automated(instance: DBInstance) -> list[DBSnapshot]:
    return [
        snapshot
        for snapshot in instance.backend.database_snapshots.values()
        if snapshot.snapshot_type == "automated"
        and snapshot.dbi_resource_id == instance.dbi_resource_id
    ]


def renew_backups(instance: DBInstance) -> None:
    """Have automated snapshots where the retention period asks for them, and only there."""
    if not instance.backup_retention_period:
        forget_backups(instance)
    elif not _automated(instance):
        instance.save_automated_backup()


def forget_backups(instance: DBInstance) -> None:
    """Delete an instance's automated snapshots."""
    for snapshot in _automated(instance):
        instance.backend.delete_db_snapshot(snapshot.db_snapshot_identifier)


def retain_backups(call: Call, instance: DBInstance) -> None:
    """Keep the backups of an instance that is about to be deleted."""
    if instance.backup_retention_period:
        described = _describe(instance) | {"Status": "retained"}
        call.store(RetainedBackups)[instance.dbi_resource_id] = described


def _describe(instance: DBInstance) -> dict[str, Any]:
    group = getattr(instance, "db_subnet_group", None)
    arn = instance.db_instance_arn.replace(":db:", ":auto-backup:").rpartition(":")[0]
    identity = uuid.uuid5(uuid.NAMESPACE_URL, instance.dbi_resource_id).hex
    described = {
        "DBInstanceArn": instance.db_instance_arn,
        "DBInstanceAutomatedBackupsArn": f"{arn}:ab-{identity}",
        "DBInstanceIdentifier": instance.db_instance_identifier,
        "DbiResourceId": instance.dbi_resource_id,
        "Region": instance.region,
        "Status": "active",
        "RestoreWindow": {"EarliestTime": instance.created, "LatestTime": datetime.now(UTC)},
        "AllocatedStorage": instance.allocated_storage,
        "AvailabilityZone": instance.availability_zone,
        "BackupRetentionPeriod": instance.backup_retention_period,
        "BackupTarget": "region",
        "Encrypted": instance.storage_encrypted,
        "Engine": instance.engine,
        "EngineVersion": instance.engine_version,
        "IAMDatabaseAuthenticationEnabled": instance.enable_iam_database_authentication,
        "InstanceCreateTime": instance.created,
        "KmsKeyId": instance.kms_key_id,
        "LicenseModel": instance.license_model,
        "MasterUsername": instance.master_username,
        "OptionGroupName": instance.option_group_name,
        "Port": instance.port,
        "PreferredBackupWindow": instance.preferred_backup_window,
        "StorageType": instance.storage_type,
        "VpcId": group.vpc_id if group else None,
    }
    return {name: value for name, value in described.items() if value is not None}


@operation("rds", "DescribeDBInstanceAutomatedBackups")
def describe_db_instance_automated_backups(call: Call) -> Mapping[str, Any]:
    """Describe the backups of instances that have them, and those retained."""
    found = [
        _describe(instance)
        for instance in rds_backends[call.account][call.region].databases.values()
        if instance.db_cluster_identifier is None and instance.backup_retention_period
    ]
    found += call.store(RetainedBackups).values()
    wanted = {
        name: {call.params[name]}
        for name in ("DBInstanceIdentifier", "DbiResourceId", "DBInstanceAutomatedBackupsArn")
        if name in call.params
    }
    names = {
        "status": "Status",
        "db-instance-id": "DBInstanceIdentifier",
        "dbi-resource-id": "DbiResourceId",
    }
    for each in call.params.get("Filters", ()):
        if each["Name"] not in names:
            raise ServiceError("InvalidParameterValue", f"Unrecognized filter name: {each['Name']}")
        wanted[names[each["Name"]]] = set(each["Values"])
    matching = [
        backup for backup in found if all(backup[name] in values for name, values in wanted.items())
    ]
    return {"DBInstanceAutomatedBackups": matching}


@operation("rds", "DeleteDBInstanceAutomatedBackup")
def delete_db_instance_automated_backup(call: Call) -> Mapping[str, Any]:
    """Delete the retained backups of an instance that is gone."""
    retained = call.store(RetainedBackups)
    for id_, backup in retained.items():
        named = {id_, backup["DBInstanceAutomatedBackupsArn"]}
        if named & {
            call.params.get("DbiResourceId"),
            call.params.get("DBInstanceAutomatedBackupsArn"),
        }:
            del retained[id_]
            return {"DBInstanceAutomatedBackup": backup | {"Status": "deleting"}}
    raise ServiceError("DBInstanceAutomatedBackupNotFound", "No such retained automated backup.")
