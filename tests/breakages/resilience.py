"""Resilience: an experiment that harms or does nothing, an assessment of half the application."""

import json
from typing import Any

from breakages import Place, Steps, breaks
from breakages.dns import settings_of
from standby.verify import Side


def _experiment(here: Place) -> dict[str, Any]:
    answer = here.call("fis:GetExperimentTemplate", id=here.output("ExperimentTemplateId"))
    return dict(answer["experimentTemplate"])


def _with_experiment(here: Place, part: str, bad: Any, good: Any, heard: str) -> Steps:
    for value in (bad, good):
        here.call(
            "fis:UpdateExperimentTemplate",
            id=here.output("ExperimentTemplateId"),
            **{part: value},
        )
        if value is bad:
            yield heard


@breaks("resilience.stop-condition", Side.PRIMARY)
def nothing_stops_the_experiment(here: Place) -> Steps:
    good = _experiment(here)["stopConditions"]
    yield from _with_experiment(here, "stopConditions", [{"source": "none"}], good, "there is none")


@breaks("resilience.stop-condition", Side.PRIMARY)
def the_alarm_that_stops_it_is_gone(here: Place) -> Steps:
    (condition,) = _experiment(here)["stopConditions"]
    name = condition["value"].partition(":alarm:")[2]
    (alarm,) = here.call("cloudwatch:DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    here.call("cloudwatch:DeleteAlarms", AlarmNames=[name])
    yield f"{condition['value']} does not exist"
    here.call("cloudwatch:PutMetricAlarm", **settings_of(alarm))


@breaks("resilience.experiment", Side.PRIMARY)
def the_experiment_spares_a_subnet(here: Place) -> Steps:
    good = {
        name: {key: target[key] for key in ("resourceType", "resourceArns", "selectionMode")}
        for name, target in _experiment(here)["targets"].items()
    }
    ((name, target),) = good.items()
    kept = target["resourceArns"][:1]
    yield from _with_experiment(
        here,
        "targets",
        {name: target | {"resourceArns": kept}},
        good,
        f"subnets {kept[0].rpartition('/')[2]},",
    )


@breaks("resilience.experiment", Side.PRIMARY)
def the_experiment_may_find_nothing_to_do(here: Place) -> Steps:
    yield from _with_experiment(
        here,
        "experimentOptions",
        {"emptyTargetResolutionMode": "skip"},
        {"emptyTargetResolutionMode": "fail"},
        "emptyTargetResolutionMode skip",
    )


@breaks("resilience.experiment-role", Side.PRIMARY)
def another_service_takes_the_experiments_role(here: Place) -> Steps:
    role = {"RoleName": _experiment(here)["roleArn"].rpartition("/")[2]}
    good = here.call("iam:GetRole", **role)["Role"]["AssumeRolePolicyDocument"]
    bad = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        },
    }
    for document in (bad, good):
        here.call("iam:UpdateAssumeRolePolicy", **role, PolicyDocument=json.dumps(document))
        if document is bad:
            yield "not allowed"


def _app(here: Place) -> dict[str, str]:
    return {"appArn": here.output("ResilienceHubAppArn")}


@breaks("resilience.app", Side.PRIMARY)
def nobody_assesses_the_application(here: Place) -> Steps:
    here.call("resiliencehub:UpdateApp", **_app(here), assessmentSchedule="Disabled")
    yield "assessmentSchedule Disabled"
    here.call("resiliencehub:UpdateApp", **_app(here), assessmentSchedule="Daily")


@breaks("resilience.app", Side.PRIMARY)
def the_application_is_held_to_nothing(here: Place) -> Steps:
    policy = here.call("resiliencehub:DescribeApp", **_app(here))["app"]["policyArn"]
    here.call("resiliencehub:UpdateApp", **_app(here), clearResiliencyPolicyArn=True)
    yield "policy absent"
    here.call("resiliencehub:UpdateApp", **_app(here), policyArn=policy)


@breaks("resilience.policy", Side.PRIMARY)
def the_loss_of_a_region_has_no_objective(here: Place) -> Steps:
    arn = here.call("resiliencehub:DescribeApp", **_app(here))["app"]["policyArn"]
    found = here.call("resiliencehub:DescribeResiliencyPolicy", policyArn=arn)
    good = found["policy"]["policy"]
    bad = {kind: objective for kind, objective in good.items() if kind != "Region"}
    for policy in (bad, good):
        here.call("resiliencehub:UpdateResiliencyPolicy", policyArn=arn, policy=policy)
        if policy is bad:
            yield "no objective for Region"


@breaks("resilience.app-complete", Side.PRIMARY)
def the_standbys_database_is_not_assessed(here: Place) -> Steps:
    stack = f"{here.root}-DatabaseStandby"
    answer = here.call(
        "resiliencehub:ListAppVersionResourceMappings", **_app(here), appVersion="draft"
    )
    (mapping,) = [m for m in answer["resourceMappings"] if m.get("logicalStackName") == stack]
    here.call(
        "resiliencehub:RemoveDraftAppVersionResourceMappings",
        **_app(here),
        logicalStackNames=[stack],
    )
    yield f"{stack} of {here.other.region} is missing"
    here.call(
        "resiliencehub:AddDraftAppVersionResourceMappings",
        **_app(here),
        resourceMappings=[mapping],
    )
