"""One instance of the application: its image, its program, and what it may touch."""

from pathlib import Path

from aws_cdk import Aws, Fn, IgnoreMode, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from standby.blueprint.security import HTTP
from standby.errors import UsageError
from standby.settings import Settings

HEALTH_PATH = "/health"
SIGNALLED_RESOURCE = "AutoScalingGroup"
"""Logical id of the group that waits for the instances' signals; the user data names it."""
USER_DATA = Path(__file__).with_name("user_data.sh")
WORKLOAD_FILES = ("main.py", "requirements.txt")
"""What makes a directory a workload: user data installs the one and runs the other."""


class Instance(Construct):
    """How the application's instances of one region are launched.

    Attributes:
        launch_template: Image, program and hardening of every instance.
        permissions: What an instance may touch; must exist before the first one boots.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        key: kms.IKey,
        role: iam.IRole,
        security_group: ec2.ISecurityGroup,
        file_system: efs.IFileSystem,
        access_point: efs.IAccessPoint,
        database_endpoint: str,
        database_secret_name: str,
    ) -> None:
        super().__init__(scope, id)
        program = _program(self, settings.workload_path)
        self.permissions = iam.Policy(
            self,
            "Permissions",
            roles=[role],
            statements=_statements(
                Stack.of(self).region,
                key=key,
                file_system=file_system,
                access_point=access_point,
                database_secret_name=database_secret_name,
                program=program,
            ),
        )
        user_data = Fn.sub(
            USER_DATA.read_text(encoding="utf-8"),
            {
                "AccessPoint": access_point.access_point_id,
                "AssetBucket": program.s3_bucket_name,
                "AssetKey": program.s3_object_key,
                "DatabaseHost": database_endpoint,
                "DatabaseName": settings.database_name,
                "DatabaseSecret": database_secret_name,
                "FileSystem": file_system.file_system_id,
                "Group": SIGNALLED_RESOURCE,
                "HealthPath": HEALTH_PATH,
                "Port": str(HTTP),
            },
        )
        self.launch_template = ec2.LaunchTemplate(
            self,
            "LaunchTemplate",
            # Resolved when the stack is deployed: all instances run one image, and a newer one
            # arrives by a rolling update, never by the chance of scaling.
            machine_image=ec2.MachineImage.latest_amazon_linux2023(),
            instance_type=ec2.InstanceType(settings.instance_type),
            role=role,
            security_group=security_group,
            user_data=ec2.UserData.custom(user_data),
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            # Step scaling needs a data point every minute, not every five.
            detailed_monitoring=True,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        16,
                        volume_type=ec2.EbsDeviceVolumeType.GP3,
                        encrypted=True,
                        kms_key=key,
                    ),
                )
            ],
        )


def _statements(
    region: str,
    *,
    key: kms.IKey,
    file_system: efs.IFileSystem,
    access_point: efs.IAccessPoint,
    database_secret_name: str,
    program: s3_assets.Asset,
) -> list[iam.PolicyStatement]:
    """Allow what an instance does and no more: read its secret and program, mount its files."""
    # By name, which is the same in both regions: a reference to the primary's secret would make
    # the standby's stack impossible to update without the primary region. The question marks
    # are the six characters that Secrets Manager appends, nothing more.
    secret_arn = (
        f"arn:{Aws.PARTITION}:secretsmanager:{region}:{Aws.ACCOUNT_ID}"
        f":secret:{database_secret_name}-??????"
    )
    return [
        iam.PolicyStatement(
            sid="ReadDatabaseCredentials",
            actions=["secretsmanager:GetSecretValue"],
            resources=[secret_arn],
        ),
        iam.PolicyStatement(
            sid="DecryptDatabaseCredentials",
            actions=["kms:Decrypt"],
            resources=[key.key_arn],
            conditions={
                "StringEquals": {"kms:ViaService": f"secretsmanager.{region}.{Aws.URL_SUFFIX}"}
            },
        ),
        iam.PolicyStatement(
            sid="MountSharedFiles",
            actions=["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            resources=[file_system.file_system_arn],
            conditions={
                "StringEquals": {"elasticfilesystem:AccessPointArn": access_point.access_point_arn}
            },
        ),
        iam.PolicyStatement(
            sid="FetchProgram",
            actions=["s3:GetObject"],
            resources=[
                f"arn:{Aws.PARTITION}:s3:::{program.s3_bucket_name}/{program.s3_object_key}"
            ],
        ),
        # The creation signal needs no permission: cfn-signal proves by the instance's
        # identity document that it belongs to the stack.
    ]


def _program(scope: Construct, path: Path) -> s3_assets.Asset:
    """Publish the directory that instances run, to each region's own bootstrap bucket.

    Raises:
        UsageError: It is not a workload.
    """
    for name in WORKLOAD_FILES:
        if not (path / name).is_file():
            raise UsageError(
                f"workload.path {str(path)!r} has no {name}; instances install its "
                "requirements.txt and run its main.py, so point it at a directory that has both"
            )
    return s3_assets.Asset(
        scope,
        "Program",
        path=str(path),
        exclude=["__pycache__", ".*"],
        ignore_mode=IgnoreMode.GIT,
    )
