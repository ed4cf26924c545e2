"""Storage: the files that instances share, replicated to the standby region."""

from datetime import timedelta
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from standby.blueprint.monitoring import notify
from standby.blueprint.retention import removal_policy
from standby.settings import Settings

REPLICATION_RPO = timedelta(minutes=15)
"""What EFS replication is designed for, for most file systems (EFS user guide, "Replicating file
systems"); a tighter objective cannot be met for files, and an alarm on it would never rest."""
APPLICATION_USER = "1000"
"""The POSIX user and group that every mount acts as, whoever the instance says it is."""


class StorageStack(Stack):
    """The file system of one region, with one access point for the application.

    The standby's is the destination of the primary's replication, read-only until failover.

    Attributes:
        file_system: The file system.
        access_point: Where the application mounts it, as an unprivileged user.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        vpc: ec2.IVpc,
        key: kms.IKey,
        file_system_sg: ec2.ISecurityGroup,
        alarm_topic: sns.ITopic,
        replicate_to: efs.IFileSystem | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self.file_system = efs.FileSystem(
            self,
            "FileSystem",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_group=file_system_sg,
            encrypted=True,
            kms_key=key,
            enable_automatic_backups=True,
            throughput_mode=efs.ThroughputMode.ELASTIC,
            lifecycle_policy=efs.LifecyclePolicy.AFTER_30_DAYS,
            out_of_infrequent_access_policy=efs.OutOfInfrequentAccessPolicy.AFTER_1_ACCESS,
            file_system_policy=_policy(),
            allow_anonymous_access=True,
            replication_overwrite_protection=(
                None if replicate_to else efs.ReplicationOverwriteProtection.DISABLED
            ),
            replication_configuration=(
                efs.ReplicationConfiguration.existing_file_system(replicate_to)
                if replicate_to
                else None
            ),
            removal_policy=removal_policy(settings),
        )
        self.access_point = self.file_system.add_access_point(
            "AccessPoint",
            path="/app",
            posix_user=efs.PosixUser(uid=APPLICATION_USER, gid=APPLICATION_USER),
            create_acl=efs.Acl(
                owner_uid=APPLICATION_USER, owner_gid=APPLICATION_USER, permissions="0750"
            ),
        )
        if replicate_to:
            self._lag_alarm(settings, replicate_to, alarm_topic)
        CfnOutput(self, "EfsId", value=self.file_system.file_system_id)
        CfnOutput(
            self,
            "EfsDnsName",
            value=f"{self.file_system.file_system_id}.efs.{self.region}.{self.url_suffix}",
        )

    def _lag_alarm(
        self, settings: Settings, destination: efs.IFileSystem, topic: sns.ITopic
    ) -> None:
        """Alarm when the destination falls behind; silence means that replication stopped."""
        alarm = cloudwatch.Alarm(
            self,
            "ReplicationLagAlarm",
            alarm_description="A failover now would lose more files than the objective allows",
            metric=cloudwatch.Metric(
                namespace="AWS/EFS",
                metric_name="TimeSinceLastSync",
                dimensions_map={
                    "FileSystemId": self.file_system.file_system_id,
                    "DestinationFileSystemId": destination.file_system_id,
                },
                statistic="Maximum",
                period=Duration.minutes(1),
            ),
            threshold=max(settings.rpo, REPLICATION_RPO).total_seconds(),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=5,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        notify(alarm, topic)


def _policy() -> iam.PolicyDocument:
    """Deny what is not encrypted, and what does not come through an access point.

    A policy that allows nothing leaves only what IAM allows: an anonymous NFS client, whom
    the default policy would let in, has no identity to be allowed by.
    """
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="OnlyOverTls",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["*"],
                conditions={"Bool": {"aws:SecureTransport": "false"}},
            ),
            iam.PolicyStatement(
                sid="OnlyThroughAnAccessPoint",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=[
                    "elasticfilesystem:ClientMount",
                    "elasticfilesystem:ClientWrite",
                    "elasticfilesystem:ClientRootAccess",
                ],
                conditions={"Null": {"elasticfilesystem:AccessPointArn": "true"}},
            ),
        ]
    )
