"""Monitoring: who is told when something is wrong, and the one picture of both regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import ArnFormat, Aws, CfnOutput, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from standby.settings import Settings

HEALTH_CHECK_METRICS_REGION = "us-east-1"
"""Route 53 publishes its metrics there and nowhere else (developer guide, "Monitoring health
checks using CloudWatch"): a dashboard can show them, an alarm of another region cannot see them."""
GRID_WIDTH, WIDGET_HEIGHT = 24, 6
"""In the units of CloudWatch's dashboard grid."""


class MonitoringStack(Stack):
    """The topic of one region, to which every alarm of that region reports.

    It comes before the pillars: each of them makes the alarms of what it knows and takes the
    topic. No alarm reports to the other region, so losing a region silences no one else.
    """

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, key: kms.IKey, **kwargs: Any
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self.topic = sns.Topic(self, "AlarmTopic", master_key=key, enforce_ssl=True)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccountPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {
                        "aws:SourceArn": self.format_arn(
                            service="cloudwatch",
                            resource="alarm",
                            resource_name="*",
                            arn_format=ArnFormat.COLON_RESOURCE_NAME,
                        )
                    },
                },
            )
        )
        if settings.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
        CfnOutput(self, "AlarmTopicArn", value=self.topic.topic_arn)


def notify(alarm: cloudwatch.Alarm, topic: sns.ITopic) -> cloudwatch.Alarm:
    """Make ``alarm`` tell ``topic`` when it begins and when it ends, and return it."""
    action = actions.SnsAction(topic)
    alarm.add_alarm_action(action)
    alarm.add_ok_action(action)
    return alarm


@dataclass(frozen=True)
class Side:
    """What the dashboard shows of one region, by the names its metrics go by."""

    region: str
    load_balancer: str
    target_group: str
    auto_scaling_group: str
    database: str
    file_system: str
    health_check: str


def add_dashboard(
    scope: Construct, *, settings: Settings, primary: Side, standby: Side, latch: str
) -> None:
    """Add the dashboard that shows both regions, the primary on the left.

    The body is plain data (CloudWatch user guide, "Dashboard body structure and syntax"), so the
    whole dashboard costs one construct.

    Args:
        scope: The root stack.
        settings: The configuration in force; names the dashboard.
        primary: The region that serves in normal operation.
        standby: The region that takes over.
        latch: Id of the failover latch's health check.
    """
    health = _graph(
        "Health checks: 1 is healthy",
        HEALTH_CHECK_METRICS_REGION,
        [
            ("AWS/Route53", "HealthCheckStatus", {"HealthCheckId": check}, "Minimum", label)
            for check, label in (
                (primary.health_check, f"primary {primary.region}"),
                (standby.health_check, f"standby {standby.region}"),
                (latch, "failover latch"),
            )
        ],
    )
    replication = _graph(
        "Seconds the standby is behind",
        standby.region,
        [
            ("AWS/RDS", "ReplicaLag", {"DBInstanceIdentifier": standby.database}, "Maximum"),
        ],
    )
    files = {
        "FileSystemId": primary.file_system,
        "DestinationFileSystemId": standby.file_system,
    }
    sync = _graph(
        "Seconds since the files were last in step",
        primary.region,
        [("AWS/EFS", "TimeSinceLastSync", files, "Maximum")],
    )
    cloudwatch.CfnDashboard(
        scope,
        "Dashboard",
        dashboard_name=settings.stack_name,
        dashboard_body=Stack.of(scope).to_json_string(
            {
                "widgets": _grid(
                    [health],
                    [sync, replication],
                    *zip(_region("Primary", primary), _region("Standby", standby), strict=True),
                )
            }
        ),
    )


Metric = tuple[str, str, Mapping[str, str], str] | tuple[str, str, Mapping[str, str], str, str]
"""Namespace, name, dimensions, statistic and, where the name does not say it all, a label."""
Widget = dict[str, Any]


def _region(title: str, side: Side) -> list[Widget]:
    """Give the widgets of one region, from the client's end of the path to the data."""
    balancer = {"LoadBalancer": side.load_balancer}
    targets = {"TargetGroup": side.target_group, **balancer}
    group = {"AutoScalingGroupName": side.auto_scaling_group}
    database = {"DBInstanceIdentifier": side.database}
    rows: Mapping[str, Sequence[Metric]] = {
        "requests and errors": [
            ("AWS/ApplicationELB", "RequestCount", balancer, "Sum"),
            ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", balancer, "Sum"),
            ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", balancer, "Sum"),
        ],
        "response time": [("AWS/ApplicationELB", "TargetResponseTime", balancer, "p99")],
        "hosts": [
            ("AWS/ApplicationELB", "HealthyHostCount", targets, "Minimum"),
            ("AWS/ApplicationELB", "UnHealthyHostCount", targets, "Maximum"),
            ("AWS/AutoScaling", "GroupDesiredCapacity", group, "Average"),
            ("AWS/AutoScaling", "GroupInServiceInstances", group, "Average"),
        ],
        "CPU": [
            ("AWS/EC2", "CPUUtilization", group, "Average", "instances"),
            ("AWS/RDS", "CPUUtilization", database, "Average", "database"),
        ],
        "database connections": [("AWS/RDS", "DatabaseConnections", database, "Maximum")],
        "database free storage": [("AWS/RDS", "FreeStorageSpace", database, "Minimum")],
    }
    return [
        _graph(f"{title} {side.region}: {what}", side.region, metrics)
        for what, metrics in rows.items()
    ]


def _graph(title: str, region: str, metrics: Sequence[Metric]) -> Widget:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": region,
            "period": 60,
            "view": "timeSeries",
            "metrics": [
                [
                    namespace,
                    name,
                    *(part for dimension in dimensions.items() for part in dimension),
                    {"stat": statistic} | ({"label": label[0]} if label else {}),
                ]
                for namespace, name, dimensions, statistic, *label in metrics
            ],
        },
    }


def _grid(*rows: Sequence[Widget]) -> list[Widget]:
    """Lay widgets out in rows, each row sharing the full width evenly."""
    return [
        {
            **widget,
            "x": column * (GRID_WIDTH // len(row)),
            "y": number * WIDGET_HEIGHT,
            "width": GRID_WIDTH // len(row),
            "height": WIDGET_HEIGHT,
        }
        for number, row in enumerate(rows)
        for column, widget in enumerate(row)
    ]
