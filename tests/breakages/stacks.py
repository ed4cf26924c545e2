"""Stacks: changed behind the outputs' back, half changed, stripped of their tags."""

import json
from typing import Any

from breakages import Place, Steps, breaks
from standby.verify import Side


def _template(here: Place, stack: str) -> dict[str, Any]:
    body = here.call("cloudformation:GetTemplate", StackName=stack)["TemplateBody"]
    return json.loads(body) if isinstance(body, str) else json.loads(json.dumps(body))


def _update(here: Place, stack: str, template: dict[str, Any], **options: bool) -> None:
    body = json.dumps(template)
    here.call("cloudformation:UpdateStack", StackName=stack, TemplateBody=body, **options)
    _settle(here, stack)


def _settle(here: Place, stack: str) -> None:
    """Wait until a change of a stack has ended; each question takes some milliseconds."""
    for _ in range(1000):
        found = here.call("cloudformation:DescribeStacks")["Stacks"]
        states = {each["StackName"]: str(each["StackStatus"]) for each in found}
        if not states.get(stack, "").endswith("_IN_PROGRESS"):
            return
    raise TimeoutError(f"{stack} is still {states[stack]}")


@breaks("stacks.complete", Side.PRIMARY)
def an_update_failed_and_stays_half_done(here: Place) -> Steps:
    good = _template(here, here.root)
    bad = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-0", "CidrBlock": "10.0.0.0/24"}}
    half = good | {"Resources": good["Resources"] | {"Bad": bad}}
    _update(here, here.root, half, DisableRollback=True)
    yield f"{here.root} is UPDATE_FAILED"
    _update(here, here.root, good | {"Outputs": {"Again": {"Value": "once more"}}})
    _update(here, here.root, good)


@breaks("stacks.complete", Side.PRIMARY)
def a_stack_is_gone(here: Place) -> Steps:
    good = _template(here, here.root)
    here.call("cloudformation:DeleteStack", StackName=here.root)
    _settle(here, here.root)
    yield f"DescribeStacks: Stack with id {here.root} does not exist"
    here.call("cloudformation:CreateStack", StackName=here.root, TemplateBody=json.dumps(good))
    _settle(here, here.root)


@breaks("stacks.outputs-current")
def a_stack_puts_out_something_else_now(here: Place) -> Steps:
    stack = f"{here.root}-VpcPeeringRoutes"
    good = _template(here, stack)
    _update(here, stack, good | {"Outputs": {"VpcPeeringConnectionId": {"Value": "pcx-1"}}})
    yield f"{stack}.VpcPeeringConnectionId is pcx-1, on file pcx-"
    _update(here, stack, good)


@breaks("stacks.outputs-current")
def a_stack_puts_out_more_than_is_on_file(here: Place) -> Steps:
    topic = here.output("AlarmTopicArn")
    here.put_out(AlarmTopicArn=None)
    yield f"{here.root}-MonitoringStandby.AlarmTopicArn is {topic}, on file absent"


@breaks("stacks.tagged")
def the_network_lost_a_tag(here: Place) -> Steps:
    tag = {"Key": "Author"}
    (before,) = [
        t
        for t in here.call("ec2:DescribeTags")["Tags"]
        if t["ResourceId"] == here.output("VpcId") and t["Key"] == "Author"
    ]
    here.call("ec2:DeleteTags", Resources=[here.output("VpcId")], Tags=[tag])
    yield "VPC lacks Author"
    here.call(
        "ec2:CreateTags", Resources=[here.output("VpcId")], Tags=[tag | {"Value": before["Value"]}]
    )


@breaks("stacks.tagged")
def the_files_carry_the_tag_of_another_environment(here: Place) -> Steps:
    for value in ("prod", here.suffix):
        here.call(
            "efs:TagResource",
            ResourceId=here.output("EfsId"),
            Tags=[{"Key": "Environment", "Value": value}],
        )
        if value == "prod":
            yield "file system says Environment prod"
