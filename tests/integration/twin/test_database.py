"""Databases on the twin: a writer, its replica in another region, their groups and secrets."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY, STANDBY, Deploy, Deployed, DeploymentFailed

CREDENTIALS = {"MasterUsername": "app", "MasterUserPassword": "not-a-secret"}
WRITER = {"Engine": "postgres", "EngineVersion": "16.13", "AllocatedStorage": "20", **CREDENTIALS}


def network(region: str) -> dict[str, Any]:
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        **{
            f"Subnet{zone}": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {
                    "VpcId": {"Ref": "Vpc"},
                    "CidrBlock": f"10.0.{index}.0/24",
                    "AvailabilityZone": f"{region}{zone.lower()}",
                },
            }
            for index, zone in enumerate("ABC")
        },
        "Subnets": subnets("A", "B"),
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "database", "VpcId": {"Ref": "Vpc"}},
        },
    }


def subnets(*zones: str) -> dict[str, Any]:
    return {
        "Type": "AWS::RDS::DBSubnetGroup",
        "Properties": {
            "DBSubnetGroupDescription": f"zones {' '.join(zones)}",
            "SubnetIds": [{"Ref": f"Subnet{zone}"} for zone in zones],
        },
    }


def database(
    region: str = PRIMARY, policy: str = "Delete", drop: str = "", **properties: Any
) -> dict[str, Any]:
    wanted = {
        "DBInstanceClass": "db.t4g.medium",
        "DBSubnetGroupName": {"Ref": "Subnets"},
        "VPCSecurityGroups": [{"Ref": "Group"}],
        "MultiAZ": True,
        "StorageType": "gp3",
        "DBParameterGroupName": {"Ref": "Settings"},
        "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
        **properties,
    }
    wanted.pop(drop, None)
    return network(region) | {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
        "Settings": settings({"rds.force_ssl": "1", "max_connections": "120"}),
        "Database": {
            "Type": "AWS::RDS::DBInstance",
            "DeletionPolicy": policy,
            "Properties": wanted,
        },
    }


def settings(parameters: dict[str, str]) -> dict[str, Any]:
    return {
        "Type": "AWS::RDS::DBParameterGroup",
        "Properties": {
            "Family": "postgres16",
            "Description": "settings",
            "Parameters": parameters,
        },
    }


def writer(**properties: Any) -> dict[str, Any]:
    return database(
        **{**WRITER, "StorageEncrypted": True, "BackupRetentionPeriod": 7, **properties}
    )


def replica(source: Deployed, **properties: Any) -> dict[str, Any]:
    arn = instance(source)["DBInstanceArn"]
    origin = {"SourceDBInstanceIdentifier": arn, "SourceRegion": source.region}
    return database(STANDBY, **origin, **properties)


def instance(stack: Deployed) -> Any:
    answer = stack.client("rds").describe_db_instances(DBInstanceIdentifier=stack["Database"])
    return answer["DBInstances"][0]


def test_a_writer_is_what_its_template_says(deploy: Deploy) -> None:
    stack = deploy(
        writer(
            DBInstanceIdentifier="db-one",
            DBName="app",
            EnablePerformanceInsights=True,
            EnableCloudwatchLogsExports=["postgresql"],
            MaxAllocatedStorage=100,
            MonitoringInterval=60,
            MonitoringRoleArn="arn:aws:iam::123456789012:role/monitoring",
            EnableIAMDatabaseAuthentication=True,
            Tags=[{"Key": "Environment", "Value": "test"}],
        )
    )
    found = instance(stack)
    expected = {
        "DBInstanceIdentifier": "db-one",
        "DBInstanceStatus": "available",
        "DBName": "app",
        "EngineVersion": "16.13",
        "AllocatedStorage": 20,
        "MaxAllocatedStorage": 100,
        "MultiAZ": True,
        "StorageEncrypted": True,
        "BackupRetentionPeriod": 7,
        "PerformanceInsightsEnabled": True,
        "PerformanceInsightsRetentionPeriod": 7,
        "EnabledCloudwatchLogsExports": ["postgresql"],
        "MonitoringInterval": 60,
        "IAMDatabaseAuthenticationEnabled": True,
        "Iops": 3000,
        "StorageThroughput": 125,
        "PubliclyAccessible": False,
        "TagList": [{"Key": "Environment", "Value": "test"}],
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["KmsKeyId"].endswith(f":key/{stack['Key']}")
    zones = {found["AvailabilityZone"], found["SecondaryAvailabilityZone"]}
    assert zones == {f"{PRIMARY}a", f"{PRIMARY}b"}
    assert [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]] == [stack["Group"]]
    (group,) = found["DBParameterGroups"]
    assert group == {
        "DBParameterGroupName": stack["Settings"],
        "ParameterApplyStatus": "in-sync",
    }


def test_a_writer_has_backups_as_long_as_it_keeps_some(deploy: Deploy) -> None:
    stack = deploy(writer())
    rds, named = stack.client("rds"), {"DBInstanceIdentifier": stack["Database"]}
    (backup,) = rds.describe_db_instance_automated_backups(**named)["DBInstanceAutomatedBackups"]
    assert (backup["Status"], backup["BackupRetentionPeriod"]) == ("active", 7)
    stack.update(writer(BackupRetentionPeriod=0))
    answer = rds.describe_db_instance_automated_backups(**named)
    assert answer["DBInstanceAutomatedBackups"] == []
    assert "LatestRestorableTime" not in instance(stack)


def test_a_writer_changes_with_its_template(deploy: Deploy) -> None:
    before = {"EnableCloudwatchLogsExports": ["upgrade"], "Tags": [{"Key": "a", "Value": "1"}]}
    after = {
        "EnableCloudwatchLogsExports": ["postgresql"],
        "Tags": [{"Key": "b", "Value": "2"}],
        "AllocatedStorage": "400",
        "DBInstanceClass": "db.r6g.large",
        "EnablePerformanceInsights": True,
        "MultiAZ": False,
        "Port": "5433",
    }
    stack = deploy(writer(**before))
    identifier = stack["Database"]
    stack.update(writer(**after))
    found = instance(stack)
    expected = {
        "DBInstanceIdentifier": identifier,
        "EnabledCloudwatchLogsExports": ["postgresql"],
        "TagList": [{"Key": "b", "Value": "2"}],
        "AllocatedStorage": 400,
        "DBInstanceClass": "db.r6g.large",
        "PerformanceInsightsEnabled": True,
        "MultiAZ": False,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["Endpoint"]["Port"] == 5433
    assert "SecondaryAvailabilityZone" not in found


def test_a_replica_follows_its_source_from_another_region(deploy: Deploy) -> None:
    source = deploy(writer(DBInstanceIdentifier="db-source", DBName="app"))
    copy = deploy(replica(source, DBInstanceIdentifier="db-copy", Engine="postgres"), STANDBY)
    found, origin = instance(copy), instance(source)
    assert found["ReadReplicaSourceDBInstanceIdentifier"] == origin["DBInstanceArn"]
    assert origin["ReadReplicaDBInstanceIdentifiers"] == [found["DBInstanceArn"]]
    assert found["DBInstanceArn"] == f"arn:aws:rds:{STANDBY}:123456789012:db:db-copy"
    (info,) = found["StatusInfos"]
    assert (info["StatusType"], info["Status"]) == ("read replication", "replicating")
    assert info["Normal"]
    same = ("EngineVersion", "DBName", "MasterUsername", "AllocatedStorage", "StorageEncrypted")
    assert [found[name] for name in same] == [origin[name] for name in same]
    assert found["KmsKeyId"].endswith(f":key/{copy['Key']}")
    assert found["DBSubnetGroup"]["DBSubnetGroupName"] == copy["Subnets"]
    assert STANDBY in found["Endpoint"]["Address"]
    assert found["DbiResourceId"] != origin["DbiResourceId"]
    assert "StatusInfos" not in origin or origin["StatusInfos"] == []


def test_a_replica_that_is_deleted_is_forgotten_by_its_source(deploy: Deploy) -> None:
    source = deploy(writer())
    deploy(replica(source), STANDBY, name="Copy").delete()
    assert instance(source)["ReadReplicaDBInstanceIdentifiers"] == []


def test_a_replica_can_be_promoted_through_the_service(deploy: Deploy) -> None:
    source = deploy(writer())
    copy = deploy(replica(source), STANDBY)
    copy.client("rds").promote_read_replica(
        DBInstanceIdentifier=copy["Database"], BackupRetentionPeriod=7
    )
    found = instance(copy)
    assert found["BackupRetentionPeriod"] == 7
    assert "ReadReplicaSourceDBInstanceIdentifier" not in found
    assert instance(source)["ReadReplicaDBInstanceIdentifiers"] == []
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        copy.client("rds").promote_read_replica(DBInstanceIdentifier=copy["Database"])


def test_a_template_without_the_source_promotes_in_place(deploy: Deploy) -> None:
    source = deploy(writer())
    template = replica(source, DBInstanceIdentifier="db-copy")
    copy = deploy(template, STANDBY)
    properties = template["Database"]["Properties"]
    del properties["SourceDBInstanceIdentifier"]
    properties["BackupRetentionPeriod"] = 14
    identity = instance(copy)["DbiResourceId"]
    copy.update(template)
    found = instance(copy)
    assert (found["DbiResourceId"], found["BackupRetentionPeriod"]) == (identity, 14)
    assert "ReadReplicaSourceDBInstanceIdentifier" not in found


def test_a_replica_is_cut_off_when_its_source_is_deleted(deploy: Deploy) -> None:
    source = deploy(writer())
    copy = deploy(replica(source), STANDBY)
    source.delete()
    (info,) = instance(copy)["StatusInfos"]
    assert (info["Status"], info["Normal"]) == ("terminated", False)


def test_both_ends_know_a_renamed_instance(deploy: Deploy) -> None:
    source = deploy(writer())
    copy = deploy(replica(source), STANDBY)
    rds, former = source.client("rds"), source["Database"]
    rds.modify_db_instance(
        DBInstanceIdentifier=former, NewDBInstanceIdentifier="db-old", ApplyImmediately=True
    )
    arn = instance(copy)["ReadReplicaSourceDBInstanceIdentifier"]
    assert arn.endswith(":db:db-old")
    rds.modify_db_instance(
        DBInstanceIdentifier="db-old", NewDBInstanceIdentifier=former, ApplyImmediately=True
    )


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ({"drop": "KmsKeyId"}, "needs KmsKeyId"),
        ({"BackupRetentionPeriod": 7}, "a replica has BackupRetentionPeriod from its source"),
        ({"SourceRegion": STANDBY}, "is not in SourceRegion"),
    ],
)
def test_a_replica_that_cannot_be_is_refused(
    deploy: Deploy, stated: dict[str, Any], why: str
) -> None:
    source = deploy(writer())
    with pytest.raises(DeploymentFailed, match=why):
        deploy(replica(source) | database(STANDBY, **_origin(source) | stated), STANDBY)


def _origin(source: Deployed) -> dict[str, Any]:
    arn = instance(source)["DBInstanceArn"]
    return {"SourceDBInstanceIdentifier": arn, "SourceRegion": source.region}


def test_a_source_without_backups_has_no_replicas(deploy: Deploy) -> None:
    source = deploy(writer(BackupRetentionPeriod=0))
    with pytest.raises(DeploymentFailed, match="InvalidDBInstanceState"):
        deploy(replica(source), STANDBY)


def test_a_key_of_another_region_is_refused(deploy: Deploy) -> None:
    other = deploy({"Key": {"Type": "AWS::KMS::Key", "Properties": {}}}, STANDBY)
    arn = f"arn:aws:kms:{STANDBY}:123456789012:key/{other['Key']}"
    with pytest.raises(DeploymentFailed, match="KMSKeyNotAccessibleFault"):
        deploy(writer(KmsKeyId=arn))


def test_a_protected_database_is_not_deleted(deploy: Deploy) -> None:
    stack = deploy(writer(DeletionProtection=True))
    with pytest.raises(DeploymentFailed, match="deletion protection"):
        stack.delete()
    stack.client("rds").modify_db_instance(
        DBInstanceIdentifier=stack["Database"], DeletionProtection=False
    )


def test_the_snapshot_policy_leaves_a_snapshot(deploy: Deploy) -> None:
    stack = deploy(writer(policy="Snapshot"))
    rds, identifier = stack.client("rds"), stack["Database"]
    stack.delete()
    (snapshot,) = rds.describe_db_snapshots(DBInstanceIdentifier=identifier)["DBSnapshots"]
    assert (snapshot["SnapshotType"], snapshot["Encrypted"]) == ("manual", True)
    rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"])


def test_backups_outlive_a_database_that_says_so(deploy: Deploy) -> None:
    stack = deploy(writer(DeleteAutomatedBackups=False))
    rds, named = stack.client("rds"), {"DBInstanceIdentifier": stack["Database"]}
    stack.delete()
    (backup,) = rds.describe_db_instance_automated_backups(**named)["DBInstanceAutomatedBackups"]
    assert backup["Status"] == "retained"
    rds.delete_db_instance_automated_backup(DbiResourceId=backup["DbiResourceId"])


def test_a_deleted_database_leaves_nothing(deploy: Deploy) -> None:
    stack = deploy(writer())
    rds = stack.client("rds")
    stack.delete()
    assert rds.describe_db_instances()["DBInstances"] == []
    assert rds.describe_db_snapshots()["DBSnapshots"] == []
    assert rds.describe_db_subnet_groups()["DBSubnetGroups"] == []
    assert rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
    names = {
        g["DBParameterGroupName"] for g in rds.describe_db_parameter_groups()["DBParameterGroups"]
    }
    assert not any("settings" in name for name in names)


def test_a_subnet_group_changes_and_survives_it(deploy: Deploy) -> None:
    stack = deploy(network(PRIMARY))
    group = stack["Subnets"]
    stack.update(network(PRIMARY) | {"Subnets": subnets("B", "C")})
    answer = stack.client("rds").describe_db_subnet_groups(DBSubnetGroupName=group)
    (found,) = answer["DBSubnetGroups"]
    members = {subnet["SubnetIdentifier"] for subnet in found["Subnets"]}
    assert members == {stack["SubnetB"], stack["SubnetC"]}
    assert found["DBSubnetGroupDescription"] == "zones B C"


def test_a_subnet_group_of_one_zone_is_refused(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="DoesNotCoverEnoughAZs"):
        deploy(network(PRIMARY) | {"Subnets": subnets("A")})


def test_a_group_in_use_cannot_be_deleted(deploy: Deploy) -> None:
    stack = deploy(writer())
    rds = stack.client("rds")
    with pytest.raises(ClientError, match="still using it"):
        rds.delete_db_subnet_group(DBSubnetGroupName=stack["Subnets"])
    with pytest.raises(ClientError, match="still members"):
        rds.delete_db_parameter_group(DBParameterGroupName=stack["Settings"])


def parameters(stack: Deployed) -> dict[str, str]:
    answer = stack.client("rds").describe_db_parameters(DBParameterGroupName=stack["Settings"])
    return {each["ParameterName"]: each["ParameterValue"] for each in answer["Parameters"]}


def test_a_static_parameter_waits_for_the_reboot(deploy: Deploy) -> None:
    stack = deploy(writer())
    assert parameters(stack) == {"rds.force_ssl": "1", "max_connections": "120"}
    stack.update(writer() | {"Settings": settings({"max_connections": "200"})})
    assert parameters(stack) == {"max_connections": "200"}
    assert instance(stack)["DBParameterGroups"][0]["ParameterApplyStatus"] == "pending-reboot"
    stack.client("rds").reboot_db_instance(DBInstanceIdentifier=stack["Database"])
    assert instance(stack)["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"


def secret(**properties: Any) -> dict[str, Any]:
    return {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}}


GENERATED = {
    "SecretStringTemplate": '{"username": "app"}',
    "GenerateStringKey": "password",
    "PasswordLength": 32,
    "ExcludePunctuation": True,
}


def value(stack: Deployed, region: str = PRIMARY) -> Any:
    secrets = stack.client("secretsmanager", region)
    id_ = stack["Secret"].replace(f":{PRIMARY}:", f":{region}:")
    return json.loads(secrets.get_secret_value(SecretId=id_)["SecretString"])


def test_a_secret_is_generated_and_read_in_both_regions(deploy: Deploy) -> None:
    standby = deploy(
        {
            "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
            "Alias": {
                "Type": "AWS::KMS::Alias",
                "Properties": {"AliasName": "alias/standby", "TargetKeyId": {"Ref": "Key"}},
            },
        },
        STANDBY,
    )
    copies = [{"Region": STANDBY, "KmsKeyId": "alias/standby"}]
    stack = deploy(
        {"Key": {"Type": "AWS::KMS::Key", "Properties": {}}}
        | secret(
            Name="test/database",
            GenerateSecretString=GENERATED,
            KmsKeyId={"Fn::GetAtt": ["Key", "Arn"]},
            ReplicaRegions=copies,
        )
    )
    credentials = value(stack)
    assert (credentials["username"], len(credentials["password"])) == ("app", 32)
    assert credentials["password"].isalnum()
    assert value(stack, STANDBY) == credentials
    found = stack.client("secretsmanager").describe_secret(SecretId="test/database")
    (replica,) = found["ReplicationStatus"]
    assert (replica["Region"], replica["Status"]) == (STANDBY, "InSync")
    copy = standby.client("secretsmanager").describe_secret(SecretId="test/database")
    assert (copy["PrimaryRegion"], copy["KmsKeyId"]) == (PRIMARY, "alias/standby")


def test_a_secret_keeps_its_value_until_its_generation_changes(deploy: Deploy) -> None:
    stack = deploy(
        secret(GenerateSecretString=GENERATED, Description="one", Tags=[{"Key": "a", "Value": "1"}])
    )
    first = value(stack)
    stack.update(secret(GenerateSecretString=GENERATED, ReplicaRegions=[{"Region": STANDBY}]))
    assert value(stack) == value(stack, STANDBY) == first
    found = stack.client("secretsmanager").describe_secret(SecretId=stack["Secret"])
    assert found.get("Tags", []) == []
    assert "Description" not in found
    stack.update(secret(GenerateSecretString=GENERATED | {"PasswordLength": 40}))
    assert len(value(stack)["password"]) == 40
    with pytest.raises(ClientError, match="ResourceNotFound"):
        value(stack, STANDBY)


def test_a_replica_whose_key_does_not_exist_fails_the_deployment(deploy: Deploy) -> None:
    copies = [{"Region": STANDBY, "KmsKeyId": "alias/nobody"}]
    with pytest.raises(DeploymentFailed, match="alias/nobody does not exist"):
        deploy(secret(GenerateSecretString=GENERATED, ReplicaRegions=copies))


def test_a_deleted_secret_is_gone_and_its_name_free(deploy: Deploy) -> None:
    template = secret(Name="test/again", SecretString="{}", ReplicaRegions=[{"Region": STANDBY}])
    first = deploy(template)
    secrets = first.client("secretsmanager")
    first.delete()
    for region in (PRIMARY, STANDBY):
        assert first.client("secretsmanager", region).list_secrets()["SecretList"] == []
    deploy(template)
    assert secrets.describe_secret(SecretId="test/again")["Name"] == "test/again"


def test_a_secret_is_tied_to_its_database(deploy: Deploy) -> None:
    attachment = {
        "Tie": {
            "Type": "AWS::SecretsManager::SecretTargetAttachment",
            "Properties": {
                "SecretId": {"Ref": "Secret"},
                "TargetId": {"Ref": "Database"},
                "TargetType": "AWS::RDS::DBInstance",
            },
        }
    }
    password = "{{resolve:secretsmanager:${Secret}:SecretString:password}}"
    template = writer(MasterUserPassword={"Fn::Sub": password}, DBName="app")
    template |= secret(GenerateSecretString=GENERATED)
    stack = deploy(template | attachment)
    tied = value(stack)
    assert tied["host"] == instance(stack)["Endpoint"]["Address"]
    assert (tied["port"], tied["dbname"], tied["username"]) == (5432, "app", "app")
    stack.update(template)
    assert sorted(value(stack)) == ["password", "username"]


def test_a_resource_policy_is_put_and_a_public_one_refused(deploy: Deploy) -> None:
    def policy(principal: Any) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Principal": principal,
            "Action": "secretsmanager:GetSecretValue",
            "Resource": "*",
        }
        return {
            "Policy": {
                "Type": "AWS::SecretsManager::ResourcePolicy",
                "Properties": {
                    "SecretId": {"Ref": "Secret"},
                    "ResourcePolicy": {"Version": "2012-10-17", "Statement": [statement]},
                    "BlockPublicPolicy": True,
                },
            }
        }

    base = secret(SecretString="{}")
    stack = deploy(base | policy({"AWS": "arn:aws:iam::123456789012:root"}))
    secrets, named = stack.client("secretsmanager"), {"SecretId": stack["Secret"]}
    assert "root" in secrets.get_resource_policy(**named)["ResourcePolicy"]
    stack.update(base)
    assert "ResourcePolicy" not in secrets.get_resource_policy(**named)
    with pytest.raises(DeploymentFailed, match="PublicPolicyException"):
        deploy(base | policy("*"))


@pytest.mark.parametrize(
    "kind", ["AWS::RDS::DBInstance", "AWS::RDS::DBSubnetGroup", "AWS::SecretsManager::Secret"]
)
def test_an_unknown_property_is_refused_by_name(deploy: Deploy, kind: str) -> None:
    with pytest.raises(ClientError, match="unknown property 'Sparkles'"):
        deploy({"R": {"Type": kind, "Properties": {"Sparkles": True}}})


def test_a_property_that_the_twin_does_not_apply_stops_the_deployment(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="does not support PromotionTier"):
        deploy(writer(PromotionTier=1))
