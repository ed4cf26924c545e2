"""Database: exposed, without backups, without its replica, its credentials in one region only."""

from typing import Any

from breakages import Place, Steps, breaks, given
from breakages.network import subnet_of
from breakages.security import IPV6, admitting, group_of, letting_out, tcp
from standby.verify import Side
from standby.verify.probes.database import instance
from standby.verify.probes.security import security_groups

ORIGIN = ("DBInstanceClass", "StorageType", "MultiAZ", "KmsKeyId", "MonitoringInterval",
          "MonitoringRoleArn", "PubliclyAccessible", "CopyTagsToSnapshot")  # fmt: skip
"""What a replica is created with, as its description names it."""


def _changed(here: Place, heard: str, **changes: tuple[Any, Any]) -> Steps:
    """Change the instance at once, for a while; each change is what it will be, and was."""
    name = {"DBInstanceIdentifier": instance(here.site)["DBInstanceIdentifier"]}
    for version in (0, 1):
        values = {key: pair[version] for key, pair in changes.items()}
        here.call("rds:ModifyDBInstance", **name, ApplyImmediately=True, **values)
        if version == 0:
            yield heard


@breaks("database.available")
def the_database_is_in_one_zone(here: Place) -> Steps:
    yield from _changed(here, "MultiAZ False", MultiAZ=(False, True))


@breaks("database.available")
def the_outputs_name_another_database(here: Place) -> Steps:
    here.put_out(DbEndpoint="db-other")
    yield instance(here.site)["Endpoint"]["Address"]


@breaks("database.encrypted")
def the_replica_is_under_another_key(here: Place) -> Steps:
    key = here.call("kms:CreateKey")["KeyMetadata"]["Arn"]
    steps = _recreated_replica(here, KmsKeyId=key)
    next(steps)
    yield f"KmsKeyId {key}"
    yield from steps


@breaks("database.isolated")
def the_database_is_public(here: Place) -> Steps:
    yield from _changed(here, "it is publicly accessible", PubliclyAccessible=(True, False))


@breaks("database.isolated")
def the_database_may_move_to_a_private_subnet(here: Place) -> Steps:
    group = instance(here.site)["DBSubnetGroup"]
    good = [subnet["SubnetIdentifier"] for subnet in group["Subnets"]]
    private = subnet_of(here, "private")
    for subnets in ([*good, private], good):
        here.call(
            "rds:ModifyDBSubnetGroup",
            DBSubnetGroupName=group["DBSubnetGroupName"],
            SubnetIds=subnets,
        )
        if subnets != good:
            yield f"{private} is private"


@breaks("database.group-closed")
def the_database_admits_another_port(here: Place) -> Steps:
    group = group_of(here, "Database")
    rule = tcp(22, IpRanges=[{"CidrIp": here.output("VpcCidr"), "Description": "a shell"}])
    yield from admitting(here, group, rule, f"{group} admits tcp 22")


@breaks("database.group-closed")
def the_database_admits_strangers(here: Place) -> Steps:
    group = group_of(here, "Database")
    rule = tcp(5432, IpRanges=[{"CidrIp": "203.0.113.0/24", "Description": "a stranger"}])
    yield from admitting(here, group, rule, f"{group} admits tcp 5432 from 203.0.113.0/24")


@breaks("database.group-closed")
def the_database_reaches_out(here: Place) -> Steps:
    group = group_of(here, "Database")
    yield from letting_out(here, group, tcp(443, **IPV6), f"{group} lets out tcp 443")


@breaks("database.admits-both-regions")
def the_other_region_is_locked_out(here: Place) -> Steps:
    yield from _revoked(here, "IpRanges", f"{here.other.output('VpcCidr')} is locked out")


@breaks("database.admits-both-regions")
def the_own_instances_are_locked_out(here: Place) -> Steps:
    instances = group_of(here, "Application")
    yield from _revoked(here, "UserIdGroupPairs", f"{instances} is locked out")


def _revoked(here: Place, kind: str, heard: str) -> Steps:
    id_ = group_of(here, "Database")
    (rules,) = [g["IpPermissions"] for g in security_groups(here.site) if g["GroupId"] == id_]
    (rule,) = [
        given(each, "IpProtocol", "FromPort", "ToPort") | {kind: each[kind]}
        for each in rules
        if each[kind]
    ]
    here.call("ec2:RevokeSecurityGroupIngress", GroupId=id_, IpPermissions=[rule])
    yield heard
    here.call("ec2:AuthorizeSecurityGroupIngress", GroupId=id_, IpPermissions=[rule])


@breaks("database.tls-forced")
def clients_may_speak_in_the_clear(here: Place) -> Steps:
    yield from _with_parameter(here, "rds.force_ssl", "0", "immediate")


@breaks("database.connections-parity")
def the_replica_allows_fewer_connections(here: Place) -> Steps:
    yield from _with_parameter(here, "max_connections", "20", "pending-reboot")
    here.call(
        "rds:RebootDBInstance",
        DBInstanceIdentifier=instance(here.site)["DBInstanceIdentifier"],
    )


def _with_parameter(here: Place, name: str, value: str, method: str) -> Steps:
    group = {
        "DBParameterGroupName": instance(here.site)["DBParameterGroups"][0]["DBParameterGroupName"]
    }
    (good,) = [
        parameter["ParameterValue"]
        for parameter in here.call("rds:DescribeDBParameters", **group)["Parameters"]
        if parameter["ParameterName"] == name
    ]
    for each in (value, good):
        change = {"ParameterName": name, "ParameterValue": each, "ApplyMethod": method}
        here.call("rds:ModifyDBParameterGroup", **group, Parameters=[change])
        if each == value:
            yield f"{name} {value}"


@breaks("database.insights")
def nobody_sees_what_the_database_does(here: Place) -> Steps:
    heard = "Performance Insights False"
    yield from _changed(here, heard, EnablePerformanceInsights=(False, True))


@breaks("database.insights")
def the_monitoring_is_off(here: Place) -> Steps:
    yield from _changed(here, "monitoring every 0 s", MonitoringInterval=(0, 60))


@breaks("database.backups", Side.PRIMARY)
def backups_are_kept_too_short(here: Place) -> Steps:
    yield from _changed(here, "active backups kept 3 days", BackupRetentionPeriod=(3, 7))


@breaks("database.names-replica", Side.PRIMARY)
def the_replica_was_promoted(here: Place) -> Steps:
    yield from _promoted(here.other, "no replica")


@breaks("database.replica-source")
def the_database_has_no_source(here: Place) -> Steps:
    yield from _promoted(here, "ReadReplicaSourceDBInstanceIdentifier absent")


@breaks("database.replica-replicates")
def nothing_is_replicated(here: Place) -> Steps:
    yield from _promoted(here, "no replication")


def _promoted(here: Place, heard: str) -> Steps:
    name = {"DBInstanceIdentifier": instance(here.site)["DBInstanceIdentifier"]}
    steps = _recreated_replica(here)
    next(steps)
    here.call("rds:PromoteReadReplica", **name)
    yield heard
    yield from steps


def _recreated_replica(here: Place, **changes: Any) -> Steps:
    """Make the replica anew, with changes; and once more, as it was."""
    before = instance(here.site)
    name = {"DBInstanceIdentifier": before["DBInstanceIdentifier"]}
    made = given(before, *ORIGIN) | {
        "SourceDBInstanceIdentifier": instance(here.other.site)["DBInstanceArn"],
        "SourceRegion": here.other.region,
        "DBSubnetGroupName": before["DBSubnetGroup"]["DBSubnetGroupName"],
        "DBParameterGroupName": before["DBParameterGroups"][0]["DBParameterGroupName"],
        "VpcSecurityGroupIds": [g["VpcSecurityGroupId"] for g in before["VpcSecurityGroups"]],
        "EnablePerformanceInsights": True,
        "Tags": before["TagList"],
    }
    for extra in (changes, {}):
        here.call("rds:DeleteDBInstance", **name, SkipFinalSnapshot=True)
        here.call("rds:CreateDBInstanceReadReplica", **name, **made | extra)
        if extra is changes:
            yield ""


@breaks("database.replica-parity")
def the_replica_is_smaller(here: Place) -> Steps:
    size = instance(here.site)["DBInstanceClass"]
    yield from _changed(here, "db.t4g.micro", DBInstanceClass=("db.t4g.micro", size))


@breaks("database.secret", Side.PRIMARY)
def the_credentials_are_in_one_region(here: Place) -> Steps:
    yield from _without_copy(here, f"found no copy of the secret in {here.other.region}")


@breaks("database.secret", Side.PRIMARY)
def the_credentials_are_under_another_key(here: Place) -> Steps:
    secret, key = {"SecretId": here.output("DbCredentialsSecret")}, here.output("KmsKeyArn")
    other = here.call("kms:CreateKey")["KeyMetadata"]["Arn"]
    here.call("secretsmanager:UpdateSecret", **secret, KmsKeyId=other)
    yield f"KmsKeyId {other}"
    here.call("secretsmanager:UpdateSecret", **secret, KmsKeyId=key)


@breaks("database.secret-copy")
def the_standby_has_no_credentials(here: Place) -> Steps:
    yield from _without_copy(here.other, "ResourceNotFound")


@breaks("database.secret-copy")
def the_copy_is_under_the_account_s_key(here: Place) -> Steps:
    steps = _without_copy(here.other, "")
    next(steps)
    secret = {"SecretId": here.other.output("DbCredentialsSecret")}
    here.other.call(
        "secretsmanager:ReplicateSecretToRegions",
        **secret,
        AddReplicaRegions=[{"Region": here.region}],
    )
    yield "KmsKeyId absent"
    here.other.call(
        "secretsmanager:RemoveRegionsFromReplication",
        **secret,
        RemoveReplicaRegions=[here.region],
    )
    yield from steps


def _without_copy(primary: Place, heard: str) -> Steps:
    secret, region = {"SecretId": primary.output("DbCredentialsSecret")}, primary.other.region
    primary.call(
        "secretsmanager:RemoveRegionsFromReplication", **secret, RemoveReplicaRegions=[region]
    )
    yield heard
    key = f"alias/standby-{primary.suffix}-{region}"
    primary.call(
        "secretsmanager:ReplicateSecretToRegions",
        **secret,
        AddReplicaRegions=[{"Region": region, "KmsKeyId": key}],
    )
