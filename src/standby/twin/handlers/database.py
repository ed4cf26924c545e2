"""Database: RDS instances, and the groups of subnets and of parameters they are in.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon Relational
Database Service".
"""

from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Resource, gone_is_fine, handler
from standby.twin.services.database_groups import apply_method
from standby.twin.shapes import call

PARAMETERS_PER_CALL = 20
_RENAMED = {"VPCSecurityGroups": "VpcSecurityGroupIds"}
_AT_CREATION = (
    "AvailabilityZone",
    "DBInstanceIdentifier",
    "EnableCloudwatchLogsExports",
    "KmsKeyId",
    "Port",
)
"""What is stated at creation, and cannot be changed or is stated otherwise then."""
_CHANGEABLE = (
    "AutoMinorVersionUpgrade",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBParameterGroupName",
    "DBSubnetGroupName",
    "DatabaseInsightsMode",
    "DeletionProtection",
    "EnableIAMDatabaseAuthentication",
    "EnablePerformanceInsights",
    "Iops",
    "MaxAllocatedStorage",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "MultiAZ",
    "NetworkType",
    "OptionGroupName",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
    "PubliclyAccessible",
    "StorageThroughput",
    "StorageType",
    "VPCSecurityGroups",
)
_OF_A_WRITER = (
    "AllocatedStorage",
    "BackupRetentionPeriod",
    "EngineVersion",
    "LicenseModel",
    "MasterUserPassword",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
)
"""What can change too, and what a replica has from its source."""
_OF_A_NEW_WRITER = ("DBName", "Engine", "MasterUsername", "StorageEncrypted")
_FIXED = ("AvailabilityZone", "Engine", "SourceDBInstanceIdentifier")
"""What AWS replaces the instance for, in some cases, and the twin refuses to change."""


class _RdsResource(Configured):
    """A resource of RDS that takes tags.

    Attributes:
        arn_attribute: Which of its attributes is its ARN.
    """

    arn_attribute: str

    def configure(self, r: Resource) -> None:
        """Bring the tags to what is wanted; at creation they are given with the rest."""
        if not r.previous:
            return
        rds, resource = r.client("rds"), {"ResourceName": r.attributes[self.arn_attribute]}
        if dropped := r.dropped_tags():
            rds.remove_tags_from_resource(**resource, TagKeys=dropped)
        if tags := r.all_tags():
            rds.add_tags_to_resource(**resource, Tags=tags)


@handler("AWS::RDS::DBInstance")
class DbInstance(_RdsResource):
    """A database: a writer of its own, or the replica of another one."""

    arn_attribute = "DBInstanceArn"

    def make(self, r: Resource) -> Created:
        """Create the instance, or the replica of ``SourceDBInstanceIdentifier``."""
        wanted = r.properties
        arguments = _named(wanted.pick(*_CHANGEABLE, *_AT_CREATION))
        arguments["Tags"] = r.all_tags()
        name = r.generated_name(63).lower().replace("--", "-")
        arguments.setdefault("DBInstanceIdentifier", name)
        for key in ("AllowMajorVersionUpgrade", "DeleteAutomatedBackups"):
            wanted.get(key)  # read when the instance is changed, and when it is deleted
        if "SourceDBInstanceIdentifier" in wanted:
            instance = self._replica(r, arguments)
        else:
            arguments |= wanted.pick(*_OF_A_WRITER, *_OF_A_NEW_WRITER) | _managed_password(wanted)
            instance = call(r.client("rds"), "CreateDBInstance", **arguments)["DBInstance"]
        return Created(instance["DBInstanceIdentifier"], _attributes(instance))

    @staticmethod
    def _replica(r: Resource, arguments: dict[str, Any]) -> dict[str, Any]:
        source = r.properties["SourceDBInstanceIdentifier"]
        region = r.properties.get("SourceRegion")
        if region and source.startswith("arn:") and source.split(":")[3] != region:
            raise TemplateError(f"{r.logical_id}: {source} is not in SourceRegion {region}")
        inherited = {*_OF_A_WRITER, *_OF_A_NEW_WRITER} - {"Engine"}
        if stated := sorted(inherited & set(r.properties)):
            raise TemplateError(
                f"{r.logical_id}: a replica has {', '.join(stated)} from its source; leave it out"
            )
        answer = call(
            r.client("rds"),
            "CreateDBInstanceReadReplica",
            SourceDBInstanceIdentifier=source,
            **arguments,
        )
        instance: dict[str, Any] = answer["DBInstance"]
        engine = r.properties.get("Engine", instance["Engine"])
        if engine != instance["Engine"]:
            raise TemplateError(f"{r.logical_id}: its source is {instance['Engine']}, not {engine}")
        return instance

    def update(self, r: Resource) -> Created:
        """Change the instance at once; one that has no source any more is promoted."""
        super().configure(r)
        rds, named = r.client("rds"), {"DBInstanceIdentifier": r.physical_id}
        wanted = r.properties
        promoted = "SourceDBInstanceIdentifier" in r.previous and not wanted.get(
            "SourceDBInstanceIdentifier"
        )
        for key in _FIXED:
            if r.changed(key) and not (promoted and key == "SourceDBInstanceIdentifier"):
                raise TemplateError(f"{r.logical_id}: the twin cannot change {key} of an instance")
        if promoted:
            backups = wanted.pick("BackupRetentionPeriod", "PreferredBackupWindow")
            call(rds, "PromoteReadReplica", **named, **backups)
        if changes := self._changes(r):
            options = wanted.pick("AllowMajorVersionUpgrade")
            call(rds, "ModifyDBInstance", **named, **options, **changes, ApplyImmediately=True)
        if r.changed("DBParameterGroupName"):
            rds.reboot_db_instance(**named)
        wanted.get("DeleteAutomatedBackups")
        instance = rds.describe_db_instances(**named)["DBInstances"][0]
        return Created(r.physical_id, _attributes(instance))

    @staticmethod
    def _changes(r: Resource) -> dict[str, Any]:
        """Say the changes in the terms of ModifyDBInstance; what a template drops stays as is."""
        changed = (key for key in (*_CHANGEABLE, *_OF_A_WRITER) if r.changed(key))
        changes = _named(r.properties.pick(*changed))
        if r.changed("Port"):
            changes |= {"DBPortNumber": r.properties.get("Port")}
        if r.changed("EnableCloudwatchLogsExports"):
            before = r.previous.get("EnableCloudwatchLogsExports", [])
            after = r.properties.get("EnableCloudwatchLogsExports", [])
            changes["CloudwatchLogsExportConfiguration"] = {
                "EnableLogTypes": [log for log in after if log not in before],
                "DisableLogTypes": [log for log in before if log not in after],
            }
        if r.changed("ManageMasterUserPassword", "MasterUserSecret"):
            changes |= _managed_password(r.properties)
        return changes

    def delete(self, r: Resource) -> None:
        """Delete the instance, with a final snapshot where the policy asks for one."""
        options: dict[str, Any] = {"SkipFinalSnapshot": True}
        if r.policies.get("DeletionPolicy") == "Snapshot" and not self._is_replica(r):
            name = f"{r.stack_name}-snapshot-{r.logical_id}-{r.generated_name()[-12:]}".lower()
            options = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": name}
        if "DeleteAutomatedBackups" in r.properties:
            options["DeleteAutomatedBackups"] = r.properties["DeleteAutomatedBackups"]
        with gone_is_fine():
            call(r.client("rds"), "DeleteDBInstance", DBInstanceIdentifier=r.physical_id, **options)

    @staticmethod
    def _is_replica(r: Resource) -> bool:
        """Ask RDS, since a replica may have been promoted behind the template's back."""
        with gone_is_fine():
            answer = r.client("rds").describe_db_instances(DBInstanceIdentifier=r.physical_id)
            return "ReadReplicaSourceDBInstanceIdentifier" in answer["DBInstances"][0]
        return False


def _named(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(key, key): value for key, value in properties.items()}


def _managed_password(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments for a password that RDS keeps in a secret of its own."""
    found = {}
    if "ManageMasterUserPassword" in properties:
        found["ManageMasterUserPassword"] = properties["ManageMasterUserPassword"]
    if key := properties.get("MasterUserSecret", {}).get("KmsKeyId"):
        found["MasterUserSecretKmsKeyId"] = key
    return found


def _attributes(instance: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "DBInstanceArn": instance["DBInstanceArn"],
        "DBInstanceStatus": instance["DBInstanceStatus"],
        "DbiResourceId": instance["DbiResourceId"],
        "Endpoint.Address": instance["Endpoint"]["Address"],
        "Endpoint.Port": str(instance["Endpoint"]["Port"]),
        "InstanceCreateTime": instance["InstanceCreateTime"].isoformat(),
        "CertificateDetails.CAIdentifier": instance["CACertificateIdentifier"],
    }
    if secret := instance.get("MasterUserSecret"):
        found["MasterUserSecret.SecretArn"] = secret["SecretArn"]
    return found


@handler("AWS::RDS::DBSubnetGroup")
class DbSubnetGroup(_RdsResource):
    """The subnets that an instance may be in, of two zones or more."""

    arn_attribute = "DBSubnetGroupArn"

    def make(self, r: Resource) -> Created:
        """Create the group."""
        group = r.client("rds").create_db_subnet_group(
            DBSubnetGroupName=r.properties.get("DBSubnetGroupName")
            or r.generated_name(255).lower(),
            Tags=r.all_tags(),
            **r.properties.pick("DBSubnetGroupDescription", "SubnetIds"),
        )["DBSubnetGroup"]
        return Created(group["DBSubnetGroupName"], {"DBSubnetGroupArn": group["DBSubnetGroupArn"]})

    def configure(self, r: Resource) -> None:
        """Set tags and, after creation, description and subnets."""
        super().configure(r)
        if r.previous and r.changed("DBSubnetGroupDescription", "SubnetIds"):
            r.client("rds").modify_db_subnet_group(
                DBSubnetGroupName=r.physical_id,
                **r.properties.pick("DBSubnetGroupDescription", "SubnetIds"),
            )

    def delete(self, r: Resource) -> None:
        """Delete the group; an instance in it forbids that."""
        with gone_is_fine():
            r.client("rds").delete_db_subnet_group(DBSubnetGroupName=r.physical_id)


@handler("AWS::RDS::DBParameterGroup")
class DbParameterGroup(_RdsResource):
    """Settings of the database engine that differ from its defaults."""

    arn_attribute = "DBParameterGroupArn"

    def make(self, r: Resource) -> Created:
        """Create the group with the engine's defaults."""
        group = r.client("rds").create_db_parameter_group(
            DBParameterGroupName=r.properties.get("DBParameterGroupName")
            or r.generated_name(255).lower(),
            DBParameterGroupFamily=r.properties["Family"],
            Tags=r.all_tags(),
            **r.properties.pick("Description"),
        )["DBParameterGroup"]
        arn = group["DBParameterGroupArn"]
        return Created(group["DBParameterGroupName"], {"DBParameterGroupArn": arn})

    def configure(self, r: Resource) -> None:
        """Set tags and parameters; static ones wait for the instances' next reboot."""
        super().configure(r)
        rds, group = r.client("rds"), {"DBParameterGroupName": r.physical_id}
        before = r.previous.get("Parameters", {})
        after = r.properties.get("Parameters", {})
        dropped = [{"ParameterName": name} for name in before if name not in after]
        changed = [
            {"ParameterName": name, "ParameterValue": value}
            for name, value in after.items()
            if value != before.get(name)
        ]
        for operation, parameters in (
            ("ResetDBParameterGroup", dropped),
            ("ModifyDBParameterGroup", changed),
        ):
            for start in range(0, len(parameters), PARAMETERS_PER_CALL):
                batch = [
                    {**parameter, "ApplyMethod": apply_method(parameter["ParameterName"])}
                    for parameter in parameters[start : start + PARAMETERS_PER_CALL]
                ]
                call(rds, operation, **group, Parameters=batch)

    def delete(self, r: Resource) -> None:
        """Delete the group; an instance that uses it forbids that."""
        with gone_is_fine():
            r.client("rds").delete_db_parameter_group(DBParameterGroupName=r.physical_id)
