"""Database: PostgreSQL in the primary region, and its replica in the standby region.

Both instances are the low-level resource: CDK's own construct of a replica names no source
region and states ``StorageEncrypted``, which CloudFormation refuses beside a source; and written
this way the two differ exactly in where their data comes from.
"""

from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, SecretValue, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from standby.blueprint.acknowledge import acknowledge
from standby.blueprint.monitoring import notify
from standby.blueprint.retention import LOG_RETENTION, removal_policy, snapshot_policy
from standby.blueprint.security import POSTGRESQL, key_alias
from standby.settings import Settings

ENGINE_VERSION = "16.15"
"""The newest minor version of 16 that RDS offers (by the DescribeDBEngineVersions data of cfn-lint
1.58; the constants of aws-cdk-lib lag behind). 16 is the major version the twin runs."""
PARAMETER_FAMILY = "postgres16"
MASTER_USERNAME = "standby"
EXPORTED_LOGS = ("postgresql", "upgrade")
CONNECTIONS_PER_INSTANCE = 10
"""What one application instance may hold open; the pool of ``workload/`` stays within it."""
OPERATOR_CONNECTIONS = 20
GIB = 2**30


def primary_identifier(settings: Settings) -> str:
    """Name the primary instance; known before it exists, so that the replica can name it."""
    return f"db-primary-{settings.environment_suffix}"


def replica_identifier(settings: Settings) -> str:
    """Name the replica."""
    return f"db-replica-{settings.environment_suffix}"


def secret_name(settings: Settings) -> str:
    """Name the credentials, the same in both regions."""
    return f"standby/{settings.environment_suffix}/database"


class _DatabaseStack(Stack):
    """What the two instances have in common: everything but the origin of their data."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        identifier: str,
        vpc: ec2.IVpc,
        key: kms.IKey,
        database_sg: ec2.ISecurityGroup,
        alarm_topic: sns.ITopic,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._settings = settings
        self.identifier = identifier
        self._vpc = vpc
        self._key = key
        self._database_sg = database_sg
        self._alarm_topic = alarm_topic

    def _create(self, **origin: Any) -> rds.CfnDBInstance:
        """Create the instance and its alarms; ``origin`` says where its data comes from."""
        settings, key_arn = self._settings, self._key.key_arn
        instance = rds.CfnDBInstance(
            self,
            "Instance",
            db_instance_identifier=self.identifier,
            db_instance_class=settings.database_instance_class,
            engine="postgres",
            port=str(POSTGRESQL),
            storage_type="gp3",
            max_allocated_storage=settings.database_max_storage_gib,
            kms_key_id=key_arn,
            multi_az=True,
            publicly_accessible=False,
            db_subnet_group_name=self._subnet_group().ref,
            vpc_security_groups=[self._database_sg.security_group_id],
            db_parameter_group_name=self._parameter_group().ref,
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=settings.deletion_protection,
            enable_cloudwatch_logs_exports=list(EXPORTED_LOGS),
            enable_iam_database_authentication=True,
            enable_performance_insights=True,
            performance_insights_kms_key_id=key_arn,
            performance_insights_retention_period=7,
            monitoring_interval=60,
            monitoring_role_arn=self._monitoring_role().role_arn,
            **origin,
        )
        instance.node.add_dependency(*self._log_groups())
        acknowledge(
            instance,
            {
                "AwsSolutions-RDS10": "A setting (deletionProtection); on in the prod preset.",
                "AwsSolutions-RDS11": "Another port hides nothing from whom the security group "
                "admits, and it admits nobody else.",
            },
        )
        self.endpoint_address: str = instance.attr_endpoint_address
        # The host alone: the port is PostgreSQL's own, and clients take the two apart anyway.
        CfnOutput(self, "DbEndpoint", value=self.endpoint_address)
        self._instance_alarms(instance)
        return instance

    def _subnet_group(self) -> rds.CfnDBSubnetGroup:
        return rds.CfnDBSubnetGroup(
            self,
            "SubnetGroup",
            db_subnet_group_description=f"Isolated subnets for {self.identifier}",
            subnet_ids=[subnet.subnet_id for subnet in self._vpc.isolated_subnets],
        )

    def _parameter_group(self) -> rds.CfnDBParameterGroup:
        return rds.CfnDBParameterGroup(
            self,
            "ParameterGroup",
            family=PARAMETER_FAMILY,
            description=f"TLS only, and the connections of the fleet, for {self.identifier}",
            parameters={
                "rds.force_ssl": "1",
                # PostgreSQL stops a replica whose limit is below its source's, so it is stated.
                "max_connections": str(_max_connections(self._settings)),
            },
        )

    def _monitoring_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "MonitoringRole",
            assumed_by=iam.ServicePrincipal(
                "monitoring.rds.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
            description="Lets RDS publish enhanced monitoring",
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AmazonRDSEnhancedMonitoringRole"
                )
            ],
        )
        acknowledge(
            role,
            {
                "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
                "AmazonRDSEnhancedMonitoringRole]": "RDS documents this policy for the purpose; it "
                "reaches RDS's own log groups only, and only RDS can assume the role."
            },
        )
        return role

    def _log_groups(self) -> list[logs.LogGroup]:
        """Make the groups RDS exports to, which it would else make unencrypted and keep forever."""
        return [
            logs.LogGroup(
                self,
                f"{log.capitalize()}LogGroup",
                log_group_name=f"/aws/rds/instance/{self.identifier}/{log}",
                encryption_key=self._key,
                retention=LOG_RETENTION,
                removal_policy=removal_policy(self._settings),
            )
            for log in EXPORTED_LOGS
        ]

    def _instance_alarms(self, instance: rds.CfnDBInstance) -> None:
        settings = self._settings
        self._alarm(
            "CpuAlarm",
            instance,
            metric="CPUUtilization",
            description="The database works at its limit; queries begin to queue",
            threshold=80,
        )
        self._alarm(
            "FreeStorageAlarm",
            instance,
            metric="FreeStorageSpace",
            description="Storage runs out faster than its autoscaling, which acts below 10%",
            threshold=settings.database_storage_gib * GIB * 0.05,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
        )
        self._alarm(
            "ConnectionsAlarm",
            instance,
            metric="DatabaseConnections",
            description="Four fifths of max_connections are taken: a leak, or a fleet too large",
            threshold=_max_connections(settings) * 0.8,
        )

    def _alarm(
        self,
        id: str,
        instance: rds.CfnDBInstance,
        *,
        metric: str,
        description: str,
        threshold: float,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
        ),
    ) -> None:
        """Alarm when a metric of the instance crosses a threshold for five minutes.

        A silent instance is in trouble too, so missing data is a breach.
        """
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_description=f"{self.identifier}: {description}",
            metric=cloudwatch.Metric(
                namespace="AWS/RDS",
                metric_name=metric,
                dimensions_map={"DBInstanceIdentifier": instance.ref},
                period=Duration.minutes(1),
            ),
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=5,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        notify(alarm, self._alarm_topic)


class PrimaryDatabaseStack(_DatabaseStack):
    """The writer: Multi-AZ, with backups, and the credentials it shares with the standby region.

    The secret is generated here rather than managed by RDS, because RDS manages none for an
    instance with read replicas. It is replicated, so that the standby can read it with the
    primary region gone; it holds no host, which would be the wrong one there.

    Attributes:
        endpoint_address: Host name of the instance.
        secret_name: Name of the credentials (``username``, ``password``) in both regions.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(
            scope, id, settings=settings, identifier=primary_identifier(settings), **kwargs
        )
        secret = self._secret()
        self.secret_name = secret_name(settings)
        instance = self._create(
            engine_version=ENGINE_VERSION,
            allocated_storage=str(settings.database_storage_gib),
            storage_encrypted=True,
            db_name=settings.database_name,
            master_username=MASTER_USERNAME,
            master_user_password=SecretValue.secrets_manager(
                secret.ref, json_field="password"
            ).unsafe_unwrap(),
            backup_retention_period=settings.backup_retention_days,
        )
        instance.apply_removal_policy(snapshot_policy(settings))
        CfnOutput(self, "DbCredentialsSecret", value=secret.ref)

    def _secret(self) -> secretsmanager.CfnSecret:
        settings = self._settings
        secret = secretsmanager.CfnSecret(
            self,
            "Credentials",
            name=secret_name(settings),
            description=f"Credentials of {self.identifier} and its replica",
            kms_key_id=self._key.key_arn,
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                secret_string_template=f'{{"username": "{MASTER_USERNAME}"}}',
                generate_string_key="password",
                password_length=32,
                exclude_punctuation=True,
            ),
            replica_regions=[
                secretsmanager.CfnSecret.ReplicaRegionProperty(
                    region=settings.standby_region,
                    kms_key_id=key_alias(settings, settings.standby_region),
                )
            ],
        )
        secret.apply_removal_policy(removal_policy(settings))
        acknowledge(
            secret,
            {
                "AwsSolutions-SMG4": "Rotation takes a Lambda function in the VPC, and one that "
                "rotates in the middle of a failover locks the application out. Operators sign in "
                "with IAM tokens; the application's password is rotated by a deployment."
            },
        )
        return secret


class ReplicaDatabaseStack(_DatabaseStack):
    """The replica in the standby region, Multi-AZ itself, so that promotion needs no rebuild.

    It inherits version, storage, name, user and password from its source, and has no backups
    until it is promoted; to state any of them is an error (AWS::RDS::DBInstance,
    ``SourceDBInstanceIdentifier``).

    Attributes:
        endpoint_address: Host name of the instance; promotion does not change it.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(
            scope, id, settings=settings, identifier=replica_identifier(settings), **kwargs
        )
        instance = self._create(
            source_region=settings.primary_region,
            source_db_instance_identifier=self.format_arn(
                service="rds",
                region=settings.primary_region,
                resource="db",
                resource_name=primary_identifier(settings),
            ).replace("db/", "db:"),
        )
        instance.apply_removal_policy(removal_policy(settings))
        encrypted = (
            "A replica is encrypted as its source is, here with this region's key (KmsKeyId); "
            "CloudFormation refuses StorageEncrypted beside SourceDBInstanceIdentifier."
        )
        acknowledge(
            instance, dict.fromkeys(("AwsSolutions-RDS2", "CKV_AWS_16", "E3720"), encrypted)
        )
        self._alarm(
            "ReplicaLagAlarm",
            instance,
            metric="ReplicaLag",
            description="A failover now would lose more than the recovery point objective allows",
            threshold=settings.rpo.total_seconds(),
        )


def _max_connections(settings: Settings) -> int:
    """Count the connections of both regions' full fleets on one writer, and the operators'."""
    return 2 * settings.max_capacity * CONNECTIONS_PER_INSTANCE + OPERATOR_CONNECTIONS
