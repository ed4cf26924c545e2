import pytest
from assemblies import Assembly

INSTANCE = "AWS::RDS::DBInstance"
INHERITED = {
    "AllocatedStorage",
    "BackupRetentionPeriod",
    "DBName",
    "DBSnapshotIdentifier",
    "EngineVersion",
    "MasterUsername",
    "MasterUserPassword",
    "PreferredBackupWindow",
    "StorageEncrypted",
}
"""What a replica takes from its source, and must not or need not state."""


@pytest.mark.parametrize("stack", ["DatabasePrimary", "DatabaseStandby"])
class TestBoth:
    def test_survive_the_loss_of_a_zone_and_are_observed(
        self, variant: Assembly, stack: str
    ) -> None:
        instance = variant.one(stack, INSTANCE)
        assert instance["MultiAZ"] is True
        assert instance["EnablePerformanceInsights"] is True
        assert instance["MonitoringInterval"] == 60
        assert instance["PubliclyAccessible"] is False
        assert "KmsKeyId" in instance

    def test_accept_tls_only(self, variant: Assembly, stack: str) -> None:
        group = variant.one(stack, "AWS::RDS::DBParameterGroup")
        assert group["Parameters"]["rds.force_ssl"] == "1"
        assert "Ref" in variant.one(stack, INSTANCE)["DBParameterGroupName"]

    def test_keep_their_logs_encrypted_and_for_a_limited_time(
        self, variant: Assembly, stack: str
    ) -> None:
        instance = variant.one(stack, INSTANCE)
        groups = variant.find(stack, "AWS::Logs::LogGroup").values()
        assert {group["Properties"]["LogGroupName"] for group in groups} == {
            f"/aws/rds/instance/{instance['DBInstanceIdentifier']}/{log}"
            for log in instance["EnableCloudwatchLogsExports"]
        }
        for group in groups:
            assert "KmsKeyId" in group["Properties"]
            assert group["Properties"]["RetentionInDays"] == 90

    def test_report_cpu_storage_and_connections(self, variant: Assembly, stack: str) -> None:
        alarms = [a["Properties"] for a in variant.find(stack, "AWS::CloudWatch::Alarm").values()]
        assert {"CPUUtilization", "FreeStorageSpace", "DatabaseConnections"} <= {
            alarm["MetricName"] for alarm in alarms
        }
        for alarm in alarms:
            assert alarm["Dimensions"][0]["Value"] in (
                {"Ref": id} for id in variant.find(stack, INSTANCE)
            )
            assert alarm["AlarmActions"] == alarm["OKActions"]

    def test_follow_the_deletion_protection_of_the_settings(
        self, dev: Assembly, prod: Assembly, stack: str
    ) -> None:
        assert dev.one(stack, INSTANCE)["DeletionProtection"] is False
        assert prod.one(stack, INSTANCE)["DeletionProtection"] is True


class TestPrimary:
    def test_has_its_physical_name_and_an_offered_version(self, variant: Assembly) -> None:
        instance = variant.one("DatabasePrimary", INSTANCE)
        assert instance["DBInstanceIdentifier"] == "db-primary-dev"
        assert instance["Engine"] == "postgres"
        assert instance["EngineVersion"].startswith("16.")

    def test_keeps_a_week_of_backups_even_when_deleted(self, dev: Assembly, prod: Assembly) -> None:
        for preset, days in ((dev, 7), (prod, 14)):
            instance = preset.one("DatabasePrimary", INSTANCE)
            assert instance["BackupRetentionPeriod"] == days
            assert instance["DeleteAutomatedBackups"] is False

    def test_generates_its_password_and_replicates_it_under_the_standbys_key(
        self, variant: Assembly
    ) -> None:
        secret = variant.one("DatabasePrimary", "AWS::SecretsManager::Secret")
        assert "SecretString" not in secret
        assert secret["GenerateSecretString"]["GenerateStringKey"] == "password"
        assert secret["ReplicaRegions"] == [
            {"Region": "eu-west-3", "KmsKeyId": "alias/standby-dev-eu-west-3"}
        ]

    def test_names_no_host_in_the_secret_which_would_be_the_wrong_one_in_the_standby(
        self, variant: Assembly
    ) -> None:
        assert not variant.find("DatabasePrimary", "AWS::SecretsManager::SecretTargetAttachment")
        template = variant.one("DatabasePrimary", "AWS::SecretsManager::Secret")
        assert "host" not in template["GenerateSecretString"]["SecretStringTemplate"]


class TestReplica:
    def test_names_its_source_by_arn_and_region(self, variant: Assembly) -> None:
        replica = variant.one("DatabaseStandby", INSTANCE)
        source = replica["SourceDBInstanceIdentifier"]["Fn::Join"][1]
        assert source == [
            "arn:aws:rds:eu-west-2:",
            {"Ref": "AWS::AccountId"},
            ":db:db-primary-dev",
        ]
        assert replica["SourceRegion"] == "eu-west-2"
        assert replica["DBInstanceIdentifier"] == "db-replica-dev"

    def test_states_nothing_that_it_inherits(self, variant: Assembly) -> None:
        assert not INHERITED & variant.one("DatabaseStandby", INSTANCE).keys()

    def test_differs_from_its_source_only_in_origin(self, variant: Assembly) -> None:
        primary = variant.one("DatabasePrimary", INSTANCE)
        replica = variant.one("DatabaseStandby", INSTANCE)
        assert replica.keys() - primary.keys() == {"SourceDBInstanceIdentifier", "SourceRegion"}
        assert primary.keys() - replica.keys() <= INHERITED

    def test_admits_as_many_connections_as_its_source(self, variant: Assembly) -> None:
        limits = {
            variant.one(stack, "AWS::RDS::DBParameterGroup")["Parameters"]["max_connections"]
            for stack in ("DatabasePrimary", "DatabaseStandby")
        }
        assert len(limits) == 1

    def test_reports_a_lag_beyond_the_objective_and_silence(self, variant: Assembly) -> None:
        (lag,) = (
            alarm["Properties"]
            for alarm in variant.find("DatabaseStandby", "AWS::CloudWatch::Alarm").values()
            if alarm["Properties"]["MetricName"] == "ReplicaLag"
        )
        assert lag["Threshold"] == 5 * 60
        assert lag["TreatMissingData"] == "breaching"
