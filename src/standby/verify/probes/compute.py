"""Compute: each side's load balancer, and the instances behind it."""

from typing import Any

from standby.verify.outputs import Side
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.probes.network import subnets
from standby.verify.site import Site, only

HEALTH_PATH = "/health"
MIN_INSTANCES = 2
HEADERS_DROPPED = "routing.http.drop_invalid_header_fields.enabled"


@probe("compute.load-balancer")
def load_balancer_active(site: Site) -> Verdict:
    """The load balancer is active, faces the internet, and has the name its stack put out."""
    balancer = load_balancer(site)
    return expect_fields(
        balancer | {"State": balancer["State"]["Code"]},
        State="active",
        Scheme="internet-facing",
        DNSName=site.output("LoadBalancerDns"),
    )


@probe("compute.load-balancer-zones")
def load_balancer_zones(site: Site) -> Verdict:
    """The load balancer stands in public subnets of two or more zones."""
    tiers = {subnet["SubnetId"]: tier for tier, subnet in subnets(site)}
    zones = load_balancer(site)["AvailabilityZones"]
    seen = [f"{zone['ZoneName']} {tiers.get(zone['SubnetId'], 'elsewhere')}" for zone in zones]
    ok = len(zones) >= 2 and all(tiers.get(zone["SubnetId"]) == "public" for zone in zones)
    return expect(ok, "public subnets of two or more zones", ", ".join(seen))


@probe("compute.load-balancer-headers")
def load_balancer_headers(site: Site) -> Verdict:
    """The load balancer drops invalid headers, which hide smuggled requests."""
    arn = load_balancer(site)["LoadBalancerArn"]
    answer = site.ask("elbv2:DescribeLoadBalancerAttributes", LoadBalancerArn=arn)
    attributes = {a["Key"]: a["Value"] for a in answer["Attributes"]}
    return expect_fields(attributes, **{HEADERS_DROPPED: "true"})


@probe("compute.listener")
def listener(site: Site) -> Verdict:
    """Clients reach the instances; where there is a domain, never in the clear."""
    arn = load_balancer(site)["LoadBalancerArn"]
    found = site.ask("elbv2:DescribeListeners", LoadBalancerArn=arn)["Listeners"]
    ways = sorted(
        f"{each['Protocol']} {each['Port']}: {_answer(action)}"
        for each in found
        for action in each["DefaultActions"]
    )
    secure = ["HTTP 80: redirect to HTTPS 443", "HTTPS 443: forward"]
    wanted = secure if site.has_domain else ["HTTP 80: forward"]
    return expect(ways == wanted, ", ".join(wanted), ", ".join(ways) or "no listener")


@probe("compute.health-path")
def health_path(site: Site) -> Verdict:
    """The target group asks each instance for its health."""
    found = target_group(site)
    return expect_fields(
        found | {"HttpCode": found.get("Matcher", {}).get("HttpCode")},
        HealthCheckEnabled=True,
        HealthCheckPath=HEALTH_PATH,
        HttpCode="200",
    )


@probe("compute.healthy-targets")
def healthy_targets(site: Site) -> Verdict:
    """As many targets are healthy as the group must have at least."""
    arn = target_group(site)["TargetGroupArn"]
    answer = site.ask("elbv2:DescribeTargetHealth", TargetGroupArn=arn)
    health = {t["Target"]["Id"]: t["TargetHealth"] for t in answer["TargetHealthDescriptions"]}
    ill = [
        f"{id_} is {found['State']}, {found.get('Reason', 'no reason given')}"
        for id_, found in health.items()
        if found["State"] != "healthy"
    ]
    healthy = len(health) - len(ill)
    needed = max(MIN_INSTANCES, group(site)["MinSize"])
    seen = "; ".join([f"{healthy} of {len(health)} healthy", *ill])
    return expect(healthy >= needed, f"{needed} healthy or more", seen)


@probe("compute.capacity")
def capacity(site: Site) -> Verdict:
    """The group keeps two or more instances in service, in two or more zones."""
    found = group(site)
    serving = [i for i in found["Instances"] if i["LifecycleState"] == "InService"]
    zones = sorted({each["AvailabilityZone"] for each in serving})
    needed = max(MIN_INSTANCES, found["MinSize"])
    return expect(
        found["MinSize"] >= MIN_INSTANCES and len(serving) >= needed and len(zones) >= 2,
        f"minimum {MIN_INSTANCES} or more, {needed} in service, two or more zones",
        f"minimum {found['MinSize']}, {len(serving)} in service in {', '.join(zones) or 'no zone'}",
    )


@probe("compute.capacity-parity", Side.STANDBY)
def capacity_parity(site: Site) -> Verdict:
    """The standby can grow as large as the primary, with instances of the same type."""
    ours, theirs = (
        (group(s)["MaxSize"], launch_template(s)["InstanceType"]) for s in (site, site.other)
    )
    return expect(
        ours[0] >= theirs[0] and ours[1] == theirs[1],
        f"up to {theirs[0]} or more of {theirs[1]}",
        f"up to {ours[0]} of {ours[1]}",
    )


@probe("compute.group-health")
def group_health(site: Site) -> Verdict:
    """The group replaces instances that the load balancer finds unhealthy."""
    found = group(site)
    kinds, behind = found["HealthCheckType"].split(","), found["TargetGroupARNs"]
    wanted = target_group(site)["TargetGroupArn"]
    return expect(
        "ELB" in kinds and behind == [wanted],
        f"HealthCheckType ELB, TargetGroup {wanted}",
        f"HealthCheckType {', '.join(kinds)}, TargetGroup {', '.join(behind) or 'none'}",
    )


@probe("compute.scaling")
def scaling(site: Site) -> Verdict:
    """The group tracks a target, and takes steps out and in that alarms trigger."""
    answer = site.ask(
        "autoscaling:DescribePolicies", AutoScalingGroupName=site.output("AutoScalingGroupName")
    )
    policies = [each for each in answer["ScalingPolicies"] if each.get("Enabled", True)]
    suspended = [each["ProcessName"] for each in group(site)["SuspendedProcesses"]]
    adjustments = [
        step["ScalingAdjustment"]
        for policy in policies
        if policy["PolicyType"] == "StepScaling" and policy["Alarms"]
        for step in policy["StepAdjustments"]
    ]
    seen = {
        "target tracking": any(p["PolicyType"] == "TargetTrackingScaling" for p in policies),
        "steps out": any(adjustment > 0 for adjustment in adjustments),
        "steps in": any(adjustment < 0 for adjustment in adjustments),
        "suspended": ", ".join(suspended) or "nothing",
    }
    return expect_fields(seen, **dict.fromkeys(seen, True) | {"suspended": "nothing"})


@probe("compute.launch-template")
def launch_template_sound(site: Site) -> Verdict:
    """New instances demand session tokens for their metadata, and encrypt their volumes."""
    template = launch_template(site)
    volumes = [m["Ebs"] for m in template.get("BlockDeviceMappings", []) if "Ebs" in m]
    seen = {
        "HttpTokens": template.get("MetadataOptions", {}).get("HttpTokens"),
        "Encrypted": bool(volumes) and all(volume.get("Encrypted") for volume in volumes),
    }
    return expect_fields(seen, HttpTokens="required", Encrypted=True)


@probe("compute.instances-private")
def instances_private(site: Site) -> Verdict:
    """The running instances are in private subnets, without public addresses."""
    tiers = {subnet["SubnetId"]: tier for tier, subnet in subnets(site)}
    ids = [each["InstanceId"] for each in group(site)["Instances"]]
    found = [
        each
        for reservation in (
            site.ask("ec2:DescribeInstances", InstanceIds=ids)["Reservations"] if ids else []
        )
        for each in reservation["Instances"]
    ]
    faults = [
        f"{each['InstanceId']} is {tiers.get(each.get('SubnetId'), 'elsewhere')}, "
        f"public address {each.get('PublicIpAddress', 'none')}"
        for each in found
        if tiers.get(each.get("SubnetId")) != "private" or each.get("PublicIpAddress")
    ]
    return expect_faultless("in private subnets, no public address", found, faults)


def _answer(action: dict[str, Any]) -> str:
    """Name what a listener's action does; of a redirect, also where it leads."""
    to = action.get("RedirectConfig", {})
    return f"{action['Type']} to {to['Protocol']} {to['Port']}" if to else str(action["Type"])


def load_balancer(site: Site) -> dict[str, Any]:
    """Describe the side's load balancer, by the naming contract."""
    name = f"alb-{site.region}-{site.suffix}"
    answer = site.ask("elbv2:DescribeLoadBalancers", Names=[name])
    return only(answer["LoadBalancers"], f"load balancer {name}")


def target_group(site: Site) -> dict[str, Any]:
    """Describe the load balancer's target group."""
    arn = load_balancer(site)["LoadBalancerArn"]
    answer = site.ask("elbv2:DescribeTargetGroups", LoadBalancerArn=arn)
    return only(answer["TargetGroups"], "target group of the load balancer")


def group(site: Site) -> dict[str, Any]:
    """Describe the side's Auto Scaling group."""
    name = site.output("AutoScalingGroupName")
    answer = site.ask("autoscaling:DescribeAutoScalingGroups", AutoScalingGroupNames=[name])
    return only(answer["AutoScalingGroups"], f"Auto Scaling group {name}")


def launch_template(site: Site) -> dict[str, Any]:
    """Give the contents of the launch template's version that the group starts instances from."""
    template = group(site)["LaunchTemplate"]
    answer = site.ask(
        "ec2:DescribeLaunchTemplateVersions",
        LaunchTemplateId=template["LaunchTemplateId"],
        Versions=[template.get("Version", "$Default")],
    )
    version = only(answer["LaunchTemplateVersions"], "version of the launch template")
    return dict(version["LaunchTemplateData"])
