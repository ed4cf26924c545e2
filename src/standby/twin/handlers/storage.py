"""Storage: shared file systems, where they are mounted and through which doors.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon Elastic
File System".
"""

from standby.twin.handlers import Configured, Created, Resource, gone_is_fine, handler
from standby.twin.shapes import call


class _Tagged(Configured):
    """A resource of EFS that takes tags under a name of its own."""

    tag_property: str

    def tag(self, r: Resource) -> None:
        """Bring the tags of an existing resource to what is wanted."""
        if not r.previous:
            return
        efs, resource = r.client("efs"), {"ResourceId": r.physical_id}
        if dropped := r.dropped_tags(self.tag_property):
            efs.untag_resource(**resource, TagKeys=dropped)
        if tags := r.all_tags(self.tag_property):
            efs.tag_resource(**resource, Tags=tags)


@handler("AWS::EFS::FileSystem")
class FileSystem(_Tagged):
    """Files that many instances mount, and their copy in another region."""

    tag_property = "FileSystemTags"

    def make(self, r: Resource) -> Created:
        """Create the file system."""
        efs = r.client("efs")
        wanted = r.properties.pick(
            "AvailabilityZoneName",
            "Encrypted",
            "KmsKeyId",
            "PerformanceMode",
            "ProvisionedThroughputInMibps",
            "ThroughputMode",
        )
        tags = r.all_tags(self.tag_property)
        arguments = {"CreationToken": r.generated_name(), "Tags": tags} | wanted
        found = call(efs, "CreateFileSystem", **arguments)
        id_, arn = found["FileSystemId"], found["FileSystemArn"]
        return Created(id_, {"Arn": arn, "FileSystemId": id_})

    def configure(self, r: Resource) -> None:
        """Set policy, backups, lifecycle, protection and replication."""
        self.tag(r)
        efs, files, wanted = r.client("efs"), {"FileSystemId": r.physical_id}, r.properties
        throughput = ("ThroughputMode", "ProvisionedThroughputInMibps")
        if r.previous and r.changed(*throughput):
            arguments = files | {"ThroughputMode": "bursting"} | wanted.pick(*throughput)
            call(efs, "UpdateFileSystem", **arguments)
        if r.changed("FileSystemPolicy", "BypassPolicyLockoutSafetyCheck"):
            if "FileSystemPolicy" in wanted:
                options = wanted.pick("BypassPolicyLockoutSafetyCheck")
                document = wanted.document("FileSystemPolicy")
                efs.put_file_system_policy(**files, Policy=document, **options)
            else:
                efs.delete_file_system_policy(**files)
        if r.changed("BackupPolicy"):
            policy = wanted.get("BackupPolicy", {"Status": "DISABLED"})
            efs.put_backup_policy(**files, BackupPolicy=policy)
        if r.changed("LifecyclePolicies"):
            policies = wanted.get("LifecyclePolicies", [])
            efs.put_lifecycle_configuration(**files, LifecyclePolicies=policies)
        if r.changed("FileSystemProtection"):
            protection = wanted.get("FileSystemProtection", {})
            efs.update_file_system_protection(
                **files, **{"ReplicationOverwriteProtection": "ENABLED"} | protection
            )
        if r.changed("ReplicationConfiguration"):
            self._replicate(r)

    @staticmethod
    def _replicate(r: Resource) -> None:
        efs, source = r.client("efs"), {"SourceFileSystemId": r.physical_id}
        if "ReplicationConfiguration" in r.previous:
            efs.delete_replication_configuration(**source)
        if configuration := r.properties.get("ReplicationConfiguration"):
            destinations = [
                {key: value for key, value in destination.items() if not key.startswith("Status")}
                for destination in configuration["Destinations"]
            ]
            efs.create_replication_configuration(**source, Destinations=destinations)

    def delete(self, r: Resource) -> None:
        """End the replication from it, then delete it; mount targets forbid that."""
        efs = r.client("efs")
        if "ReplicationConfiguration" in r.properties:
            with gone_is_fine():
                efs.delete_replication_configuration(SourceFileSystemId=r.physical_id)
        with gone_is_fine():
            efs.delete_file_system(FileSystemId=r.physical_id)


@handler("AWS::EFS::MountTarget")
class MountTarget(Configured):
    """A file system's network interface in one Availability Zone."""

    def make(self, r: Resource) -> Created:
        """Create the mount target."""
        target = r.client("efs").create_mount_target(
            **r.properties.pick(
                "FileSystemId",
                "IpAddress",
                "IpAddressType",
                "Ipv6Address",
                "SecurityGroups",
                "SubnetId",
            )
        )
        id_ = target["MountTargetId"]
        return Created(id_, {"Id": id_, "IpAddress": target["IpAddress"]})

    def configure(self, r: Resource) -> None:
        """Change the security groups."""
        if r.previous and r.changed("SecurityGroups"):
            r.client("efs").modify_mount_target_security_groups(
                MountTargetId=r.physical_id, **r.properties.pick("SecurityGroups")
            )

    def delete(self, r: Resource) -> None:
        """Delete the mount target with its interface."""
        with gone_is_fine():
            r.client("efs").delete_mount_target(MountTargetId=r.physical_id)


@handler("AWS::EFS::AccessPoint")
class AccessPoint(_Tagged):
    """A door into a file system, with a user and a root directory of its own."""

    tag_property = "AccessPointTags"

    def make(self, r: Resource) -> Created:
        """Create the access point."""
        efs = r.client("efs")
        wanted = r.properties.pick("ClientToken", "FileSystemId", "PosixUser", "RootDirectory")
        tags = r.all_tags(self.tag_property)
        arguments = {"ClientToken": r.generated_name(), "Tags": tags} | wanted
        point = call(efs, "CreateAccessPoint", **arguments)
        id_, arn = point["AccessPointId"], point["AccessPointArn"]
        return Created(id_, {"AccessPointId": id_, "Arn": arn})

    def configure(self, r: Resource) -> None:
        """Bring the tags to what is wanted; nothing else can change."""
        self.tag(r)

    def delete(self, r: Resource) -> None:
        """Delete the access point; the files behind it stay."""
        with gone_is_fine():
            r.client("efs").delete_access_point(AccessPointId=r.physical_id)
