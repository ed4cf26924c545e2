"""Resilience on the twin: experiments of FIS and applications of Resilience Hub."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY, STANDBY, Deploy, DeploymentFailed

ROLE = "arn:aws:iam::123456789012:role/experiment"
ALARM = "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:guard"
SUBNET = "arn:aws:ec2:eu-west-2:123456789012:subnet/subnet-1"
STACK = "arn:aws:cloudformation:eu-west-3:123456789012:stack/Web/1"


def experiment(**properties: Any) -> dict[str, Any]:
    wanted = {
        "Description": "Cuts off",
        "RoleArn": ROLE,
        "Targets": {
            "Subnets": {
                "ResourceType": "aws:ec2:subnet",
                "ResourceArns": [SUBNET],
                "SelectionMode": "ALL",
            }
        },
        "Actions": {
            "CutOff": {
                "ActionId": "aws:network:disrupt-connectivity",
                "Parameters": {"scope": "all", "duration": "PT5M"},
                "Targets": {"Subnets": "Subnets"},
            }
        },
        "StopConditions": [{"Source": "aws:cloudwatch:alarm", "Value": ALARM}],
        "ExperimentOptions": {"EmptyTargetResolutionMode": "fail"},
        "Tags": {"Name": "cut-off"},
    }
    return {
        "Experiment": {
            "Type": "AWS::FIS::ExperimentTemplate",
            "Properties": wanted | properties,
        }
    }


def template(*names: str) -> str:
    component = {
        "name": "databases",
        "type": "AWS::ResilienceHub::DatabaseAppComponent",
        "resourceNames": list(names),
    }
    resources = [
        {
            "logicalResourceId": {"identifier": "Instance", "logicalStackName": "Web"},
            "type": "AWS::RDS::DBInstance",
            "name": name,
        }
        for name in names
    ]
    return json.dumps({"resources": resources, "appComponents": [component], "version": 2})


def application(**properties: Any) -> dict[str, Any]:
    objective = {"RtoInSecs": 900, "RpoInSecs": 300}
    mapping = {
        "MappingType": "CfnStack",
        "LogicalStackName": "Web",
        "PhysicalResourceId": {"Type": "Arn", "Identifier": STACK},
    }
    wanted = {
        "Name": "web",
        "AppAssessmentSchedule": "Daily",
        "ResiliencyPolicyArn": {"Fn::GetAtt": ["Policy", "PolicyArn"]},
        "ResourceMappings": [mapping],
        "AppTemplateBody": template("database"),
    }
    return {
        "Policy": {
            "Type": "AWS::ResilienceHub::ResiliencyPolicy",
            "Properties": {
                "PolicyName": "objectives",
                "Tier": "Critical",
                "Policy": dict.fromkeys(("Software", "Hardware", "AZ", "Region"), objective),
            },
        },
        "App": {"Type": "AWS::ResilienceHub::App", "Properties": wanted | properties},
    }


def test_an_experiment_can_be_described_and_changed(deploy: Deploy) -> None:
    stack = deploy(experiment())
    fis, id_ = stack.client("fis"), stack["Experiment"]
    found = fis.get_experiment_template(id=id_)["experimentTemplate"]
    assert found["stopConditions"] == [{"source": "aws:cloudwatch:alarm", "value": ALARM}]
    assert found["targets"]["Subnets"]["resourceArns"] == [SUBNET]
    assert found["actions"]["CutOff"]["parameters"] == {"scope": "all", "duration": "PT5M"}
    assert found["tags"]["Name"] == "cut-off"
    stack.update(experiment(Description="Cuts off for long", Tags={"Owner": "sre"}))
    found = fis.get_experiment_template(id=id_)["experimentTemplate"]
    assert (found["id"], found["description"]) == (id_, "Cuts off for long")
    assert (found["tags"].get("Owner"), found["tags"].get("Name")) == ("sre", None)
    assert stack.client("fis", STANDBY).list_experiment_templates()["experimentTemplates"] == []
    stack.delete()
    assert fis.list_experiment_templates()["experimentTemplates"] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"StopConditions": []}, "At least one stop condition"),
        ({"StopConditions": [{"Source": "aws:cloudwatch:alarm"}]}, "needs an alarm's ARN"),
        ({"StopConditions": [{"Source": "a:feeling"}]}, "Unknown source"),
        ({"Targets": {}}, "acts on target Subnets, which is not defined"),
        ({"Nonsense": 1}, "unknown property 'Nonsense'"),
    ],
)
def test_an_experiment_that_fis_would_refuse_is_refused(
    wrong: dict[str, Any], said: str, deploy: Deploy
) -> None:
    with pytest.raises((DeploymentFailed, ClientError), match=said):
        deploy(experiment(**wrong))


def test_an_application_has_its_policy_mappings_and_template(deploy: Deploy) -> None:
    stack = deploy(application())
    hub = stack.client("resiliencehub")
    app = hub.describe_app(appArn=stack["App"])["app"]
    assert (app["name"], app["assessmentSchedule"]) == ("web", "Daily")
    assert app["policyArn"] == stack["Policy"]
    policy = hub.describe_resiliency_policy(policyArn=stack["Policy"])["policy"]
    assert policy["policy"]["Region"] == {"rtoInSecs": 900, "rpoInSecs": 300}
    for version in ("draft", "release"):
        of_version = {"appArn": stack["App"], "appVersion": version}
        (mapping,) = hub.list_app_version_resource_mappings(**of_version)["resourceMappings"]
        physical = mapping["physicalResourceId"]
        assert (physical["identifier"], physical["awsRegion"]) == (STACK, "eu-west-3")
        body = hub.describe_app_version_template(**of_version)["appTemplateBody"]
        assert json.loads(body) == json.loads(template("database"))


def test_a_changed_application_is_published_anew(deploy: Deploy) -> None:
    stack = deploy(application(), PRIMARY)
    other = {
        "MappingType": "CfnStack",
        "LogicalStackName": "Files",
        "PhysicalResourceId": {"Type": "Arn", "Identifier": STACK.replace("Web", "Files")},
    }
    arn = stack["App"]
    stack.update(
        application(
            AppAssessmentSchedule="Disabled",
            ResourceMappings=[other],
            AppTemplateBody=template("files"),
        )
    )
    hub = stack.client("resiliencehub")
    assert stack["App"] == arn
    assert hub.describe_app(appArn=arn)["app"]["assessmentSchedule"] == "Disabled"
    answer = hub.list_app_version_resource_mappings(appArn=arn, appVersion="release")
    assert [each["logicalStackName"] for each in answer["resourceMappings"]] == ["Files"]


def test_nothing_of_an_application_stays(deploy: Deploy) -> None:
    stack = deploy(application())
    hub = stack.client("resiliencehub")
    with pytest.raises(ClientError, match="in use by web"):
        hub.delete_resiliency_policy(policyArn=stack["Policy"])
    stack.delete()
    assert hub.list_apps()["appSummaries"] == []
    assert hub.list_resiliency_policies()["resiliencyPolicies"] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"AppTemplateBody": "nonsense"}, "not an application's template"),
        ({"AppTemplateBody": template("a").replace('["a"]', "[]")}, "'a' is in no component"),
        ({"ResiliencyPolicyArn": "arn:aws:resiliencehub:::nothing"}, "not found"),
    ],
)
def test_an_application_that_resilience_hub_would_refuse_is_refused(
    wrong: dict[str, Any], said: str, deploy: Deploy
) -> None:
    with pytest.raises(DeploymentFailed, match=said):
        deploy(application(**wrong))
