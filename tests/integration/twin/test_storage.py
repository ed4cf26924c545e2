"""Storage on the twin: file systems and their replication, buckets and repositories."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import STANDBY, Deploy, Deployed, DeploymentFailed

ONLY_TLS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}
AFTER_30_DAYS = [{"TransitionToIA": "AFTER_30_DAYS"}]
DESTINATION = {"FileSystemProtection": {"ReplicationOverwriteProtection": "DISABLED"}}


def files(**properties: Any) -> dict[str, Any]:
    return {
        "Files": {
            "Type": "AWS::EFS::FileSystem",
            "Properties": {"Encrypted": True, "ThroughputMode": "elastic", **properties},
        }
    }


def replicated_to(destination: Deployed) -> dict[str, Any]:
    target = {"FileSystemId": destination["Files"], "Region": destination.region}
    return files(ReplicationConfiguration={"Destinations": [target]})


def described(stack: Deployed) -> Any:
    answer = stack.client("efs").describe_file_systems(FileSystemId=stack["Files"])
    return answer["FileSystems"][0]


def test_a_file_system_has_key_policy_backups_and_lifecycle(deploy: Deploy) -> None:
    key = {"Key": {"Type": "AWS::KMS::Key", "Properties": {}}}
    stack = deploy(
        key
        | files(
            KmsKeyId={"Ref": "Key"},
            FileSystemPolicy=ONLY_TLS,
            BackupPolicy={"Status": "ENABLED"},
            LifecyclePolicies=AFTER_30_DAYS,
            FileSystemTags=[{"Key": "Environment", "Value": "test"}],
        )
    )
    efs, named = stack.client("efs"), {"FileSystemId": stack["Files"]}
    found = described(stack)
    assert (found["Encrypted"], found["ThroughputMode"]) == (True, "elastic")
    assert found["KmsKeyId"].endswith(f":key/{stack['Key']}")
    assert found["FileSystemProtection"] == {"ReplicationOverwriteProtection": "ENABLED"}
    assert found["Tags"] == [{"Key": "Environment", "Value": "test"}]
    assert json.loads(efs.describe_file_system_policy(**named)["Policy"]) == ONLY_TLS
    assert efs.describe_backup_policy(**named)["BackupPolicy"] == {"Status": "ENABLED"}
    policies = efs.describe_lifecycle_configuration(**named)["LifecyclePolicies"]
    assert policies == AFTER_30_DAYS


def test_a_file_system_changes_with_its_template(deploy: Deploy) -> None:
    stack = deploy(
        files(
            FileSystemPolicy=ONLY_TLS,
            BackupPolicy={"Status": "ENABLED"},
            LifecyclePolicies=AFTER_30_DAYS,
            FileSystemTags=[{"Key": "a", "Value": "1"}],
        )
    )
    id_ = stack["Files"]
    stack.update(
        files(
            ThroughputMode="provisioned",
            ProvisionedThroughputInMibps=64,
            FileSystemTags=[{"Key": "b", "Value": "2"}],
        )
    )
    efs, named = stack.client("efs"), {"FileSystemId": id_}
    found = described(stack)
    assert found["FileSystemId"] == id_
    assert (found["ThroughputMode"], found["ProvisionedThroughputInMibps"]) == ("provisioned", 64)
    assert found["Tags"] == [{"Key": "b", "Value": "2"}]
    assert efs.describe_backup_policy(**named)["BackupPolicy"] == {"Status": "DISABLED"}
    assert efs.describe_lifecycle_configuration(**named)["LifecyclePolicies"] == []
    with pytest.raises(ClientError, match="PolicyNotFound"):
        efs.describe_file_system_policy(**named)


def test_both_ends_know_their_replication(deploy: Deploy) -> None:
    destination = deploy(files(**DESTINATION), STANDBY)
    source = deploy(replicated_to(destination))
    for stack in (source, destination):
        answer = stack.client("efs").describe_replication_configurations(
            FileSystemId=stack["Files"]
        )
        (replication,) = answer["Replications"]
        assert replication["SourceFileSystemId"] == source["Files"]
        (end,) = replication["Destinations"]
        assert (end["Status"], end["Region"]) == ("ENABLED", STANDBY)
        assert end["FileSystemId"] == destination["Files"]
    protection = described(destination)["FileSystemProtection"]
    assert protection["ReplicationOverwriteProtection"] == "REPLICATING"


def test_a_protected_file_system_cannot_be_a_destination(deploy: Deploy) -> None:
    destination = deploy(files(), STANDBY)
    with pytest.raises(DeploymentFailed, match="overwrite protection"):
        deploy(replicated_to(destination))


def test_an_end_of_a_replication_cannot_be_deleted(deploy: Deploy) -> None:
    destination = deploy(files(**DESTINATION), STANDBY)
    deploy(replicated_to(destination))
    with pytest.raises(ClientError, match="FileSystemInUse"):
        destination.client("efs").delete_file_system(FileSystemId=destination["Files"])


def test_a_template_without_the_replication_ends_it(deploy: Deploy) -> None:
    destination = deploy(files(**DESTINATION), STANDBY)
    source = deploy(replicated_to(destination))
    source.update(files())
    for stack in (source, destination):
        with pytest.raises(ClientError, match="ReplicationNotFound"):
            stack.client("efs").describe_replication_configurations(FileSystemId=stack["Files"])
    protection = described(destination)["FileSystemProtection"]
    assert protection["ReplicationOverwriteProtection"] == "ENABLED"


def test_the_destination_can_go_on_alone(deploy: Deploy) -> None:
    destination = deploy(files(**DESTINATION), STANDBY)
    source = deploy(replicated_to(destination))
    destination.client("efs").delete_replication_configuration(
        SourceFileSystemId=source["Files"], DeletionMode="LOCAL_CONFIGURATION_ONLY"
    )
    protection = described(destination)["FileSystemProtection"]
    assert protection["ReplicationOverwriteProtection"] == "ENABLED"
    answer = source.client("efs").describe_replication_configurations()
    assert answer["Replications"][0]["Destinations"][0]["Status"] == "ERROR"


def test_a_destination_is_made_where_none_is_named(deploy: Deploy) -> None:
    source = deploy(files(ReplicationConfiguration={"Destinations": [{"Region": STANDBY}]}))
    efs = source.client("efs")
    (replication,) = efs.describe_replication_configurations()["Replications"]
    id_ = replication["Destinations"][0]["FileSystemId"]
    standby = source.client("efs", STANDBY)
    (made,) = standby.describe_file_systems(FileSystemId=id_)["FileSystems"]
    assert made["FileSystemProtection"]["ReplicationOverwriteProtection"] == "REPLICATING"
    source.delete()
    standby.delete_file_system(FileSystemId=id_)


def mounted(group: str, *, tag: str = "a") -> dict[str, Any]:
    in_vpc = {"VpcId": {"Ref": "Vpc"}}
    user = {"Uid": "1000", "Gid": "1000"}
    owner = {"OwnerUid": "1000", "OwnerGid": "1000", "Permissions": "0750"}
    return files() | {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-2a", **in_vpc},
        },
        **{
            name: {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": name, **in_vpc},
            }
            for name in ("One", "Two")
        },
        "Target": {
            "Type": "AWS::EFS::MountTarget",
            "Properties": {
                "FileSystemId": {"Ref": "Files"},
                "SubnetId": {"Ref": "Subnet"},
                "SecurityGroups": [{"Ref": group}],
            },
        },
        "Door": {
            "Type": "AWS::EFS::AccessPoint",
            "Properties": {
                "FileSystemId": {"Ref": "Files"},
                "PosixUser": user,
                "RootDirectory": {"Path": "/app", "CreationInfo": owner},
                "AccessPointTags": [{"Key": tag, "Value": "1"}],
            },
        },
    }


def test_a_file_system_is_mounted_in_its_subnet_and_through_its_door(deploy: Deploy) -> None:
    stack = deploy(mounted("One"))
    efs = stack.client("efs")
    (target,) = efs.describe_mount_targets(FileSystemId=stack["Files"])["MountTargets"]
    assert (target["LifeCycleState"], target["AvailabilityZoneName"]) == ("available", "eu-west-2a")
    (door,) = efs.describe_access_points(FileSystemId=stack["Files"])["AccessPoints"]
    assert (door["PosixUser"]["Uid"], door["RootDirectory"]["Path"]) == (1000, "/app")


def test_the_groups_of_a_mount_target_and_the_tags_of_a_door_change(deploy: Deploy) -> None:
    stack = deploy(mounted("One"))
    target, door = stack["Target"], stack["Door"]
    stack.update(mounted("Two", tag="b"))
    efs = stack.client("efs")
    assert (stack["Target"], stack["Door"]) == (target, door)
    answer = efs.describe_mount_target_security_groups(MountTargetId=target)
    assert answer["SecurityGroups"] == [stack["Two"]]
    (found,) = efs.describe_access_points(AccessPointId=door)["AccessPoints"]
    assert found["Tags"] == [{"Key": "b", "Value": "1"}]


def test_deleted_files_are_gone(deploy: Deploy) -> None:
    stack = deploy(mounted("One"))
    efs = stack.client("efs")
    stack.delete()
    assert efs.describe_file_systems()["FileSystems"] == []
    assert efs.describe_access_points()["AccessPoints"] == []
    ec2 = stack.client("ec2")
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def bucket(**properties: Any) -> dict[str, Any]:
    return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}


def test_a_bucket_is_private_and_encrypted_by_itself(deploy: Deploy) -> None:
    stack = deploy(bucket(), STANDBY)
    s3, named = stack.client("s3"), {"Bucket": stack["Bucket"]}
    assert s3.get_bucket_location(**named)["LocationConstraint"] == STANDBY
    blocked = s3.get_public_access_block(**named)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    encryption = s3.get_bucket_encryption(**named)["ServerSideEncryptionConfiguration"]
    default = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "AES256"}


def test_a_bucket_changes_with_its_template(deploy: Deploy) -> None:
    rules = [
        {
            "Id": "expire",
            "Status": "Enabled",
            "ExpirationInDays": 30,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
            "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 10}],
        }
    ]
    stack = deploy(
        bucket(
            VersioningConfiguration={"Status": "Enabled"},
            LifecycleConfiguration={"Rules": rules},
            Tags=[{"Key": "a", "Value": "1"}],
        )
    )
    s3, named = stack.client("s3"), {"Bucket": stack["Bucket"]}
    (rule,) = s3.get_bucket_lifecycle_configuration(**named)["Rules"]
    assert (rule["ID"], rule["Expiration"]) == ("expire", {"Days": 30})
    assert rule["Transitions"] == [{"Days": 10, "StorageClass": "GLACIER"}]
    stack.update(bucket(OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}))
    assert stack["Bucket"] == named["Bucket"]
    assert s3.get_bucket_versioning(**named)["Status"] == "Suspended"
    ownership = s3.get_bucket_ownership_controls(**named)["OwnershipControls"]
    assert ownership["Rules"] == [{"ObjectOwnership": "ObjectWriter"}]
    for operation in (s3.get_bucket_lifecycle_configuration, s3.get_bucket_tagging):
        with pytest.raises(ClientError, match="NoSuch"):
            operation(**named)


def test_a_bucket_policy_is_put_and_removed(deploy: Deploy) -> None:
    policy = {
        "Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": ONLY_TLS},
        }
    }
    stack = deploy(bucket() | policy)
    s3, named = stack.client("s3"), {"Bucket": stack["Bucket"]}
    assert json.loads(s3.get_bucket_policy(**named)["Policy"]) == ONLY_TLS
    stack.update(bucket())
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(**named)


def test_a_bucket_with_objects_is_not_deleted(deploy: Deploy) -> None:
    stack = deploy(bucket())
    s3, named = stack.client("s3"), {"Bucket": stack["Bucket"]}
    s3.put_object(**named, Key="k", Body=b"content")
    with pytest.raises(DeploymentFailed, match="BucketNotEmpty"):
        stack.delete()
    s3.delete_object(**named, Key="k")


def test_a_repository_follows_its_template(deploy: Deploy) -> None:
    def repository(**properties: Any) -> dict[str, Any]:
        return {"Images": {"Type": "AWS::ECR::Repository", "Properties": properties}}

    lifecycle = json.dumps(
        {
            "rules": [
                {
                    "rulePriority": 1,
                    "selection": {
                        "tagStatus": "untagged",
                        "countType": "sinceImagePushed",
                        "countUnit": "days",
                        "countNumber": 365,
                    },
                    "action": {"type": "expire"},
                }
            ]
        }
    )
    stack = deploy(repository(LifecyclePolicy={"LifecyclePolicyText": lifecycle}))
    ecr, named = stack.client("ecr"), {"repositoryName": stack["Images"]}
    assert json.loads(ecr.get_lifecycle_policy(**named)["lifecyclePolicyText"])["rules"]
    stack.update(
        repository(ImageTagMutability="IMMUTABLE", ImageScanningConfiguration={"ScanOnPush": True})
    )
    (found,) = ecr.describe_repositories(repositoryNames=[stack["Images"]])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    with pytest.raises(ClientError, match="LifecyclePolicyNotFound"):
        ecr.get_lifecycle_policy(**named)
    stack.delete()
    assert ecr.describe_repositories()["repositories"] == []


@pytest.mark.parametrize("kind", ["AWS::EFS::FileSystem", "AWS::S3::Bucket"])
def test_an_unknown_property_is_refused_by_name(deploy: Deploy, kind: str) -> None:
    with pytest.raises(ClientError, match="unknown property 'Sparkles'"):
        deploy({"R": {"Type": kind, "Properties": {"Sparkles": True}}})


def test_a_property_that_the_twin_does_not_apply_stops_the_deployment(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="does not support AbacStatus"):
        deploy(bucket(AbacStatus="Enabled"))
