"""Storage: files in the clear, out of reach, kept nowhere else."""

import json
from typing import Any

from breakages import Place, Steps, breaks
from breakages.security import IPV6, admitting, group_of, letting_out, tcp
from standby.verify import Side


def files(here: Place) -> dict[str, str]:
    """Name the file system, as the calls about it want it."""
    return {"FileSystemId": here.output("EfsId")}


@breaks("storage.encrypted")
def the_files_are_not_encrypted(here: Place) -> Steps:
    made = here.call("efs:CreateFileSystem", CreationToken="plain", Encrypted=False)
    here.put_out(EfsId=made["FileSystemId"])
    yield "Encrypted False"
    here.call("efs:DeleteFileSystem", FileSystemId=made["FileSystemId"])


@breaks("storage.policy")
def there_is_no_policy(here: Place) -> Steps:
    good = here.call("efs:DescribeFileSystemPolicy", **files(here))["Policy"]
    here.call("efs:DeleteFileSystemPolicy", **files(here))
    yield "PolicyNotFound"
    here.call("efs:PutFileSystemPolicy", **files(here), Policy=good)


@breaks("storage.policy")
def plain_nfs_is_denied_to_one_role_only(here: Place) -> Steps:
    def narrowed(statement: dict[str, Any]) -> dict[str, Any]:
        return statement | {"Principal": {"AWS": f"arn:aws:iam::{_account(here)}:role/one"}}

    yield from _with_policy(here, narrowed, "no statement denies plain NFS")


@breaks("storage.policy")
def whoever_reaches_a_mount_target_may_mount(here: Place) -> Steps:
    through = {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}
    anyone = {
        "Sid": "Anyone",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "elasticfilesystem:ClientMount",
        "Resource": "*",
        "Condition": through,
    }
    yield from _with_policy(here, lambda each: each, "Anyone is open to anyone", anyone)


def _with_policy(here: Place, change: Any, heard: str, *added: Any) -> Steps:
    good = here.call("efs:DescribeFileSystemPolicy", **files(here))["Policy"]
    document = json.loads(good)
    changed = [*map(change, document["Statement"]), *added]
    bad = json.dumps(document | {"Statement": changed})
    here.call("efs:PutFileSystemPolicy", **files(here), Policy=bad)
    yield heard
    here.call("efs:PutFileSystemPolicy", **files(here), Policy=good)


def _account(here: Place) -> str:
    return here.output("KmsKeyArn").split(":")[4]


@breaks("storage.mount-targets")
def a_zone_has_no_mount_target(here: Place) -> Steps:
    target = here.call("efs:DescribeMountTargets", **files(here))["MountTargets"][0]
    of_target = {"MountTargetId": target["MountTargetId"]}
    groups = here.call("efs:DescribeMountTargetSecurityGroups", **of_target)["SecurityGroups"]
    here.call("efs:DeleteMountTarget", **of_target)
    yield f"none in {target['AvailabilityZoneName']}"
    here.call(
        "efs:CreateMountTarget",
        **files(here),
        SubnetId=target["SubnetId"],
        SecurityGroups=groups,
    )


@breaks("storage.group-closed")
def the_mount_targets_admit_another_port(here: Place) -> Steps:
    group = group_of(here, "Shared files")
    rule = tcp(22, IpRanges=[{"CidrIp": here.output("VpcCidr"), "Description": "a shell"}])
    yield from admitting(here, group, rule, f"{group} admits tcp 22")


@breaks("storage.group-closed")
def the_mount_targets_lead_out_by_ipv6(here: Place) -> Steps:
    group = group_of(here, "Shared files")
    rule = {"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, **IPV6}
    yield from letting_out(here, group, rule, f"{group} lets out icmp 252-86")


@breaks("storage.access-point")
def an_access_point_makes_everybody_root(here: Place) -> Steps:
    made = here.call(
        "efs:CreateAccessPoint", **files(here), ClientToken="root", PosixUser={"Uid": 0, "Gid": 0}
    )
    yield f"{made['AccessPointId']} is available, user 0, root /"
    here.call("efs:DeleteAccessPoint", AccessPointId=made["AccessPointId"])


@breaks("storage.backups")
def the_files_are_not_backed_up(here: Place) -> Steps:
    here.call("efs:PutBackupPolicy", **files(here), BackupPolicy={"Status": "DISABLED"})
    yield "Status DISABLED"
    here.call("efs:PutBackupPolicy", **files(here), BackupPolicy={"Status": "ENABLED"})


@breaks("storage.lifecycle")
def files_stay_where_they_are(here: Place) -> Steps:
    good = here.call("efs:DescribeLifecycleConfiguration", **files(here))["LifecyclePolicies"]
    here.call("efs:PutLifecycleConfiguration", **files(here), LifecyclePolicies=[])
    yield "no rule"
    here.call("efs:PutLifecycleConfiguration", **files(here), LifecyclePolicies=good)


@breaks("storage.replication", Side.PRIMARY)
def the_files_are_replicated_nowhere(here: Place) -> Steps:
    yield from _without_replication(here, "ReplicationNotFound")


@breaks("storage.replication", Side.PRIMARY)
def the_files_are_replicated_to_another_place(here: Place) -> Steps:
    steps = _without_replication(here, "")
    next(steps)
    source = {"SourceFileSystemId": here.output("EfsId")}
    made = here.call(
        "efs:CreateReplicationConfiguration", **source, Destinations=[{"Region": "eu-west-1"}]
    )
    yield f"Region eu-west-1, FileSystemId {made['Destinations'][0]['FileSystemId']}"
    here.call("efs:DeleteReplicationConfiguration", **source)
    yield from steps


@breaks("storage.replica-read-only")
def the_standby_is_written_to(here: Place) -> Steps:
    yield from _without_replication(here.other, "ReplicationOverwriteProtection ENABLED")


def _without_replication(primary: Place, heard: str) -> Steps:
    source, destination = {"SourceFileSystemId": primary.output("EfsId")}, files(primary.other)
    primary.call("efs:DeleteReplicationConfiguration", **source)
    yield heard
    primary.other.call(
        "efs:UpdateFileSystemProtection",
        **destination,
        ReplicationOverwriteProtection="DISABLED",
    )
    primary.call(
        "efs:CreateReplicationConfiguration",
        **source,
        Destinations=[{"Region": primary.other.region, **destination}],
    )
