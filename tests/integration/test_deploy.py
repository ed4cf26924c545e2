"""Deploying an assembly as a program does, and what a deployment meets on its way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from standby.assembly.read import read_assembly
from standby.cloud import Cloud
from standby.deploy import CHANGE_SET, deploy, destroy
from standby.errors import AnswerIsNo
from standby.twin import lifecycle

REGION = "eu-west-2"
TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "topic"}}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with lifecycle.running_twin((REGION,), tmp_path / lifecycle.STATE_DIR) as twin:
        yield Cloud(twin.endpoint_url)


@pytest.fixture
def run(cloud: Cloud, tmp_path: Path, make_assembly: Any) -> Any:
    """Deploy resources as the stack ``Stack``, with properties of its artifact."""

    def run(resources: dict[str, Any], **properties: Any) -> None:
        folder = tmp_path / f"assembly{len(list(tmp_path.iterdir()))}"
        make_assembly(folder, resources)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["artifacts"]["Stack"]["properties"] |= properties
        (folder / "manifest.json").write_text(json.dumps(manifest))
        deploy(read_assembly(folder), cloud, lambda _: None)

    return run


def status(cloud: Cloud) -> str:
    (stack,) = cloud.call("cloudformation:DescribeStacks", REGION, StackName="Stack")["Stacks"]
    return str(stack["StackStatus"])


def topics(cloud: Cloud) -> list[str]:
    answer = cloud.call("sns:ListTopics", REGION)
    return [topic["TopicArn"].split(":")[-1] for topic in answer["Topics"]]


def test_a_deployment_takes_up_what_an_interrupted_one_left(cloud: Cloud, run: Any) -> None:
    for kind in ("CREATE", "UPDATE"):
        cloud.client("cloudformation", REGION).create_change_set(
            StackName="Stack",
            ChangeSetName=CHANGE_SET,
            ChangeSetType=kind,
            TemplateBody=json.dumps({"Resources": {"Other": {"Type": "AWS::SNS::Topic"}}}),
        )
        run({"Topic": TOPIC})
        assert topics(cloud) == ["topic"]


def test_a_failed_first_deployment_leaves_nothing_in_the_way_of_the_second(
    cloud: Cloud, run: Any
) -> None:
    kept = TOPIC | {"DeletionPolicy": "Retain"}
    bad = {
        "Type": "AWS::EC2::Subnet",
        "DependsOn": "Topic",
        "Properties": {"VpcId": "vpc-00000000", "CidrBlock": "10.0.0.0/24"},
    }
    with pytest.raises(
        AnswerIsNo, match=r"ROLLBACK_COMPLETE: Bad \(AWS::EC2::Subnet\): .*vpc-0000"
    ):
        run({"Topic": kept, "Bad": bad})
    assert topics(cloud) == []
    run({"Topic": kept})
    assert (topics(cloud), status(cloud)) == (["topic"], "CREATE_COMPLETE")


def test_a_stack_is_protected_as_long_as_its_assembly_says_so(cloud: Cloud, run: Any) -> None:
    run({"Topic": TOPIC}, terminationProtection=True)
    with pytest.raises(AnswerIsNo, match="TerminationProtection is enabled"):
        destroy([("Stack", REGION)], cloud, lambda _: None)
    run({"Topic": TOPIC})
    destroy([("Stack", REGION)], cloud, lambda _: None)
    assert topics(cloud) == []


@pytest.fixture
def make_stacks(cloud: Cloud) -> Any:
    """Make stacks from templates by name, one after the other."""

    def make(templates: dict[str, Any]) -> None:
        client = cloud.client("cloudformation", REGION)
        for name, template in templates.items():
            client.create_stack(StackName=name, TemplateBody=json.dumps(template))
            client.get_waiter("stack_create_complete").wait(
                StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
            )

    return make


def test_a_stack_that_others_import_from_is_not_destroyed_and_says_why(
    cloud: Cloud, make_stacks: Any
) -> None:
    output = {"Value": "here", "Export": {"Name": "place"}}
    templates = {
        "Source": {"Resources": {"Topic": TOPIC}, "Outputs": {"Place": output}},
        "User": {
            "Resources": {
                "Parameter": {
                    "Type": "AWS::SSM::Parameter",
                    "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "place"}},
                }
            }
        },
    }
    make_stacks(templates)
    with pytest.raises(
        AnswerIsNo, match=r"Source in eu-west-2 cannot be deleted: .* in use by User"
    ):
        destroy([("Source", REGION)], cloud, lambda _: None)
    destroy([("Source", REGION), ("User", REGION)], cloud, lambda _: None)
    assert topics(cloud) == []
