"""Database: the writer, its replica in the other region, and the credentials of both."""

from typing import Any

from standby.verify.outputs import Side
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.probes.compute import launch_template
from standby.verify.probes.network import subnets
from standby.verify.probes.security import closed_to_all_but, ends, security_groups
from standby.verify.site import Site, only

POSTGRESQL = 5432
SERVING = ("available", "backing-up", "storage-optimization")
"""States in which an instance serves as ever: backups are daily, with Multi-AZ from the spare (RDS
user guide, "DB instance status")."""
MIN_RETENTION_DAYS = 7


@probe("database.available")
def available(site: Site) -> Verdict:
    """The database is available, at the endpoint that its stack put out, spread over two zones."""
    database = instance(site)
    status = database["DBInstanceStatus"]
    seen = database | {"Endpoint": database.get("Endpoint", {}).get("Address")}
    return expect_fields(
        seen,
        DBInstanceStatus=status if status in SERVING else "available",
        MultiAZ=True,
        Endpoint=site.output("DbEndpoint"),
    )


@probe("database.encrypted")
def encrypted(site: Site) -> Verdict:
    """The database is encrypted with the key of its own region."""
    return expect_fields(instance(site), StorageEncrypted=True, KmsKeyId=site.output("KmsKeyArn"))


@probe("database.isolated")
def isolated(site: Site) -> Verdict:
    """The database has no public address, and lives in subnets that lead nowhere."""
    database = instance(site)
    tiers = {subnet["SubnetId"]: tier for tier, subnet in subnets(site)}
    members = database["DBSubnetGroup"]["Subnets"]
    faults = [
        f"{member['SubnetIdentifier']} is {tiers.get(member['SubnetIdentifier'], 'elsewhere')}"
        for member in members
        if tiers.get(member["SubnetIdentifier"]) != "isolated"
    ]
    if database["PubliclyAccessible"]:
        faults.append("it is publicly accessible")
    return expect_faultless("only isolated subnets, no public address", members, faults)


@probe("database.group-closed")
def group_closed(site: Site) -> Verdict:
    """The database's security groups admit PostgreSQL from both networks, and nothing else."""
    return closed_to_all_but(site, _group_ids(site), POSTGRESQL)


@probe("database.admits-both-regions")
def admits_both_regions(site: Site) -> Verdict:
    """Both regions' instances may reach the database, as they must when it is the writer."""
    clients = {site.other.output("VpcCidr"), *launch_template(site)["SecurityGroupIds"]}
    ids = _group_ids(site)
    admitted = {
        end.get("CidrIp") or end.get("GroupId")
        for group in security_groups(site)
        if group["GroupId"] in ids
        for rule in group["IpPermissions"]
        if rule.get("FromPort") == POSTGRESQL
        for end in ends(rule)
    }
    faults = [f"{client} is locked out" for client in sorted(clients - admitted)]
    wanted = f"{POSTGRESQL} open to {' and '.join(sorted(clients))}"
    return expect_faultless(wanted, clients, faults)


@probe("database.tls-forced")
def tls_forced(site: Site) -> Verdict:
    """The database refuses connections without TLS, and the setting is in force."""
    groups = instance(site)["DBParameterGroups"]
    seen = {
        "rds.force_ssl": _parameter(site, "rds.force_ssl"),
        "ParameterApplyStatus": groups[0]["ParameterApplyStatus"],
    }
    return expect_fields(seen, **{"rds.force_ssl": "1", "ParameterApplyStatus": "in-sync"})


@probe("database.insights")
def insights(site: Site) -> Verdict:
    """Performance Insights and enhanced monitoring are on."""
    database = instance(site)
    ok = database["PerformanceInsightsEnabled"] and 0 < database["MonitoringInterval"] <= 60
    return expect(
        ok,
        "Performance Insights, monitoring every 60 s or less",
        f"Performance Insights {database['PerformanceInsightsEnabled']}, "
        f"monitoring every {database['MonitoringInterval']} s",
    )


@probe("database.backups", Side.PRIMARY)
def backups(site: Site) -> Verdict:
    """The writer keeps automated backups for a week or more, and can be restored from them."""
    retention = instance(site)["BackupRetentionPeriod"]
    answer = site.ask("rds:DescribeDBInstanceAutomatedBackups", DBInstanceIdentifier=_name(site))
    states = [backup["Status"] for backup in answer["DBInstanceAutomatedBackups"]]
    return expect(
        retention >= MIN_RETENTION_DAYS and "active" in states,
        f"active backups kept {MIN_RETENTION_DAYS} days or more",
        f"{', '.join(states) or 'no'} backups kept {retention} days",
    )


@probe("database.names-replica", Side.PRIMARY)
def names_replica(site: Site) -> Verdict:
    """The writer counts the standby's database among its replicas."""
    replicas = instance(site).get("ReadReplicaDBInstanceIdentifiers", [])
    replica = instance(site.other)["DBInstanceArn"]
    return expect(replica in replicas, replica, ", ".join(replicas) or "no replica")


@probe("database.replica-source", Side.STANDBY)
def replica_source(site: Site) -> Verdict:
    """The standby's database is a replica of the primary's, by its ARN."""
    source = instance(site.other)["DBInstanceArn"]
    return expect_fields(instance(site), ReadReplicaSourceDBInstanceIdentifier=source)


@probe("database.replica-replicates", Side.STANDBY)
def replica_replicates(site: Site) -> Verdict:
    """The replica follows its source."""
    states = [
        info["Status"]
        if info["Normal"]
        else f"{info['Status']}: {info.get('Message', 'not normal')}"
        for info in instance(site).get("StatusInfos", [])
        if info["StatusType"] == "read replication"
    ]
    return expect(states == ["replicating"], "replicating", ", ".join(states) or "no replication")


@probe("database.replica-parity", Side.STANDBY)
def replica_parity(site: Site) -> Verdict:
    """The replica has its source's engine and size, so that it can carry the same load."""
    source = instance(site.other)
    same = {name: source[name] for name in ("Engine", "EngineVersion", "DBInstanceClass")}
    return expect_fields(instance(site), **same)


@probe("database.connections-parity", Side.STANDBY)
def connections_parity(site: Site) -> Verdict:
    """The replica allows as many connections as its source, or PostgreSQL stops replaying."""
    source, replica = (_parameter(each, "max_connections") for each in (site.other, site))
    return expect(
        source is not None and replica == source,
        f"max_connections {source}",
        f"max_connections {replica}",
    )


@probe("database.secret", Side.PRIMARY)
def secret(site: Site) -> Verdict:
    """The credentials are encrypted with the primary's key, and replicated to the standby."""
    found = site.ask("secretsmanager:DescribeSecret", SecretId=site.output("DbCredentialsSecret"))
    copy = only(
        (c for c in found.get("ReplicationStatus", []) if c["Region"] == site.other.region),
        f"copy of the secret in {site.other.region}",
    )
    return expect_fields(
        {"KmsKeyId": _key_arn(site, found), "Copy": copy["Status"]},
        KmsKeyId=site.output("KmsKeyArn"),
        Copy="InSync",
    )


@probe("database.secret-copy", Side.STANDBY)
def secret_copy(site: Site) -> Verdict:
    """The standby has its own copy of the credentials, under its own key."""
    found = site.ask("secretsmanager:DescribeSecret", SecretId=_copy_arn(site))
    return expect_fields(
        {"PrimaryRegion": found.get("PrimaryRegion"), "KmsKeyId": _key_arn(site, found)},
        PrimaryRegion=site.other.region,
        KmsKeyId=site.output("KmsKeyArn"),
    )


def instance(site: Site) -> dict[str, Any]:
    """Describe the side's database instance."""
    answer = site.ask("rds:DescribeDBInstances", DBInstanceIdentifier=_name(site))
    return only(answer["DBInstances"], f"database {_name(site)}")


def _name(site: Site) -> str:
    """Name the instance by the naming contract."""
    return f"db-{'primary' if site.side is Side.PRIMARY else 'replica'}-{site.suffix}"


def _group_ids(site: Site) -> list[str]:
    return [group["VpcSecurityGroupId"] for group in instance(site)["VpcSecurityGroups"]]


def _parameter(site: Site, name: str) -> str | None:
    group = instance(site)["DBParameterGroups"][0]["DBParameterGroupName"]
    answer = site.ask("rds:DescribeDBParameters", DBParameterGroupName=group)
    return next(
        (p.get("ParameterValue") for p in answer["Parameters"] if p["ParameterName"] == name), None
    )


def _copy_arn(site: Site) -> str:
    """Give the ARN of the secret's copy: the original's, with this region in it."""
    original = site.other.output("DbCredentialsSecret")
    return original.replace(f":{site.other.region}:", f":{site.region}:")


def _key_arn(site: Site, secret: dict[str, Any]) -> str | None:
    """Give the ARN of a secret's key; the API returns whichever name of it was given."""
    if not (key := secret.get("KmsKeyId")) or (key.startswith("arn:") and ":key/" in key):
        return key
    return str(site.ask("kms:DescribeKey", KeyId=key)["KeyMetadata"]["Arn"])
