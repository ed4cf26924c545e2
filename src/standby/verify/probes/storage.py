"""Storage: the shared files of each side, and their way to the standby."""

from typing import Any

from standby.verify.outputs import Side
from standby.verify.policy import denies_plaintext, is_of_anyone, statements
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.probes.network import subnets
from standby.verify.probes.security import closed_to_all_but
from standby.verify.site import Site, only

NFS = 2049


@probe("storage.encrypted")
def encrypted(site: Site) -> Verdict:
    """The file system is available and encrypted with the key of its own region."""
    return expect_fields(
        file_system(site),
        LifeCycleState="available",
        Encrypted=True,
        KmsKeyId=site.output("KmsKeyArn"),
    )


@probe("storage.policy")
def policy(site: Site) -> Verdict:
    """The file system's policy denies what does not come over TLS, and is open to no stranger.

    To allow anyone who comes through a mount target, as EFS's own condition does, is to allow
    anyone: such clients have no identity.
    """
    answer = site.ask("efs:DescribeFileSystemPolicy", FileSystemId=site.output("EfsId"))
    found = statements(answer["Policy"])
    faults = [
        f"{statement.get('Sid', 'a statement')} is open to anyone"
        for statement in found
        if statement["Effect"] == "Allow" and is_of_anyone(statement)
    ]
    if not any(denies_plaintext(statement) for statement in found):
        faults.append("no statement denies plain NFS")
    return expect_faultless("plain NFS denied, open to no stranger", found, faults)


@probe("storage.mount-targets")
def mount_targets(site: Site) -> Verdict:
    """Every zone that has private subnets has an available mount target."""
    targets = _mount_targets(site)
    served = {t["AvailabilityZoneName"] for t in targets if t["LifeCycleState"] == "available"}
    zones = {subnet["AvailabilityZone"] for tier, subnet in subnets(site) if tier == "private"}
    faults = [f"none in {zone}" for zone in sorted(zones - served)]
    return expect_faultless(f"available in {', '.join(sorted(zones))}", zones, faults)


@probe("storage.group-closed")
def group_closed(site: Site) -> Verdict:
    """The mount targets' security groups admit NFS only, and let nothing out."""
    targets = _mount_targets(site)
    groups = {
        group
        for target in targets
        for group in site.ask(
            "efs:DescribeMountTargetSecurityGroups", MountTargetId=target["MountTargetId"]
        )["SecurityGroups"]
    }
    return closed_to_all_but(site, sorted(groups), NFS)


@probe("storage.access-point")
def access_point(site: Site) -> Verdict:
    """An access point makes every client an unprivileged user in a directory of its own."""
    answer = site.ask("efs:DescribeAccessPoints", FileSystemId=site.output("EfsId"))
    points = answer["AccessPoints"]
    faults = [
        f"{point['AccessPointId']} is {point['LifeCycleState']}, "
        f"user {point.get('PosixUser', {}).get('Uid', 'any')}, "
        f"root {point.get('RootDirectory', {}).get('Path', '/')}"
        for point in points
        if point["LifeCycleState"] != "available"
        or point.get("PosixUser", {}).get("Uid", 0) == 0
        or point.get("RootDirectory", {}).get("Path", "/") == "/"
    ]
    return expect_faultless("available, no root user, no root directory", points, faults)


@probe("storage.backups")
def backups(site: Site) -> Verdict:
    """The file system is backed up daily by AWS Backup."""
    answer = site.ask("efs:DescribeBackupPolicy", FileSystemId=site.output("EfsId"))
    return expect_fields(answer["BackupPolicy"], Status="ENABLED")


@probe("storage.lifecycle")
def lifecycle(site: Site) -> Verdict:
    """Files that nobody reads move to cheaper storage."""
    answer = site.ask("efs:DescribeLifecycleConfiguration", FileSystemId=site.output("EfsId"))
    rules = [
        f"{name} {value}" for rule in answer["LifecyclePolicies"] for name, value in rule.items()
    ]
    ok = any(rule.startswith("TransitionToIA") for rule in rules)
    return expect(ok, "TransitionToIA after some days", ", ".join(rules) or "no rule")


@probe("storage.replication", Side.PRIMARY)
def replication(site: Site) -> Verdict:
    """The primary's files are replicated to the standby's file system."""
    answer = site.ask("efs:DescribeReplicationConfigurations", FileSystemId=site.output("EfsId"))
    destinations = [
        destination
        for configuration in answer["Replications"]
        if configuration["SourceFileSystemId"] == site.output("EfsId")
        for destination in configuration["Destinations"]
    ]
    return expect_fields(
        only(destinations, "replication destination"),
        Status="ENABLED",
        Region=site.other.region,
        FileSystemId=site.other.output("EfsId"),
    )


@probe("storage.replica-read-only", Side.STANDBY)
def replica_read_only(site: Site) -> Verdict:
    """The standby's file system takes changes from replication only, until a failover ends it."""
    protection = file_system(site).get("FileSystemProtection", {})
    return expect_fields(protection, ReplicationOverwriteProtection="REPLICATING")


def file_system(site: Site) -> dict[str, Any]:
    """Describe the side's file system."""
    answer = site.ask("efs:DescribeFileSystems", FileSystemId=site.output("EfsId"))
    return only(answer["FileSystems"], f"file system {site.output('EfsId')}")


def _mount_targets(site: Site) -> list[dict[str, Any]]:
    answer = site.ask("efs:DescribeMountTargets", FileSystemId=site.output("EfsId"))
    targets: list[dict[str, Any]] = answer["MountTargets"]
    return targets
