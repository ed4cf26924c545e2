"""Compute: a load balancer and the instances behind it, one set per region.

Both regions run the same template; the standby's smallest size serves without scaling first
(static stability, Well-Architected REL11-BP05), since a regional event is when everyone scales.
"""

from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from standby.blueprint.acknowledge import acknowledge
from standby.blueprint.instance import HEALTH_PATH, SIGNALLED_RESOURCE, Instance
from standby.blueprint.monitoring import notify
from standby.blueprint.security import HTTP
from standby.settings import Settings

BOOT_MINUTES = 20
"""Patience with a new instance: packages, the application and, in the standby region, the first
replication of the shared files. A healthy boot takes about a minute and a half (assumption)."""
WARMUP_MINUTES = 3
"""A new instance's metrics count only after this: its own start must not scale the group."""
AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
AT_MOST = cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
IGNORED = cloudwatch.TreatMissingData.NOT_BREACHING
BREACHING = cloudwatch.TreatMissingData.BREACHING
CPU_TARGET = 50
SURGE, SURGE_MINUTES = 75, 2
IDLE, IDLE_MINUTES = 20, 30
"""Step scaling acts outside a band around the target, on the same metric and in the same
direction as target tracking would: it adds faster in a surge and shrinks a group that stays idle,
so the two never pull against each other."""


class ComputeStack(Stack):
    """The application of one region: load balancer, target group, scaling group, alarms.

    Attributes:
        load_balancer: Faces the internet.
        target_group: The instances, as ``/health`` sees them.
        auto_scaling_group: The instances.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        min_capacity: int,
        vpc: ec2.IVpc,
        key: kms.IKey,
        instance_role: iam.IRole,
        load_balancer_sg: ec2.ISecurityGroup,
        instance_sg: ec2.ISecurityGroup,
        file_system: efs.IFileSystem,
        access_point: efs.IAccessPoint,
        database_endpoint: str,
        database_secret_name: str,
        alarm_topic: sns.ITopic,
        zone: route53.IHostedZone | None = None,
        **kwargs: Any,
    ) -> None:
        """Create the stack.

        Args:
            scope: The root stack.
            id: Construct id.
            settings: The configuration in force.
            min_capacity: Fewest instances in this region.
            vpc: The region's network.
            key: The region's key; encrypts volumes and the region's copy of the secret.
            instance_role: Role of the instances; this stack attaches what they may touch.
            load_balancer_sg: Admits clients, and reaches the instances only.
            instance_sg: Admits the load balancer on the application's port.
            file_system: The region's shared files.
            access_point: The directory of ``file_system`` that belongs to the application.
            database_endpoint: Host of the region's own database, primary or replica.
            database_secret_name: Name of the credentials, the same in both regions.
            alarm_topic: Where the region's alarms go.
            zone: Public zone of the domain; with it the load balancer speaks HTTPS.
            **kwargs: ``env``, ``stack_name`` and the like.
        """
        super().__init__(scope, id, **kwargs)
        self._settings = settings
        self._vpc = vpc
        self.load_balancer = self._load_balancer(load_balancer_sg)
        self.target_group = self._target_group()
        listener = self._listener(zone)
        instance = Instance(
            self,
            "Instance",
            settings=settings,
            key=key,
            role=instance_role,
            security_group=instance_sg,
            file_system=file_system,
            access_point=access_point,
            database_endpoint=database_endpoint,
            database_secret_name=database_secret_name,
        )
        self.auto_scaling_group = self._auto_scaling_group(min_capacity, instance.launch_template)
        self.auto_scaling_group.node.add_dependency(instance.permissions, listener)
        self._group_dimension = {
            "AutoScalingGroupName": self.auto_scaling_group.auto_scaling_group_name
        }
        self._cpu = self._metric("AWS/EC2", "CPUUtilization", self._group_dimension, "Average")
        self._scaling()
        self._alarms(min_capacity, alarm_topic)
        CfnOutput(self, "LoadBalancerDns", value=self.load_balancer.load_balancer_dns_name)
        CfnOutput(
            self,
            "AutoScalingGroupName",
            value=self.auto_scaling_group.auto_scaling_group_name,
        )

    def _load_balancer(self, security_group: ec2.ISecurityGroup) -> elbv2.ApplicationLoadBalancer:
        load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            load_balancer_name=f"alb-{self.region}-{self._settings.environment_suffix}",
            vpc=self._vpc,
            internet_facing=True,
            security_group=security_group,
            drop_invalid_header_fields=True,
            deletion_protection=self._settings.deletion_protection,
        )
        if self._settings.access_logs:
            load_balancer.log_access_logs(self._access_log_bucket())
        else:
            unlogged = "A setting (accessLogs); on in the prod preset."
            acknowledge(load_balancer, {"AwsSolutions-ELB2": unlogged, "CKV_AWS_91": unlogged})
        return load_balancer

    def _access_log_bucket(self) -> s3.Bucket:
        """Make the bucket of the access logs.

        Load balancers can deliver to a bucket encrypted with Amazon S3's own keys only (ELB user
        guide, "Access logs"). It is versioned, so that a log cannot be replaced unnoticed, and
        always kept: it is the record of who came, most wanted when the stack is gone.
        """
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(90),
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        last = (
            "A bucket of logs is where logging ends: logs of its own would ask for another one. "
            "Who reads it is CloudTrail's to record (data events)."
        )
        acknowledge(bucket, {"AwsSolutions-S1": last, "CKV_AWS_18": last})
        return bucket

    def _target_group(self) -> elbv2.ApplicationTargetGroup:
        return elbv2.ApplicationTargetGroup(
            self,
            "TargetGroup",
            vpc=self._vpc,
            port=HTTP,
            protocol=elbv2.ApplicationProtocol.HTTP,
            target_type=elbv2.TargetType.INSTANCE,
            # Requests take milliseconds; the default of five minutes would slow down every
            # update and every scale-in by as much.
            deregistration_delay=Duration.seconds(30),
            health_check=elbv2.HealthCheck(
                path=HEALTH_PATH,
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
                healthy_http_codes="200",
            ),
        )

    def _listener(self, zone: route53.IHostedZone | None) -> elbv2.ApplicationListener:
        if zone is None:
            plain = self.load_balancer.add_listener(
                "Http",
                port=80,
                protocol=elbv2.ApplicationProtocol.HTTP,
                open=False,
                default_target_groups=[self.target_group],
            )
            nameless = (
                "No authority certifies a load balancer's own name, so without a domain there is "
                "nothing to speak TLS with; with domainName, this listener redirects to HTTPS."
            )
            acknowledge(plain, {"CKV_AWS_2": nameless, "CKV_AWS_103": nameless})
            return plain
        self.load_balancer.add_listener(
            "HttpRedirect",
            port=80,
            protocol=elbv2.ApplicationProtocol.HTTP,
            open=False,
            default_action=elbv2.ListenerAction.redirect(
                protocol="HTTPS", port="443", permanent=True
            ),
        )
        certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=str(self._settings.application_name),
            validation=acm.CertificateValidation.from_dns(zone),
        )
        return self.load_balancer.add_listener(
            "Https",
            port=443,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            open=False,
            certificates=[certificate],
            ssl_policy=elbv2.SslPolicy.TLS13_12_RES_PQ,
            default_target_groups=[self.target_group],
        )

    def _auto_scaling_group(
        self, min_capacity: int, launch_template: ec2.LaunchTemplate
    ) -> autoscaling.AutoScalingGroup:
        """Make the group; its desired capacity is left to scaling.

        A template that states a desired capacity would undo, at every deployment, what scaling
        (or a failover) has decided.
        """
        group = autoscaling.AutoScalingGroup(
            self,
            "AutoScalingGroup",
            vpc=self._vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            launch_template=launch_template,
            min_capacity=min_capacity,
            max_capacity=self._settings.max_capacity,
            default_instance_warmup=Duration.minutes(WARMUP_MINUTES),
            # As patient as the deployment is: an instance replaced while it boots would report its
            # end as a failure, and roll the deployment back. One healthy earlier serves earlier.
            health_checks=autoscaling.HealthChecks.with_additional_checks(
                additional_types=[autoscaling.AdditionalHealthCheckType.ELB],
                grace_period=Duration.minutes(BOOT_MINUTES),
            ),
            signals=autoscaling.Signals.wait_for_min_capacity(
                timeout=Duration.minutes(BOOT_MINUTES)
            ),
            update_policy=autoscaling.UpdatePolicy.rolling_update(
                max_batch_size=max(1, min_capacity // 2),
                # Below the maximum, or a rolling update of a full group could never begin.
                min_instances_in_service=min(min_capacity, self._settings.max_capacity - 1),
            ),
            group_metrics=[autoscaling.GroupMetrics.all()],
        )
        acknowledge(
            group,
            {
                "AwsSolutions-AS3": "Launches and terminations are the group's daily work, and "
                "would bury the alarms of the same topic. That they fail is an alarm of its own "
                "(TooFewInstances); the group's activity history has the rest.",
            },
        )
        cfn_group = group.node.default_child
        cfn_group.override_logical_id(SIGNALLED_RESOURCE)
        # Set on the resource, since the construct's own way would open the security groups anew.
        cfn_group.target_group_arns = [self.target_group.target_group_arn]
        return group

    def _metric(
        self, namespace: str, name: str, dimensions: dict[str, str], statistic: str
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def _scaling(self) -> None:
        """Track a CPU target, and step outside of a band around it (see ``SURGE``, ``IDLE``)."""
        self.auto_scaling_group.scale_on_cpu_utilization(
            "CpuTarget", target_utilization_percent=CPU_TARGET
        )
        surge = autoscaling.StepScalingAction(
            self,
            "SurgeSteps",
            auto_scaling_group=self.auto_scaling_group,
            adjustment_type=autoscaling.AdjustmentType.PERCENT_CHANGE_IN_CAPACITY,
            min_adjustment_magnitude=1,
            estimated_instance_warmup=Duration.minutes(WARMUP_MINUTES),
            metric_aggregation_type=autoscaling.MetricAggregationType.AVERAGE,
        )
        # Bounds are relative to the alarm's threshold: half as many again, then twice as many.
        surge.add_adjustment(adjustment=50, lower_bound=0, upper_bound=90 - SURGE)
        surge.add_adjustment(adjustment=100, lower_bound=90 - SURGE)
        idle = autoscaling.StepScalingAction(
            self,
            "IdleStep",
            auto_scaling_group=self.auto_scaling_group,
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            metric_aggregation_type=autoscaling.MetricAggregationType.AVERAGE,
        )
        idle.add_adjustment(adjustment=-1, upper_bound=0)
        for id, action, threshold, minutes, comparison in (
            ("Surge", surge, SURGE, SURGE_MINUTES, AT_LEAST),
            ("Idle", idle, IDLE, IDLE_MINUTES, AT_MOST),
        ):
            cloudwatch.Alarm(
                self,
                id,
                alarm_description="Scales the group; tells nobody, since it is no fault",
                metric=self._cpu,
                threshold=threshold,
                comparison_operator=comparison,
                evaluation_periods=minutes,
            ).add_alarm_action(actions.AutoScalingAction(action))

    def _alarms(self, min_capacity: int, topic: sns.ITopic) -> None:
        balancer = {"LoadBalancer": self.load_balancer.load_balancer_full_name}
        targets = {"TargetGroup": self.target_group.target_group_full_name, **balancer}
        elb = "AWS/ApplicationELB"
        in_service = self._metric(
            "AWS/AutoScaling", "GroupInServiceInstances", self._group_dimension, "Minimum"
        )
        errors = "HTTPCode_ELB_5XX_Count"
        for id, metric, comparison, threshold, minutes, missing, meaning in (
            ("HighCpu", self._cpu, AT_LEAST, 80, 10, IGNORED,
             "Instances stay busy although the group scales; is it at its maximum?"),
            ("TooFewInstances", in_service, BELOW, min_capacity, 10, BREACHING,
             "The group cannot keep its minimum: launches fail, or instances do not boot"),
            ("UnhealthyHosts", self._metric(elb, "UnHealthyHostCount", targets, "Maximum"),
             AT_LEAST, 1, 5, IGNORED, "An instance fails /health: its mount or process is gone"),
            ("LoadBalancerErrors", self._metric(elb, errors, balancer, "Sum"),
             AT_LEAST, 10, 3, IGNORED, "Clients get errors of the load balancer: no host answers"),
            ("ApplicationErrors",
             self._metric(elb, "HTTPCode_Target_5XX_Count", balancer, "Sum"),
             AT_LEAST, 10, 3, IGNORED, "Clients get errors from the application"),
        ):  # fmt: skip
            notify(
                cloudwatch.Alarm(
                    self,
                    id,
                    alarm_description=meaning,
                    metric=metric,
                    comparison_operator=comparison,
                    threshold=threshold,
                    evaluation_periods=minutes,
                    treat_missing_data=missing,
                ),
                topic,
            )
