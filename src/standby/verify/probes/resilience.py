"""Resilience: the experiment that proves the failover, and AWS's own judgement of the whole."""

from typing import Any

from standby.verify.outputs import Side
from standby.verify.policy import allows_service, statements
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.probes.compute import load_balancer
from standby.verify.site import Site

MAX_SUBNETS = 6
"""Most subnets of one ``aws:network:disrupt-connectivity`` action (FIS actions reference)."""
DISRUPTION = "aws:network:disrupt-connectivity"


@probe("resilience.stop-condition", Side.PRIMARY)
def stop_condition(site: Site) -> Verdict:
    """The experiment stops on an alarm, and the alarm exists."""
    conditions = _template(site)["stopConditions"]
    arns = [c["value"] for c in conditions if c["source"] == "aws:cloudwatch:alarm"]
    names = [arn.partition(":alarm:")[2] for arn in arns]
    found = site.ask("cloudwatch:DescribeAlarms", AlarmNames=names)["MetricAlarms"] if names else []
    existing = {alarm["AlarmArn"] for alarm in found}
    faults = [f"{arn} does not exist" for arn in arns if arn not in existing]
    return expect_faultless("an existing alarm as stop condition", arns, faults)


@probe("resilience.experiment", Side.PRIMARY)
def experiment(site: Site) -> Verdict:
    """The experiment cuts off the load balancer's subnets, and fails rather than do nothing."""
    template = _template(site)
    actions = [action["actionId"] for action in template["actions"].values()]
    subnets = [
        arn.rpartition("/")[2]
        for t in template["targets"].values()
        for arn in t.get("resourceArns", [])
    ]
    balancer = {zone["SubnetId"] for zone in load_balancer(site)["AvailabilityZones"]}
    seen = {
        "actions": actions,
        "subnets": sorted(subnets),
        "emptyTargetResolutionMode": template.get("experimentOptions", {}).get(
            "emptyTargetResolutionMode"
        ),
    }
    verdict = expect_fields(
        seen, actions=[DISRUPTION], subnets=sorted(balancer), emptyTargetResolutionMode="fail"
    )
    return expect(verdict.ok and len(subnets) <= MAX_SUBNETS, verdict.expected, verdict.seen)


@probe("resilience.experiment-role", Side.PRIMARY)
def experiment_role(site: Site) -> Verdict:
    """The experiment's role exists, and FIS may take it."""
    name = _template(site)["roleArn"].rpartition("/")[2]
    role = site.ask("iam:GetRole", RoleName=name)["Role"]
    service = "fis.amazonaws.com"
    allowed = allows_service(
        statements(role["AssumeRolePolicyDocument"]), service, "sts:AssumeRole"
    )
    return expect(
        allowed,
        f"sts:AssumeRole allowed to {service}",
        f"sts:AssumeRole {'' if allowed else 'not '}allowed to {service}",
    )


@probe("resilience.app", Side.PRIMARY)
def app(site: Site) -> Verdict:
    """Resilience Hub assesses the application every day, against a policy."""
    found = _app(site)
    seen = found | {"policy": "set" if found.get("policyArn") else None}
    return expect_fields(seen, status="Active", assessmentSchedule="Daily", policy="set")


@probe("resilience.policy", Side.PRIMARY)
def policy(site: Site) -> Verdict:
    """The policy sets objectives for the loss of a region, not only of a zone."""
    answer = site.ask("resiliencehub:DescribeResiliencyPolicy", policyArn=_app(site)["policyArn"])
    objectives = answer["policy"]["policy"]
    kinds = ("Software", "Hardware", "AZ", "Region")
    faults = [
        f"no objective for {kind}"
        for kind in kinds
        if not objectives.get(kind, {}).get("rtoInSecs")
    ]
    seen = "; ".join(
        f"{kind}: RTO {o['rtoInSecs']} s, RPO {o['rpoInSecs']} s" for kind, o in objectives.items()
    )
    return expect(not faults, f"RTO and RPO for {', '.join(kinds)}", "; ".join(faults) or seen)


@probe("resilience.app-complete", Side.PRIMARY)
def app_complete(site: Site) -> Verdict:
    """Resilience Hub assesses every stack of both regions that the application needs."""
    answer = site.ask(
        "resiliencehub:ListAppVersionResourceMappings",
        appArn=site.output("ResilienceHubAppArn"),
        appVersion="draft",
        maxResults=100,
    )
    mapped = {
        _region_and_name(m["physicalResourceId"]["identifier"])
        for m in answer["resourceMappings"]
        if m["mappingType"] == "CfnStack"
    }
    # The root stack holds the dashboard and this one the assessment: neither serves anyone.
    bystanders = {f"TapStack{site.suffix}", f"TapStack{site.suffix}-Resilience"}
    wanted = {
        (each.region, name)
        for each in (site, site.other)
        for name in each.stacks
        if name not in bystanders
    }
    faults = [f"{name} of {region} is missing" for region, name in sorted(wanted - mapped)]
    return expect_faultless(f"all {len(wanted)} stacks", wanted, faults)


def _template(site: Site) -> dict[str, Any]:
    id_ = site.output("ExperimentTemplateId")
    return dict(site.ask("fis:GetExperimentTemplate", id=id_)["experimentTemplate"])


def _app(site: Site) -> dict[str, Any]:
    arn = site.output("ResilienceHubAppArn")
    return dict(site.ask("resiliencehub:DescribeApp", appArn=arn)["app"])


def _region_and_name(arn: str) -> tuple[str, str]:
    """Give where a stack is and its name, from its ARN (``...:region:account:stack/name/uuid``).

    A mapping may also say its region apart from the ARN; ours do not.
    """
    return arn.split(":")[3], arn.rpartition(":stack/")[2].partition("/")[0]
