"""Storage: what moto's EFS lacks: replication, protection, backups off, changes of throughput.

Source: EFS API reference; EFS user guide, "Replicating EFS file systems".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.efs.models import EFSBackend, FileSystem, efs_backends

from standby.twin.operations import Call, ServiceError, operation
from standby.twin.services.security import key_arn


@dataclass
class Replication:
    """The replication of one file system to another, as one of its two regions knows it.

    Attributes:
        status: What the API says of the destination, with ``message``.
        last_sync: When the destination last had everything the source had, or None before.
    """

    source_id: str
    source_region: str
    source_arn: str
    owner: str
    destination_id: str
    destination_region: str
    status: str = "ENABLED"
    message: str | None = None
    role_arn: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_sync: datetime | None = None

    def describe(self) -> dict[str, Any]:
        """Describe the replication in the API's terms."""
        destination = {
            "Status": self.status,
            "StatusMessage": self.message,
            "FileSystemId": self.destination_id,
            "Region": self.destination_region,
            "OwnerId": self.owner,
            "RoleArn": self.role_arn,
            "LastReplicatedTimestamp": self.last_sync,
        }
        return {
            "SourceFileSystemId": self.source_id,
            "SourceFileSystemRegion": self.source_region,
            "SourceFileSystemArn": self.source_arn,
            "OriginalSourceFileSystemArn": self.source_arn,
            "SourceFileSystemOwnerId": self.owner,
            "CreationTime": self.created,
            "Destinations": [{k: v for k, v in destination.items() if v is not None}],
        }


class Replications(list[Replication]):
    """The replications from and to one region's file systems.

    Each region has its own record: one that is cut off still answers, and can end its side.
    """

    def of(self, file_system_id: str) -> Replication | None:
        """Give the replication that a file system takes part in, on either end."""
        id_ = file_system_id.rpartition("/")[2]
        return next((r for r in self if id_ in {r.source_id, r.destination_id}), None)


def _backend(call: Call, region: str | None = None) -> EFSBackend:
    return efs_backends[call.account][region or call.region]


def _file_system(call: Call, id_: str, region: str | None = None) -> FileSystem:
    found = _backend(call, region).file_systems_by_id.get(id_.rpartition("/")[2])
    if found is None:
        raise ServiceError("FileSystemNotFound", f"File system '{id_}' does not exist.")
    return found


def _protect(files: FileSystem, status: str) -> None:
    """Set a file system's protection; moto describes every attribute of its model."""
    files.file_system_protection = {"ReplicationOverwriteProtection": status}


@operation("efs", "CreateFileSystem")
def create_file_system(call: Call) -> Mapping[str, Any]:
    """Create a file system, protected, with the ARN of its key."""
    key = call.params.get("KmsKeyId")
    encrypted = call.params.get("Encrypted") or key
    arn = key_arn(call, key, "elasticfilesystem") if encrypted else None
    answer = call.moto()
    files = _file_system(call, answer["FileSystemId"])
    files.kms_key_id = arn
    _protect(files, "ENABLED")
    return _described(call, files)


def _described(call: Call, files: FileSystem) -> dict[str, Any]:
    client = call.twin.client("efs", call.region)
    answer = client.describe_file_systems(FileSystemId=files.file_system_id)
    found: dict[str, Any] = answer["FileSystems"][0]
    return found


@operation("efs", "UpdateFileSystem")
def update_file_system(call: Call) -> Mapping[str, Any]:
    """Change the throughput mode."""
    files = _file_system(call, call.params["FileSystemId"])
    mode = call.params.get("ThroughputMode", files.throughput_mode)
    provisioned = call.params.get("ProvisionedThroughputInMibps")
    if (mode == "provisioned") != (provisioned is not None):
        raise ServiceError(
            "BadRequest", "ProvisionedThroughputInMibps goes with the mode 'provisioned', only"
        )
    files.throughput_mode, files.provisioned_throughput_in_mibps = mode, provisioned
    return _described(call, files)


@operation("efs", "DeleteFileSystem")
def delete_file_system(call: Call) -> Mapping[str, Any]:
    """Delete a file system that is no part of a replication."""
    id_ = call.params["FileSystemId"]
    if call.store(Replications).of(id_):
        raise ServiceError(
            "FileSystemInUse",
            f"File system '{id_}' is part of a replication configuration; delete that first.",
        )
    return call.moto()


@operation("efs", "UpdateFileSystemProtection")
def update_file_system_protection(call: Call) -> Mapping[str, Any]:
    """Let a file system become the destination of a replication, or forbid it."""
    files = _file_system(call, call.params["FileSystemId"])
    replication = call.store(Replications).of(files.file_system_id)
    if replication and replication.destination_id == files.file_system_id:
        raise ServiceError(
            "ReplicationAlreadyExists",
            f"File system '{files.file_system_id}' is the destination of a replication.",
        )
    _protect(files, call.params["ReplicationOverwriteProtection"])
    return dict(files.file_system_protection)


@operation("efs", "DescribeFileSystemPolicy")
@operation("efs", "PutFileSystemPolicy")
@operation("efs", "CreateAccessPoint")
def for_existing(call: Call) -> Mapping[str, Any]:
    """Refuse a file system that does not exist, where moto would fail or not care."""
    _file_system(call, call.params["FileSystemId"])
    return call.moto()


@operation("efs", "DeleteFileSystemPolicy")
def delete_file_system_policy(call: Call) -> None:
    """Leave a file system with EFS's default policy, which is none."""
    _file_system(call, call.params["FileSystemId"]).file_system_policy = None


class _BackupPolicies(dict[str, str]):
    """The backup policies that were put, by file system."""


@operation("efs", "PutBackupPolicy")
def put_backup_policy(call: Call) -> Mapping[str, Any]:
    """Turn automatic backups on or off."""
    files = _file_system(call, call.params["FileSystemId"])
    status = call.params["BackupPolicy"]["Status"]
    call.store(_BackupPolicies)[files.file_system_id] = status
    return {"BackupPolicy": {"Status": status}}


@operation("efs", "DescribeBackupPolicy")
def describe_backup_policy(call: Call) -> Mapping[str, Any]:
    """Say whether automatic backups are on."""
    files = _file_system(call, call.params["FileSystemId"])
    if status := call.store(_BackupPolicies).get(files.file_system_id):
        return {"BackupPolicy": {"Status": status}}
    return call.moto()


@operation("efs", "CreateReplicationConfiguration")
def create_replication_configuration(call: Call) -> Mapping[str, Any]:
    """Begin to replicate a file system, to one that exists or that is made for it."""
    source = _file_system(call, call.params["SourceFileSystemId"])
    replications = call.store(Replications)
    if replications.of(source.file_system_id):
        raise ServiceError(
            "ConflictException",
            f"File system '{source.file_system_id}' is in a replication configuration already.",
        )
    (wanted,) = call.params["Destinations"]
    region = wanted.get("Region", call.region)
    destination = _destination(call, source, wanted, region)
    now = datetime.now(UTC)

    def record() -> Replication:
        return Replication(
            source_id=source.file_system_id,
            source_region=call.region,
            source_arn=source.file_system_arn,
            owner=call.account,
            destination_id=destination.file_system_id,
            destination_region=region,
            role_arn=wanted.get("RoleArn"),
            created=now,
            last_sync=now,  # the first synchronization is done: there were no files before it
        )

    _protect(destination, "REPLICATING")
    replications.append(record())
    if region != call.region:
        call.twin.store(Replications, region).append(record())
    return replications[-1].describe()


def _destination(
    call: Call, source: FileSystem, wanted: Mapping[str, Any], region: str
) -> FileSystem:
    """Find the destination and see that it may be one, or make it."""
    if id_ := wanted.get("FileSystemId"):
        found = _file_system(call, id_, region)
        if found.file_system_protection["ReplicationOverwriteProtection"] != "DISABLED":
            raise ServiceError(
                "BadRequest",
                f"File system '{id_}' has replication overwrite protection; disable it first.",
            )
        if source.encrypted and not found.encrypted:
            raise ServiceError(
                "BadRequest", f"File system '{id_}' is not encrypted, and its source is."
            )
        return found
    options = {key: wanted[key] for key in ("KmsKeyId", "AvailabilityZoneName") if key in wanted}
    made = call.twin.client("efs", region).create_file_system(
        CreationToken=f"destination-{source.file_system_id}",
        Encrypted=True,
        PerformanceMode=source.performance_mode,
        **options,
    )
    return _file_system(call, made["FileSystemId"], region)


@operation("efs", "DescribeReplicationConfigurations")
def describe_replication_configurations(call: Call) -> Mapping[str, Any]:
    """Describe the region's replications, or the one of a file system on either end."""
    replications: Iterable[Replication] = call.store(Replications)
    if id_ := call.params.get("FileSystemId"):
        _file_system(call, id_)
        found = call.store(Replications).of(id_)
        if found is None:
            raise _no_replication(id_)
        replications = [found]
    return {"Replications": [replication.describe() for replication in replications]}


def _no_replication(id_: str) -> ServiceError:
    return ServiceError(
        "ReplicationNotFound", f"File system '{id_}' has no replication configuration."
    )


@operation("efs", "DeleteReplicationConfiguration")
def delete_replication_configuration(call: Call) -> None:
    """End a replication; its destination becomes writable, and protected again.

    From either region; with ``LOCAL_CONFIGURATION_ONLY`` without asking the other one, which is
    how the destination goes on when the source's region is gone.
    """
    id_ = call.params["SourceFileSystemId"]
    found = call.store(Replications).of(id_)
    if found is None:
        raise _no_replication(id_)
    local_only = call.params.get("DeletionMode") == "LOCAL_CONFIGURATION_ONLY"
    for region in {found.source_region, found.destination_region}:
        records = call.twin.store(Replications, region)
        record = records.of(id_)
        if record is None:
            continue
        if local_only and region != call.region:
            record.status, record.message = "ERROR", "The other side's configuration was deleted."
            continue
        records.remove(record)
        destination = _backend(call, region).file_systems_by_id.get(found.destination_id)
        if destination and region == found.destination_region:
            _protect(destination, "ENABLED")
