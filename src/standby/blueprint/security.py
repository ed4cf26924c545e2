"""Security: one key, one set of security groups and one instance role per region."""

from ipaddress import IPv4Network
from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from standby.blueprint.acknowledge import acknowledge
from standby.blueprint.network import FlowLogs
from standby.blueprint.retention import removal_policy
from standby.settings import Settings

HTTP, HTTPS, POSTGRESQL, NFS = 80, 443, 5432, 2049


def key_alias(settings: Settings, region: str) -> str:
    """Name the key of an environment in a region; known before the key exists."""
    return f"alias/standby-{settings.environment_suffix}-{region}"


class SecurityStack(Stack):
    """The key, roles and security groups that a region's other stacks share.

    Attributes:
        key: Encrypts the region's data at rest: database, files, volumes, secret, topic, logs.
        instance_role: Role of the instances; other stacks attach what their service needs.
        load_balancer_sg: Admits the internet, and reaches the instances only.
        instance_sg: Admits the load balancer.
        database_sg: Admits the instances of both regions on PostgreSQL's port.
        file_system_sg: Admits the instances on NFS's port.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        vpc: ec2.IVpc,
        peer_cidr: IPv4Network,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._vpc = vpc
        self.key = kms.Key(
            self,
            "Key",
            alias=key_alias(settings, self.region),
            description=f"Data at rest of {settings.stack_name} in {self.region}",
            enable_key_rotation=True,
            policy=self._key_policy(),
            pending_window=Duration.days(30 if settings.deletion_protection else 7),
            removal_policy=removal_policy(settings),
        )
        self.instance_role = self._instance_role()
        self.load_balancer_sg = self._group("LoadBalancerSg", "Load balancer")
        self.instance_sg = self._group("InstanceSg", "Application instances")
        self.database_sg = self._group("DatabaseSg", "Database; no way out")
        self.file_system_sg = self._group("FileSystemSg", "Shared files; no way out")
        self._open_paths(settings, ec2.Peer.ipv4(str(peer_cidr)))
        acknowledge(
            self.key,
            {
                "CKV_AWS_33": "Any principal, on the condition that it is the account's Auto "
                "Scaling service-linked role; see the statements' comment."
            },
        )
        public = "The application is public; this group is its only way in and leads to instances."
        acknowledge(self.load_balancer_sg, {"AwsSolutions-EC23": public, "CKV_AWS_260": public})
        FlowLogs(self, "FlowLogs", settings=settings, vpc=vpc, key=self.key)
        CfnOutput(self, "KmsKeyArn", value=self.key.key_arn)

    def _group(self, id: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, id, vpc=self._vpc, description=description, allow_all_outbound=False
        )

    def _open_paths(self, settings: Settings, peer: ec2.IPeer) -> None:
        """Allow exactly the paths of the application, each from both of its ends."""
        anywhere = ec2.Peer.any_ipv4()
        web = [HTTP, HTTPS] if settings.domain_name else [HTTP]
        for port in web:
            self.load_balancer_sg.add_ingress_rule(
                anywhere, ec2.Port.tcp(port), f"Clients on the internet, port {port}"
            )
        for source, target, port, what in (
            (self.load_balancer_sg, self.instance_sg, HTTP, "Load balancer to instances"),
            (self.instance_sg, self.database_sg, POSTGRESQL, "Instances to the database"),
            (self.instance_sg, self.file_system_sg, NFS, "Instances to the shared files"),
        ):
            # By id, the rule is part of the source group itself: EC2 opens everything to a group
            # created without an egress rule. The ingress rule is apart, or there would be a cycle.
            inline_target = ec2.Peer.security_group_id(target.security_group_id)
            source.add_egress_rule(inline_target, ec2.Port.tcp(port), what)
            target.add_ingress_rule(source, ec2.Port.tcp(port), what)
        # A security group cannot name one of another region, so the peer is its VPC's block.
        self.instance_sg.add_egress_rule(
            peer, ec2.Port.tcp(POSTGRESQL), "Instances to the other region's database"
        )
        self.database_sg.add_ingress_rule(
            peer, ec2.Port.tcp(POSTGRESQL), "The other region's instances"
        )
        # AWS's services and package mirrors have public addresses that change.
        self.instance_sg.add_egress_rule(
            anywhere, ec2.Port.tcp(HTTPS), "AWS APIs and packages through NAT"
        )

    def _instance_role(self) -> iam.IRole:
        """Make the role with Session Manager's permissions; no other way leads to a shell.

        The managed policy AmazonSSMManagedInstanceCore would also let an instance read every
        parameter of the account; these are the actions that Session Manager documents.
        """
        role = iam.Role(
            self,
            "InstanceRole",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description="Role of the application instances",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="SessionManager",
                actions=[
                    "ssm:UpdateInstanceInformation",
                    "ssmmessages:CreateControlChannel",
                    "ssmmessages:CreateDataChannel",
                    "ssmmessages:OpenControlChannel",
                    "ssmmessages:OpenDataChannel",
                ],
                resources=["*"],
            )
        )
        no_resource = (
            "The channels of Session Manager have no resource to name, and its documented minimal "
            "policy names none for the instance's own registration."
        )
        acknowledge(
            role.node.find_child("DefaultPolicy"),
            {"AwsSolutions-IAM5[Resource::*]": no_resource, "CKV_AWS_111": no_resource},
        )
        # Or constructs that are given the role would add to its policy, in terms of their stack.
        return role.without_policy_updates()

    def _key_policy(self) -> iam.PolicyDocument:
        """Let the account administer the key, and use it only through the services at work here."""
        use = [
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:DescribeKey",
        ]
        log_groups = self.format_arn(service="logs", resource="log-group:*")
        autoscaling_role = self.format_arn(
            service="iam",
            region="",
            resource="role/aws-service-role/autoscaling.amazonaws.com",
            resource_name="AWSServiceRoleForAutoScaling",
        )
        launches_instances = {"ArnEquals": {"aws:PrincipalArn": autoscaling_role}}
        return iam.PolicyDocument(
            statements=[
                iam.PolicyStatement(
                    sid="AccountAdministersThroughIam",
                    principals=[iam.AccountRootPrincipal()],
                    actions=["kms:*"],
                    resources=["*"],
                ),
                iam.PolicyStatement(
                    sid="LogsOfThisAccount",
                    principals=[iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com")],
                    actions=use,
                    resources=["*"],
                    conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
                ),
                iam.PolicyStatement(
                    sid="AlarmsOfThisAccountToEncryptedTopics",
                    principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                ),
                # The service-linked role is named by a condition, because KMS refuses a principal
                # that does not exist, and AWS creates it with the account's first group.
                iam.PolicyStatement(
                    sid="AutoScalingUsesEncryptedVolumes",
                    principals=[iam.AnyPrincipal()],
                    actions=use,
                    resources=["*"],
                    conditions=launches_instances,
                ),
                iam.PolicyStatement(
                    sid="AutoScalingGrantsVolumesToEc2",
                    principals=[iam.AnyPrincipal()],
                    actions=["kms:CreateGrant"],
                    resources=["*"],
                    conditions=launches_instances | {"Bool": {"kms:GrantIsForAWSResource": "true"}},
                ),
            ]
        )
