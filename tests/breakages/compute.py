"""Compute: a load balancer in the wrong place, instances that nobody asks, a group that rests."""

from typing import Any

from breakages import Place, Steps, breaks, given
from breakages.dns import settings_of
from breakages.network import subnet_of
from standby.verify.probes.compute import group, launch_template, load_balancer, target_group
from standby.verify.probes.network import subnets

STEP = ("AutoScalingGroupName", "PolicyName", "PolicyType", "AdjustmentType", "StepAdjustments",
        "MinAdjustmentMagnitude", "EstimatedInstanceWarmup", "MetricAggregationType",
        "TargetTrackingConfiguration")  # fmt: skip
"""What a scaling policy is put with, as its description names it."""


def _balancer(here: Place) -> dict[str, str]:
    return {"LoadBalancerArn": load_balancer(here.site)["LoadBalancerArn"]}


def _group(here: Place) -> dict[str, str]:
    return {"AutoScalingGroupName": here.output("AutoScalingGroupName")}


@breaks("compute.load-balancer")
def the_outputs_name_another_load_balancer(here: Place) -> Steps:
    name = here.output("LoadBalancerDns")
    here.put_out(LoadBalancerDns="other.elb.amazonaws.com")
    yield f"DNSName {name}"


@breaks("compute.load-balancer-zones")
def the_load_balancer_stands_in_private_subnets(here: Place) -> Steps:
    tiers = {
        kind: [s["SubnetId"] for tier, s in subnets(here.site) if tier == kind]
        for kind in ("private", "public")
    }
    for kind, ids in tiers.items():
        here.call("elbv2:SetSubnets", **_balancer(here), Subnets=ids)
        if kind == "private":
            yield f"{here.region}a private"


@breaks("compute.load-balancer-headers")
def invalid_headers_pass(here: Place) -> Steps:
    key = "routing.http.drop_invalid_header_fields.enabled"
    for value in ("false", "true"):
        here.call(
            "elbv2:ModifyLoadBalancerAttributes",
            **_balancer(here),
            Attributes=[{"Key": key, "Value": value}],
        )
        if value == "false":
            yield f"{key} false"


def _listener(here: Place, port: int) -> dict[str, Any]:
    found = here.call("elbv2:DescribeListeners", **_balancer(here))["Listeners"]
    return next(each for each in found if each["Port"] == port)


@breaks("compute.listener")
def nobody_listens_for_https(here: Place) -> Steps:
    secure = _listener(here, 443)
    here.call("elbv2:DeleteListener", ListenerArn=secure["ListenerArn"])
    yield "HTTP 80: redirect to HTTPS 443"
    made = given(secure, "Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions")
    here.call("elbv2:CreateListener", **_balancer(here), **made)


@breaks("compute.listener")
def clients_are_served_in_the_clear(here: Place) -> Steps:
    secure, plain = _listener(here, 443), _listener(here, 80)
    here.call("elbv2:DeleteListener", ListenerArn=secure["ListenerArn"])
    steps = _answering(here, plain, secure["DefaultActions"], "HTTP 80: forward")
    yield next(steps)
    made = given(secure, "Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions")
    here.call("elbv2:CreateListener", **_balancer(here), **made)
    yield from steps


@breaks("compute.listener")
def clients_are_sent_to_another_port(here: Place) -> Steps:
    redirect = {"Protocol": "HTTP", "Port": "8080", "StatusCode": "HTTP_301"}
    actions = [{"Type": "redirect", "RedirectConfig": redirect}]
    yield from _answering(here, _listener(here, 80), actions, "HTTP 80: redirect to HTTP 8080")


@breaks("compute.listener")
def clients_are_told_to_come_back_later(here: Place) -> Steps:
    actions = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}]
    yield from _answering(here, _listener(here, 443), actions, "HTTPS 443: fixed-response")


def _answering(here: Place, listener: Any, actions: Any, heard: str) -> Steps:
    for each in (actions, listener["DefaultActions"]):
        here.call("elbv2:ModifyListener", ListenerArn=listener["ListenerArn"], DefaultActions=each)
        if each is actions:
            yield heard


@breaks("compute.health-path")
def instances_are_asked_for_something_else(here: Place) -> Steps:
    arn = {"TargetGroupArn": target_group(here.site)["TargetGroupArn"]}
    for path in ("/", "/health"):
        here.call("elbv2:ModifyTargetGroup", **arn, HealthCheckPath=path)
        if path == "/":
            yield "HealthCheckPath /,"


@breaks("compute.healthy-targets")
def an_instance_gets_no_requests(here: Place) -> Steps:
    targets = {
        "TargetGroupArn": target_group(here.site)["TargetGroupArn"],
        "Targets": [{"Id": group(here.site)["Instances"][0]["InstanceId"]}],
    }
    here.call("elbv2:DeregisterTargets", **targets)
    yield "1 of 2 healthy; " + targets["Targets"][0]["Id"] + " is draining"
    here.call("elbv2:RegisterTargets", **targets)


@breaks("compute.capacity")
def one_instance_is_enough(here: Place) -> Steps:
    yield from _updated(here, "minimum 1", MinSize=(1, 2))


@breaks("compute.capacity-parity")
def the_standby_cannot_grow(here: Place) -> Steps:
    size = group(here.site)["MaxSize"]
    yield from _updated(here, "up to 3 of", MaxSize=(3, size))


@breaks("compute.group-health")
def an_unhealthy_instance_stays(here: Place) -> Steps:
    yield from _updated(here, "HealthCheckType EC2", HealthCheckType=("EC2", "ELB"))


@breaks("compute.group-health")
def the_group_is_behind_no_load_balancer(here: Place) -> Steps:
    arns = {"TargetGroupARNs": [target_group(here.site)["TargetGroupArn"]]}
    here.call("autoscaling:DetachLoadBalancerTargetGroups", **_group(here), **arns)
    yield "TargetGroup none"
    here.call("autoscaling:AttachLoadBalancerTargetGroups", **_group(here), **arns)


def _updated(here: Place, heard: str, **changes: tuple[Any, Any]) -> Steps:
    for version in (0, 1):
        values = {key: pair[version] for key, pair in changes.items()}
        here.call("autoscaling:UpdateAutoScalingGroup", **_group(here), **values)
        if version == 0:
            yield heard


@breaks("compute.scaling")
def nothing_tracks_a_target(here: Place) -> Steps:
    yield from _with_policy_off(here, "TargetTracking", "target tracking False")


@breaks("compute.scaling")
def no_step_leads_out(here: Place) -> Steps:
    yield from _with_policy_off(here, "Surge", "steps out False")


@breaks("compute.scaling")
def no_step_leads_in(here: Place) -> Steps:
    yield from _with_policy_off(here, "Idle", "steps in False")


def _with_policy_off(here: Place, name: str, heard: str) -> Steps:
    found = here.call("autoscaling:DescribePolicies", **_group(here))["ScalingPolicies"]
    (policy,) = [
        given(each, *STEP)
        for each in found
        if name in each["PolicyName"] or each["PolicyType"].startswith(name)
    ]
    here.call("autoscaling:PutScalingPolicy", **policy, Enabled=False)
    yield heard
    here.call("autoscaling:PutScalingPolicy", **policy, Enabled=True)


@breaks("compute.scaling")
def no_alarm_triggers_the_steps(here: Place) -> Steps:
    found = here.call("autoscaling:DescribePolicies", **_group(here))["ScalingPolicies"]
    (policy,) = [each for each in found if "Surge" in each["PolicyName"]]
    (name,) = [alarm["AlarmName"] for alarm in policy["Alarms"]]
    (alarm,) = here.call("cloudwatch:DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm) | {"AlarmActions": []})
    yield "steps out False"
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm))


@breaks("compute.scaling")
def the_group_ignores_alarms(here: Place) -> Steps:
    processes = {"ScalingProcesses": ["AlarmNotification"]}
    here.call("autoscaling:SuspendProcesses", **_group(here), **processes)
    yield "suspended AlarmNotification"
    here.call("autoscaling:ResumeProcesses", **_group(here), **processes)


@breaks("compute.launch-template")
def metadata_is_given_without_a_token(here: Place) -> Steps:
    options = launch_template(here.site)["MetadataOptions"] | {"HttpTokens": "optional"}
    yield from _with_template(here, "HttpTokens optional", MetadataOptions=options)


@breaks("compute.launch-template")
def volumes_are_not_encrypted(here: Place) -> Steps:
    volume = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": False}}
    yield from _with_template(here, "Encrypted False", BlockDeviceMappings=[volume])


def _with_template(here: Place, heard: str, **changes: Any) -> Steps:
    good = group(here.site)["LaunchTemplate"]
    template = {"LaunchTemplateId": good["LaunchTemplateId"]}
    made = here.call(
        "ec2:CreateLaunchTemplateVersion",
        **template,
        LaunchTemplateData=launch_template(here.site) | changes,
    )
    version = str(made["LaunchTemplateVersion"]["VersionNumber"])
    for each in (version, good["Version"]):
        here.call(
            "autoscaling:UpdateAutoScalingGroup",
            **_group(here),
            LaunchTemplate=template | {"Version": each},
        )
        if each == version:
            yield heard


@breaks("compute.instances-private")
def an_instance_stands_in_a_public_subnet(here: Place) -> Steps:
    public = subnet_of(here, "public")
    zones = group(here.site)["VPCZoneIdentifier"]
    desired = group(here.site)["DesiredCapacity"]
    here.call("autoscaling:UpdateAutoScalingGroup", **_group(here), VPCZoneIdentifier=public)
    here.call("autoscaling:SetDesiredCapacity", **_group(here), DesiredCapacity=desired + 1)
    yield " is public, public address none"
    here.call("autoscaling:UpdateAutoScalingGroup", **_group(here), VPCZoneIdentifier=zones)
    for each in group(here.site)["Instances"]:
        found = here.call("ec2:DescribeInstances", InstanceIds=[each["InstanceId"]])
        if found["Reservations"][0]["Instances"][0]["SubnetId"] == public:
            here.call(
                "autoscaling:TerminateInstanceInAutoScalingGroup",
                InstanceId=each["InstanceId"],
                ShouldDecrementDesiredCapacity=True,
            )
