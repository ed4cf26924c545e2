"""Scaling on the twin: groups, their instances' signals, rolling updates and policies."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.moto_api._internal.models import moto_api_backend
from twin_compute import FAILING, SIGNAL, SILENT, balancer, group, launch_template, network
from twin_stacks import STANDBY, Deploy, Deployed, DeploymentFailed

from standby.twin.boot import Machine, Machines, Outcome, simulated
from standby.twin.twin import Twin


@pytest.fixture(scope="module")
def twin() -> Twin:
    """Give a twin whose instances boot in 0.15 seconds."""
    moto_api_backend.reset()
    return Twin(speed=600)


def application(script: str = SIGNAL, kind: str = "t3.small", **properties: Any) -> dict[str, Any]:
    return network() | launch_template(script, InstanceType=kind) | group(**properties)


def described(stack: Deployed) -> dict[str, Any]:
    answer = stack.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[stack["Group"]]
    )
    found: dict[str, Any] = answer["AutoScalingGroups"][0]
    return found


def ids(stack: Deployed) -> list[str]:
    return [each["InstanceId"] for each in described(stack)["Instances"]]


def running(stack: Deployed) -> list[dict[str, Any]]:
    alive = [{"Name": "instance-state-name", "Values": ["running"]}]
    answer = stack.client("ec2").describe_instances(Filters=alive)
    return [each for r in answer["Reservations"] for each in r["Instances"]]


def health(stack: Deployed) -> dict[str, str]:
    answer = stack.client("elbv2").describe_target_health(TargetGroupArn=stack["Targets"])
    return {
        each["Target"]["Id"]: each["TargetHealth"]["State"]
        for each in answer["TargetHealthDescriptions"]
    }


def eventually_healthy(stack: Deployed) -> dict[str, str]:
    deadline = time.monotonic() + 20
    while (found := health(stack)) and time.monotonic() < deadline:
        if set(found.values()) == {"healthy"}:
            break
        time.sleep(0.01)
    return found


def test_a_group_is_as_its_template_says_and_spread_over_its_zones(deploy: Deploy) -> None:
    stack = deploy(
        application(
            HealthCheckType="ELB",
            HealthCheckGracePeriod=300,
            DefaultInstanceWarmup="180",
            Cooldown="120",
            TerminationPolicies=["OldestInstance"],
            NewInstancesProtectedFromScaleIn=True,
            MetricsCollection=[{"Granularity": "1Minute"}],
            Tags=[
                {"Key": "seen", "Value": "1", "PropagateAtLaunch": True},
                {"Key": "unseen", "Value": "2", "PropagateAtLaunch": "false"},
            ],
        )
    )
    found = described(stack)
    wanted = {
        "MinSize": 2,
        "MaxSize": 4,
        "DesiredCapacity": 2,
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 300,
        "DefaultInstanceWarmup": 180,
        "DefaultCooldown": 120,
        "TerminationPolicies": ["OldestInstance"],
        "NewInstancesProtectedFromScaleIn": True,
        "AvailabilityZones": ["eu-west-2a", "eu-west-2b"],
    }
    assert {key: found[key] for key in wanted} == wanted
    assert len(found["EnabledMetrics"]) == 13
    members = found["Instances"]
    assert sorted(each["AvailabilityZone"] for each in members) == ["eu-west-2a", "eu-west-2b"]
    assert {each["LifecycleState"] for each in members} == {"InService"}
    assert {each["LaunchTemplate"]["Version"] for each in members} == {"1"}
    for instance in running(stack):
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert tags["aws:autoscaling:groupName"] == stack["Group"]
        assert tags["seen"] == "1"
        assert "unseen" not in tags


def test_a_group_in_the_other_region_is_there_alone(deploy: Deploy) -> None:
    template = network(STANDBY) | launch_template() | group()
    stack = deploy(template, STANDBY)
    assert len(described(stack)["Instances"]) == 2
    elsewhere = stack.client("autoscaling", "eu-west-2").describe_auto_scaling_groups()
    assert elsewhere["AutoScalingGroups"] == []


def test_a_group_exists_once_its_instances_have_signalled(deploy: Deploy, twin: Twin) -> None:
    began = time.monotonic()
    deploy(application())
    assert time.monotonic() - began >= 90 / twin.speed


def test_an_instance_that_reports_a_failure_fails_the_deployment(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match=r"0 SUCCESS and \d FAILURE"):
        deploy(application(FAILING))


def test_instances_that_keep_silent_let_the_creation_time_out(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="Received 0 SUCCESS and 0 FAILURE"):
        deploy(application(SILENT, timeout="PT5M"))


def test_targets_are_healthy_after_their_boot_and_not_before(
    deploy: Deploy, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    booted = threading.Event()

    def slow(machine: Machine) -> Outcome:
        booted.wait(30)
        return simulated(machine)

    monkeypatch.setattr(twin.store(Machines, "eu-west-2"), "program", slow)
    template = application(SILENT, TargetGroupARNs=[{"Ref": "Targets"}]) | balancer()
    template["Group"]["DependsOn"] = "Listener"
    del template["Group"]["CreationPolicy"]
    stack = deploy(template)
    assert set(health(stack)) == set(ids(stack))
    assert "healthy" not in health(stack).values()
    booted.set()
    assert eventually_healthy(stack) == dict.fromkeys(ids(stack), "healthy")


def test_instances_that_failed_are_never_healthy(deploy: Deploy) -> None:
    template = application(FAILING, TargetGroupARNs=[{"Ref": "Targets"}]) | balancer()
    del template["Group"]["CreationPolicy"]
    stack = deploy(template)
    time.sleep(0.3)
    assert health(stack) == dict.fromkeys(ids(stack), "unhealthy")


def test_a_new_version_replaces_the_instances_one_by_one(deploy: Deploy) -> None:
    stack = deploy(application(TargetGroupARNs=[{"Ref": "Targets"}]) | balancer())
    before, fewest = ids(stack), 2
    watching = threading.Event()

    def watch() -> None:
        nonlocal fewest
        while not watching.wait(0.01):
            fewest = min(fewest, len(ids(stack)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    changed = application(kind="t3.large", TargetGroupARNs=[{"Ref": "Targets"}])
    stack.update(changed | balancer())
    watching.set()
    watcher.join()
    found = described(stack)
    assert set(ids(stack)).isdisjoint(before)
    assert fewest == 2
    assert found["DesiredCapacity"] == 2
    assert {each["LaunchTemplate"]["Version"] for each in found["Instances"]} == {"2"}
    assert {each["InstanceType"] for each in running(stack)} == {"t3.large"}
    assert len({each["AvailabilityZone"] for each in found["Instances"]}) == 2
    assert found["SuspendedProcesses"] == []
    assert set(eventually_healthy(stack)) >= set(ids(stack))


def test_a_version_that_fails_is_rolled_back_and_the_good_instances_stay(deploy: Deploy) -> None:
    stack = deploy(application())
    before = ids(stack)
    with pytest.raises(DeploymentFailed, match=r"UPDATE_ROLLBACK_COMPLETE.*SUCCESS signal"):
        stack.update(application(FAILING))
    assert ids(stack) == before
    assert described(stack)["LaunchTemplate"]["Version"] == "1"
    assert len(running(stack)) == 2


def test_a_half_done_rolling_update_is_rolled_back_by_another_one(deploy: Deploy) -> None:
    stack = deploy(application())
    changed = application(kind="t3.large")
    del changed["Subnetb"]
    changed["Broken"] = {
        "Type": "AWS::EC2::Subnet",
        "DependsOn": "Group",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "192.168.0.0/24"},
    }
    changed["Subnetb"] = network()["Subnetb"]
    with pytest.raises(DeploymentFailed, match="Broken"):
        stack.update(changed)
    assert {each["InstanceType"] for each in running(stack)} == {"t3.small"}
    assert len(ids(stack)) == 2


def test_without_an_update_policy_the_instances_stay_as_they_are(deploy: Deploy) -> None:
    first, second = application(), application(kind="t3.large")
    for template in (first, second):
        del template["Group"]["UpdatePolicy"]
    stack = deploy(first)
    before = ids(stack)
    stack.update(second)
    assert ids(stack) == before
    assert described(stack)["LaunchTemplate"]["Version"] == "2"


def test_a_replacing_update_brings_a_new_group(deploy: Deploy) -> None:
    first, second = application(), application(kind="t3.large")
    for template in (first, second):
        replacing = {"AutoScalingReplacingUpdate": {"WillReplace": True}}
        template["Group"]["UpdatePolicy"] = replacing
    stack = deploy(first)
    before = stack["Group"]
    stack.update(second)
    assert stack["Group"] != before
    assert {each["InstanceType"] for each in running(stack)} == {"t3.large"}
    answer = stack.client("autoscaling").describe_auto_scaling_groups()
    assert len(answer["AutoScalingGroups"]) == 1


def test_a_replacing_update_that_fails_leaves_the_former_group(deploy: Deploy) -> None:
    first, second = application(), application(FAILING)
    for template in (first, second):
        replacing = {"AutoScalingReplacingUpdate": {"WillReplace": True}}
        template["Group"]["UpdatePolicy"] = replacing
    stack = deploy(first)
    before, members = stack["Group"], ids(stack)
    with pytest.raises(DeploymentFailed, match=r"UPDATE_ROLLBACK_COMPLETE"):
        stack.update(second)
    assert (stack["Group"], ids(stack)) == (before, members)
    answer = stack.client("autoscaling").describe_auto_scaling_groups()
    assert len(answer["AutoScalingGroups"]) == 1


def test_settings_change_with_the_template(deploy: Deploy) -> None:
    stack = deploy(
        application(
            Tags=[{"Key": "old", "Value": "1", "PropagateAtLaunch": True}],
            MetricsCollection=[{"Granularity": "1Minute"}],
        )
    )
    before = ids(stack)
    stack.update(
        application(
            MinSize="3",
            HealthCheckType="ELB",
            Tags=[{"Key": "new", "Value": "2", "PropagateAtLaunch": False}],
            MetricsCollection=[{"Granularity": "1Minute", "Metrics": ["GroupTotalInstances"]}],
            TargetGroupARNs=[{"Ref": "Targets"}],
        )
        | balancer()
    )
    found = described(stack)
    assert (found["MinSize"], found["DesiredCapacity"]) == (3, 3)
    assert set(before) < set(ids(stack))
    assert found["HealthCheckType"] == "ELB"
    assert [(tag["Key"], tag["PropagateAtLaunch"]) for tag in found["Tags"]] == [("new", False)]
    assert [each["Metric"] for each in found["EnabledMetrics"]] == ["GroupTotalInstances"]
    assert found["TargetGroupARNs"] == [stack["Targets"]]
    assert set(health(stack)) == set(ids(stack))


def test_sizes_that_scaling_decided_survive_an_update_that_does_not_change_them(
    deploy: Deploy,
) -> None:
    def with_policy(**properties: Any) -> dict[str, Any]:
        template = application(**properties)
        kept = {"IgnoreUnmodifiedGroupSizeProperties": True}
        template["Group"]["UpdatePolicy"]["AutoScalingScheduledAction"] = kept
        return template

    stack = deploy(with_policy(DesiredCapacity="2"))
    named = {"AutoScalingGroupName": stack["Group"]}
    stack.client("autoscaling").set_desired_capacity(**named, DesiredCapacity=4)
    stack.update(with_policy(DesiredCapacity="2", HealthCheckType="ELB"))
    assert described(stack)["DesiredCapacity"] == 4


def test_a_terminated_instance_is_replaced(deploy: Deploy) -> None:
    stack = deploy(application())
    gone, kept = ids(stack)
    stack.client("ec2").terminate_instances(InstanceIds=[gone])
    assert gone not in ids(stack)
    assert kept in ids(stack)
    assert Counter(each["AvailabilityZone"] for each in described(stack)["Instances"]) == {
        "eu-west-2a": 1,
        "eu-west-2b": 1,
    }


def test_an_unhealthy_instance_is_replaced(deploy: Deploy) -> None:
    stack = deploy(application())
    sick = ids(stack)[0]
    stack.client("autoscaling").set_instance_health(InstanceId=sick, HealthStatus="Unhealthy")
    assert sick not in ids(stack)
    assert len(running(stack)) == 2


def test_a_capacity_out_of_bounds_is_refused(deploy: Deploy) -> None:
    stack = deploy(application())
    with pytest.raises(ClientError, match="above max value 4"):
        stack.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=stack["Group"], DesiredCapacity=5
        )


def test_a_group_that_cannot_launch_fails_the_deployment_and_leaves_nothing(deploy: Deploy) -> None:
    template = application()
    data = template["Template"]["Properties"]["LaunchTemplateData"]
    data["IamInstanceProfile"] = {"Name": "nobody"}
    with pytest.raises(DeploymentFailed, match=r"valid fully-formed launch template.*nobody"):
        deploy(template)


def test_a_deleted_group_ends_its_instances_and_frees_the_network(deploy: Deploy) -> None:
    stack = deploy(application(TargetGroupARNs=[{"Ref": "Targets"}]) | balancer())
    ec2, elb = stack.client("ec2"), stack.client("elbv2")
    stack.delete()
    assert running(stack) == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_target_groups()["TargetGroups"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []


def tracking(value: float = 50, **more: Any) -> dict[str, Any]:
    predefined = {"PredefinedMetricType": "ASGAverageCPUUtilization"}
    return {
        "Policy": {
            "Type": "AWS::AutoScaling::ScalingPolicy",
            "Properties": {
                "AutoScalingGroupName": {"Ref": "Group"},
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingConfiguration": {
                    "PredefinedMetricSpecification": predefined,
                    "TargetValue": value,
                    **more,
                },
            },
        }
    }


def alarms(stack: Deployed) -> list[dict[str, Any]]:
    found = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return sorted(found, key=lambda alarm: str(alarm["AlarmName"]))


def policies(stack: Deployed) -> list[dict[str, Any]]:
    answer = stack.client("autoscaling").describe_policies(AutoScalingGroupName=stack["Group"])
    found: list[dict[str, Any]] = answer["ScalingPolicies"]
    return found


def test_a_policy_that_tracks_a_target_has_an_alarm_on_either_side(deploy: Deploy) -> None:
    stack = deploy(application() | tracking())
    (policy,) = policies(stack)
    high, low = alarms(stack)
    assert policy["PolicyARN"] == stack["Policy"]
    assert [each["AlarmName"] for each in policy["Alarms"]] == [
        high["AlarmName"],
        low["AlarmName"],
    ]
    assert (high["ComparisonOperator"], high["Threshold"]) == ("GreaterThanThreshold", 50)
    assert low["ComparisonOperator"] == "LessThanThreshold"
    assert high["MetricName"] == "CPUUtilization"
    assert high["Dimensions"] == [{"Name": "AutoScalingGroupName", "Value": stack["Group"]}]
    assert high["AlarmActions"] == low["AlarmActions"] == [stack["Policy"]]


def test_a_changed_target_changes_the_alarms_and_a_deleted_policy_ends_them(deploy: Deploy) -> None:
    stack = deploy(application() | tracking())
    arn = stack["Policy"]
    stack.update(application() | tracking(70, DisableScaleIn=True))
    assert stack["Policy"] == arn
    assert [alarm["Threshold"] for alarm in alarms(stack)] == [70]
    stack.update(application())
    assert policies(stack) == []
    assert alarms(stack) == []


def step_policy() -> dict[str, Any]:
    return {
        "Policy": {
            "Type": "AWS::AutoScaling::ScalingPolicy",
            "Properties": {
                "AutoScalingGroupName": {"Ref": "Group"},
                "PolicyType": "StepScaling",
                "AdjustmentType": "PercentChangeInCapacity",
                "MinAdjustmentMagnitude": 1,
                "StepAdjustments": [
                    {
                        "MetricIntervalLowerBound": "0",
                        "MetricIntervalUpperBound": "15",
                        "ScalingAdjustment": 20,
                    },
                    {"MetricIntervalLowerBound": 15, "ScalingAdjustment": 100},
                ],
            },
        }
    }


def test_a_step_policy_shows_the_alarms_that_set_it_off(deploy: Deploy) -> None:
    stack = deploy(application() | step_policy())
    stack.client("cloudwatch").put_metric_alarm(
        AlarmName="surge",
        Namespace="AWS/EC2",
        MetricName="CPUUtilization",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        Threshold=75,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[stack["Policy"]],
    )
    (policy,) = policies(stack)
    assert [alarm["AlarmName"] for alarm in policy["Alarms"]] == ["surge"]
    assert [step["ScalingAdjustment"] for step in policy["StepAdjustments"]] == [20, 100]
    stack.client("cloudwatch").delete_alarms(AlarmNames=["surge"])


@pytest.mark.parametrize(("value", "capacity"), [(80, 3), (95, 4)])
def test_a_step_policy_takes_the_step_that_the_metric_is_in(
    deploy: Deploy, value: float, capacity: int
) -> None:
    stack = deploy(application() | step_policy())
    stack.client("autoscaling").execute_policy(
        PolicyName=stack["Policy"], MetricValue=value, BreachThreshold=75
    )
    assert len(ids(stack)) == capacity


def test_a_hook_holds_new_instances_back_until_it_is_completed(deploy: Deploy) -> None:
    hook = {
        "Hook": {
            "Type": "AWS::AutoScaling::LifecycleHook",
            "Properties": {
                "AutoScalingGroupName": {"Ref": "Group"},
                "LifecycleHookName": "warm-up",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": "600",
                "DefaultResult": "CONTINUE",
            },
        }
    }
    stack = deploy(application(TargetGroupARNs=[{"Ref": "Targets"}]) | balancer() | hook)
    scaling, named = stack.client("autoscaling"), {"AutoScalingGroupName": stack["Group"]}
    (found,) = scaling.describe_lifecycle_hooks(**named)["LifecycleHooks"]
    assert (found["HeartbeatTimeout"], found["DefaultResult"]) == (600, "CONTINUE")
    scaling.set_desired_capacity(**named, DesiredCapacity=3)
    held = described(stack)["Instances"][-1]
    assert held["LifecycleState"] == "Pending:Wait"
    assert held["InstanceId"] not in health(stack)
    action = {"LifecycleHookName": "warm-up", "InstanceId": held["InstanceId"]}
    scaling.complete_lifecycle_action(**named, **action, LifecycleActionResult="CONTINUE")
    assert described(stack)["Instances"][-1]["LifecycleState"] == "InService"
    assert held["InstanceId"] in health(stack)


def test_a_hook_that_nobody_completes_gives_its_default_result(deploy: Deploy, twin: Twin) -> None:
    stack = deploy(application())
    scaling, named = stack.client("autoscaling"), {"AutoScalingGroupName": stack["Group"]}
    scaling.put_lifecycle_hook(
        **named,
        LifecycleHookName="slow",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=60,
        DefaultResult="CONTINUE",
    )
    scaling.set_desired_capacity(**named, DesiredCapacity=3)
    time.sleep(60 / twin.speed)
    states = [each["LifecycleState"] for each in described(stack)["Instances"]]
    assert states == ["InService"] * 3


def test_a_scheduled_action_is_kept_changed_and_deleted(deploy: Deploy) -> None:
    def action(size: str) -> dict[str, Any]:
        return {
            "Night": {
                "Type": "AWS::AutoScaling::ScheduledAction",
                "Properties": {
                    "AutoScalingGroupName": {"Ref": "Group"},
                    "DesiredCapacity": size,
                    "Recurrence": "0 22 * * *",
                    "TimeZone": "Europe/London",
                },
            }
        }

    stack = deploy(application() | action("2"))
    scaling, name = stack.client("autoscaling"), stack["Night"]
    stack.update(application() | action("3"))
    (found,) = scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    assert (found["ScheduledActionName"], found["DesiredCapacity"]) == (name, 3)
    assert (found["Recurrence"], found["TimeZone"]) == ("0 22 * * *", "Europe/London")
    stack.update(application())
    assert scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"] == []


def test_a_topic_is_told_of_launches(deploy: Deploy, twin: Twin) -> None:
    sns, sqs = (twin.client(service, "eu-west-2") for service in ("sns", "sqs"))
    topic, queue = sns.create_topic(Name="scaling")["TopicArn"], sqs.create_queue(QueueName="told")
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-2:123456789012:told"
    )
    kinds = ["autoscaling:EC2_INSTANCE_LAUNCH"]
    wanted = [{"TopicARN": topic, "NotificationTypes": kinds}]
    stack = deploy(application(NotificationConfigurations=wanted))
    scaling, named = stack.client("autoscaling"), {"AutoScalingGroupName": stack["Group"]}
    (found,) = scaling.describe_notification_configurations()["NotificationConfigurations"]
    assert (found["TopicARN"], found["NotificationType"]) == (topic, kinds[0])
    scaling.set_desired_capacity(**named, DesiredCapacity=3)
    scaling.set_desired_capacity(**named, DesiredCapacity=2)
    answer = sqs.receive_message(QueueUrl=queue["QueueUrl"], MaxNumberOfMessages=10)
    (message,) = answer["Messages"]
    assert "Launching a new EC2 instance" in message["Body"]
    stack.update(application())
    assert scaling.describe_notification_configurations()["NotificationConfigurations"] == []


def test_a_property_that_the_twin_does_not_apply_stops_the_deployment(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="LoadBalancerNames"):
        deploy(application(LoadBalancerNames=["classic"]))
