"""Resilience: the experiment that takes the primary's front door away, and the yardstick.

The experiment is made so that ``/health`` really fails: it cuts the load balancer's subnets off
from everything. Stopping instances instead would race with the group that replaces them, and
Fault Injection Service can stop neither RDS nor EFS replication.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aws_cdk import Aws, CfnOutput, CfnResource, Duration, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_fis as fis
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_resiliencehub as resiliencehub
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_sns as sns
from constructs import Construct

from standby.blueprint.acknowledge import acknowledge
from standby.blueprint.database import primary_identifier
from standby.blueprint.monitoring import notify
from standby.blueprint.retention import LOG_RETENTION, removal_policy
from standby.settings import Settings

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=12)
"""Of a network disruption (FIS user guide, "aws:network:disrupt-connectivity")."""
MAX_UNSHIPPED_BYTES = 256 * 2**20
"""Write-ahead log the replica may lack before the experiment stops: four segments of RDS."""
ASSESSMENT_POLICY = "AWSResilienceHubAsssessmentExecutionPolicy"
"""Spelled as AWS spells it."""
COMPONENTS: Mapping[type[CfnResource], tuple[str, str]] = {
    elbv2.CfnLoadBalancer: ("load-balancers", "AWS::ResilienceHub::NetworkingAppComponent"),
    autoscaling.CfnAutoScalingGroup: ("instances", "AWS::ResilienceHub::ComputeAppComponent"),
    rds.CfnDBInstance: ("databases", "AWS::ResilienceHub::DatabaseAppComponent"),
    efs.CfnFileSystem: ("files", "AWS::ResilienceHub::StorageAppComponent"),
    route53.CfnRecordSet: ("dns", "AWS::ResilienceHub::NetworkingAppComponent"),
}
"""What Resilience Hub assesses, of the types it supports. The resources of both regions share a
component: that is how it learns that one stands in for the other (user guide, "Grouping resources
in an AppComponent")."""


class ResilienceStack(Stack):
    """The FIS experiment, and Resilience Hub's view of all stacks of both regions."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        vpc: ec2.IVpc,
        key: kms.IKey,
        alarm_topic: sns.ITopic,
        stacks: Sequence[Stack],
        **kwargs: Any,
    ) -> None:
        """Create the stack.

        Args:
            scope: The root stack.
            id: Construct id.
            settings: The configuration in force.
            vpc: The primary's network; the experiment cuts off its public subnets.
            key: The primary's key; encrypts the experiment's log.
            alarm_topic: Where the primary's alarms go.
            stacks: Every stack that the application needs, in both regions.
            **kwargs: ``env``, ``stack_name`` and the like.
        """
        super().__init__(scope, id, **kwargs)
        self._settings = settings
        experiment = self._experiment(vpc, key, alarm_topic)
        app = self._app(stacks)
        CfnOutput(self, "ExperimentTemplateId", value=experiment.attr_id)
        CfnOutput(self, "ResilienceHubAppArn", value=app.attr_app_arn)

    def _experiment(
        self, vpc: ec2.IVpc, key: kms.IKey, topic: sns.ITopic
    ) -> fis.CfnExperimentTemplate:
        subnets = [self._ec2_arn("subnet", subnet.subnet_id) for subnet in vpc.public_subnets]
        log_group = logs.LogGroup(
            self,
            "ExperimentLog",
            log_group_name=f"/aws/vendedlogs/fis/{self._settings.stack_name}",
            encryption_key=key,
            retention=LOG_RETENTION,
            removal_policy=removal_policy(self._settings),
        )
        # Longer than the objective, so that recovery has to happen while the fault lasts.
        duration = min(max(2 * self._settings.rto, SHORTEST), LONGEST)
        return fis.CfnExperimentTemplate(
            self,
            "Experiment",
            description="Cuts the primary load balancer's subnets off, so that /health fails",
            role_arn=self._experiment_role(vpc, subnets).role_arn,
            targets={
                "LoadBalancerSubnets": fis.CfnExperimentTemplate.ExperimentTemplateTargetProperty(
                    resource_type="aws:ec2:subnet",
                    resource_arns=subnets,
                    selection_mode="ALL",
                )
            },
            actions={
                "CutOff": fis.CfnExperimentTemplate.ExperimentTemplateActionProperty(
                    action_id="aws:network:disrupt-connectivity",
                    parameters={
                        "scope": "all",
                        "duration": f"PT{math.ceil(duration / timedelta(minutes=1))}M",
                    },
                    targets={"Subnets": "LoadBalancerSubnets"},
                )
            },
            experiment_options=(
                fis.CfnExperimentTemplate.ExperimentTemplateExperimentOptionsProperty(
                    account_targeting="single-account", empty_target_resolution_mode="fail"
                )
            ),
            stop_conditions=[
                fis.CfnExperimentTemplate.ExperimentTemplateStopConditionProperty(
                    source="aws:cloudwatch:alarm", value=self._guard(topic).alarm_arn
                )
            ],
            log_configuration=fis.CfnExperimentTemplate.ExperimentTemplateLogConfigurationProperty(
                log_schema_version=2,
                cloud_watch_logs_configuration={"LogGroupArn": log_group.log_group_arn},
            ),
            tags={"Name": f"{self._settings.stack_name}-cut-off-primary"},
        )

    def _guard(self, topic: sns.ITopic) -> cloudwatch.Alarm:
        """Make the alarm that stops the experiment: the replica no longer keeps up.

        The fault is meant to be harmless because the standby has the data; should the log pile
        up unshipped, it is not. Missing data stops it too: without a replica there is no slot,
        no metric, and nothing to fail over to. The metric is the primary's own, as FIS wants
        its alarms in the experiment's region.
        """
        alarm = cloudwatch.Alarm(
            self,
            "ReplicationGuard",
            alarm_description=(
                "The replica lacks too much of the primary's log; also stops a running experiment"
            ),
            metric=cloudwatch.Metric(
                namespace="AWS/RDS",
                metric_name="OldestReplicationSlotLag",
                dimensions_map={"DBInstanceIdentifier": primary_identifier(self._settings)},
                statistic="Maximum",
                period=Duration.minutes(1),
            ),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=MAX_UNSHIPPED_BYTES,
            evaluation_periods=3,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        return notify(alarm, topic)

    def _experiment_role(self, vpc: ec2.IVpc, subnets: Sequence[str]) -> iam.Role:
        """Let FIS swap the network ACLs of these subnets for its own, and log what it does.

        FIS copies an ACL, tags the copy ``managedByFIS``, adds the denials and puts it in place of
        the original; the actions are those its reference lists for disrupt-connectivity. The ones
        on ``*`` describe the network or know no resources.
        """
        acls = self._ec2_arn("network-acl", "*")
        vpc_arn = self._ec2_arn("vpc", vpc.vpc_id)
        made_by_fis = {"aws:RequestTag/managedByFIS": "true"}
        in_vpc = {"ArnEquals": {"ec2:Vpc": vpc_arn}}
        role = iam.Role(
            self,
            "ExperimentRole",
            description="Lets FIS cut off the load balancer's subnets",
            assumed_by=iam.ServicePrincipal(
                "fis.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
            inline_policies={
                "DisruptConnectivity": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(actions=["ec2:CreateNetworkAcl"], resources=[vpc_arn]),
                        iam.PolicyStatement(
                            actions=["ec2:CreateNetworkAcl"],
                            resources=[acls],
                            conditions={"StringEquals": made_by_fis},
                        ),
                        iam.PolicyStatement(
                            actions=["ec2:CreateTags"],
                            resources=[acls],
                            conditions={
                                "StringEquals": made_by_fis
                                | {"ec2:CreateAction": "CreateNetworkAcl"}
                            },
                        ),
                        iam.PolicyStatement(
                            actions=["ec2:CreateNetworkAclEntry", "ec2:DeleteNetworkAcl"],
                            resources=[acls],
                            conditions=in_vpc
                            | {"StringEquals": {"ec2:ResourceTag/managedByFIS": "true"}},
                        ),
                        iam.PolicyStatement(
                            actions=["ec2:ReplaceNetworkAclAssociation"],
                            resources=[*subnets, acls],
                            conditions=in_vpc,
                        ),
                        iam.PolicyStatement(
                            actions=[
                                "ec2:DescribeManagedPrefixLists",
                                "ec2:DescribeNetworkAcls",
                                "ec2:DescribeSubnets",
                                "ec2:DescribeVpcs",
                                "ec2:GetManagedPrefixListEntries",
                            ],
                            resources=["*"],
                        ),
                        iam.PolicyStatement(
                            actions=[
                                "logs:CreateLogDelivery",
                                "logs:DescribeLogGroups",
                                "logs:DescribeResourcePolicies",
                                "logs:PutResourcePolicy",
                            ],
                            resources=["*"],
                        ),
                    ]
                )
            },
        )
        any_acl = f"Resource::arn:aws:ec2:{self.region}:<AWS::AccountId>:network-acl/*"
        acknowledge(
            role,
            {
                "AwsSolutions-IAM5[Resource::*]": "Actions that only describe the network, or that "
                "know no resources: they set up the delivery of the experiment's log.",
                f"AwsSolutions-IAM5[{any_acl}]": "The ACL comes into being during the experiment. "
                "Conditions hold the role to this VPC and to ACLs tagged managedByFIS.",
            },
        )
        return role

    def _ec2_arn(self, resource: str, name: str) -> str:
        arn: str = self.format_arn(service="ec2", resource=resource, resource_name=name)
        return arn

    def _app(self, stacks: Sequence[Stack]) -> resiliencehub.CfnApp:
        """Describe the application of both regions to Resilience Hub, assessed every day."""
        settings = self._settings
        objective = resiliencehub.CfnResiliencyPolicy.FailurePolicyProperty(
            rto_in_secs=int(settings.rto.total_seconds()),
            rpo_in_secs=int(settings.rpo.total_seconds()),
        )
        policy = resiliencehub.CfnResiliencyPolicy(
            self,
            "Policy",
            policy_name=settings.stack_name,
            policy_description="The objectives of the settings, for every kind of disruption",
            tier="Critical",
            policy=dict.fromkeys(("Region", "AZ", "Hardware", "Software"), objective),
        )
        invoker = iam.Role(
            self,
            "AssessmentRole",
            description="Lets Resilience Hub read the configuration of what it assesses",
            assumed_by=iam.ServicePrincipal(
                "resiliencehub.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(ASSESSMENT_POLICY)],
        )
        acknowledge(
            invoker,
            {
                f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/"
                f"{ASSESSMENT_POLICY}]": "AWS's own list of what an assessment reads, which it "
                "extends as the assessment grows; a copy would fall behind unnoticed.",
            },
        )
        return resiliencehub.CfnApp(
            self,
            "App",
            name=settings.stack_name,
            description=f"Warm standby: {settings.primary_region}, {settings.standby_region}",
            app_assessment_schedule="Daily",
            resiliency_policy_arn=policy.attr_policy_arn,
            permission_model=resiliencehub.CfnApp.PermissionModelProperty(
                type="RoleBased", invoker_role_name=invoker.role_name
            ),
            resource_mappings=[
                resiliencehub.CfnApp.ResourceMappingProperty(
                    mapping_type="CfnStack",
                    logical_stack_name=stack.stack_name,
                    physical_resource_id=resiliencehub.CfnApp.PhysicalResourceIdProperty(
                        type="Arn", identifier=stack.stack_id
                    ),
                )
                for stack in stacks
            ],
            app_template_body=_template_body(stacks),
        )


def _template_body(stacks: Sequence[Stack]) -> str:
    """List the resources to assess, by component (API reference, PutDraftAppVersionTemplate)."""
    resources = []
    components: dict[str, dict[str, Any]] = {
        "appcommon": {
            "name": "appcommon",
            "type": "AWS::ResilienceHub::AppCommonAppComponent",
            "resourceNames": [],
        }
    }
    for stack in stacks:
        for construct in stack.node.find_all():
            if (component := COMPONENTS.get(type(construct))) is None:
                continue
            logical_id = stack.resolve(construct.logical_id)
            # Without the root's name, or a long suffix would exceed the 60 characters of a name.
            name = f"{stack.node.id}-{logical_id}"
            resources.append(
                {
                    "logicalResourceId": {
                        "identifier": logical_id,
                        "logicalStackName": stack.stack_name,
                    },
                    "type": construct.cfn_resource_type,
                    "name": name,
                }
            )
            title, type_ = component
            components.setdefault(title, {"name": title, "type": type_, "resourceNames": []})
            components[title]["resourceNames"].append(name)
    return json.dumps(
        {
            "resources": resources,
            "appComponents": list(components.values()),
            "excludedResources": {"logicalResourceIds": []},
            "version": 2,
        }
    )
