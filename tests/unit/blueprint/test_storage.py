import pytest
from assemblies import Assembly

FILE_SYSTEM = "AWS::EFS::FileSystem"


@pytest.mark.parametrize("stack", ["StoragePrimary", "StorageStandby"])
class TestFileSystem:
    def test_is_encrypted_backed_up_and_tiered(self, variant: Assembly, stack: str) -> None:
        file_system = variant.one(stack, FILE_SYSTEM)
        assert file_system["Encrypted"] is True
        assert "KmsKeyId" in file_system
        assert file_system["BackupPolicy"] == {"Status": "ENABLED"}
        assert file_system["ThroughputMode"] == "elastic"
        assert {key for rule in file_system["LifecyclePolicies"] for key in rule} == {
            "TransitionToIA",
            "TransitionToPrimaryStorageClass",
        }

    def test_refuses_plain_connections_and_whole_mounts_and_allows_nobody_by_itself(
        self, variant: Assembly, stack: str
    ) -> None:
        statements = variant.one(stack, FILE_SYSTEM)["FileSystemPolicy"]["Statement"]
        assert {statement["Effect"] for statement in statements} == {"Deny"}
        assert [statement["Condition"] for statement in statements] == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"Null": {"elasticfilesystem:AccessPointArn": "true"}},
        ]

    def test_is_used_as_an_unprivileged_user_in_a_directory_of_its_own(
        self, variant: Assembly, stack: str
    ) -> None:
        access_point = variant.one(stack, "AWS::EFS::AccessPoint")
        assert access_point["PosixUser"] == {"Uid": "1000", "Gid": "1000"}
        assert access_point["RootDirectory"]["Path"] != "/"

    def test_is_reached_in_every_zone(self, variant: Assembly, stack: str) -> None:
        zones = len(variant.find(stack.replace("Storage", "VpcStack-"), "AWS::EC2::Subnet")) // 3
        assert len(variant.find(stack, "AWS::EFS::MountTarget")) == zones


def test_the_primary_replicates_to_the_standby_which_lets_itself_be_overwritten(
    variant: Assembly,
) -> None:
    source = variant.one("StoragePrimary", FILE_SYSTEM)
    (destination,) = source["ReplicationConfiguration"]["Destinations"]
    assert destination["Region"] == "eu-west-3"
    reference = destination["FileSystemId"]["Fn::GetStackOutput"]
    assert reference["StackName"] == "TapStackdev-StorageStandby"
    assert variant.one("StorageStandby", FILE_SYSTEM)["FileSystemProtection"] == {
        "ReplicationOverwriteProtection": "DISABLED"
    }


def test_an_alarm_tells_when_replication_falls_behind_or_silent(variant: Assembly) -> None:
    alarm = variant.one("StoragePrimary", "AWS::CloudWatch::Alarm")
    assert alarm["MetricName"] == "TimeSinceLastSync"
    assert alarm["Threshold"] == 15 * 60
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["AlarmActions"]
