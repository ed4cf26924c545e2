"""CloudFormation on the twin: stacks as a whole, whatever is in them."""

import json
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY, STANDBY, Deploy, Deployed, DeploymentFailed

from standby.twin.twin import Twin

IMPOSSIBLE = {
    "Type": "AWS::EC2::Subnet",
    "Properties": {"VpcId": "vpc-00000000", "CidrBlock": "10.0.0.0/24"},
}
VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}


def topic(name: str = "", **attributes: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": name} if name else {},
    } | attributes


def parameter(value: Any, **attributes: Any) -> dict[str, Any]:
    properties = {"Type": "String", "Value": value}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties} | attributes


def exporting(name: str, value: str = "here") -> dict[str, Any]:
    output = {"Value": value, "Export": {"Name": name}}
    return {"Resources": {"Topic": topic()}, "Outputs": {"Place": output}}


def topics(stack: Deployed) -> set[str]:
    return {each["TopicArn"].split(":")[-1] for each in stack.client("sns").list_topics()["Topics"]}


def value_of(stack: Deployed, logical_id: str = "Parameter") -> str:
    answer = stack.client("ssm").get_parameter(Name=stack[logical_id])
    return str(answer["Parameter"]["Value"])


def statuses(stack: Deployed, logical_id: str) -> list[str]:
    """Give the statuses that a resource or the stack had, the first first."""
    events = stack.client("cloudformation").describe_stack_events(StackName=stack.name)
    return [
        event["ResourceStatus"]
        for event in reversed(events["StackEvents"])
        if event["LogicalResourceId"] == logical_id
    ]


class TestRefusal:
    @pytest.mark.parametrize(
        ("resource", "said"),
        [
            ({"Type": "AWS::SNS::Nonsense"}, "no handler for resource type 'AWS::SNS::Nonsense'"),
            (topic() | {"Properties": {"Nonsense": 1}}, "unknown property 'Nonsense'"),
            (
                VPC | {"Properties": {"CidrBlock": "10.0.0.0/16", "Tags": [{"Nonsense": 1}]}},
                "Tags.0: unknown property 'Nonsense'",
            ),
            (
                {"Type": "AWS::EC2::Subnet", "Properties": {"CidrBlock": "10.0.0.0/24"}},
                "required property 'VpcId' is missing",
            ),
            (
                topic() | {"Properties": {"DisplayName": ["a", "b"]}},
                'DisplayName: expected type: string, found: ["a", "b"]',
            ),
            (
                VPC | {"Properties": {"CidrBlock": "10.0.0.0/16", "Tags": "a=b"}},
                'Tags: expected type: array, found: "a=b"',
            ),
            (
                VPC | {"Properties": {"CidrBlock": "10.0.0.0/16", "EnableDnsSupport": "maybe"}},
                'EnableDnsSupport: expected type: boolean, found: "maybe"',
            ),
            (
                {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": "a week"}},
                'RetentionInDays: expected type: integer, found: "a week"',
            ),
        ],
    )
    def test_what_no_template_may_say_is_named_before_anything_is_made(
        self, resource: dict[str, Any], said: str, deploy: Deploy
    ) -> None:
        with pytest.raises(ClientError) as refusal:
            deploy({"Thing": resource})
        assert said in str(refusal.value)

    def test_a_value_of_the_wrong_type_that_a_function_gives_fails_its_resource(
        self, deploy: Deploy
    ) -> None:
        group = {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"RetentionInDays": {"Fn::Sub": "a week of ${AWS::Region}"}},
        }
        with pytest.raises(DeploymentFailed, match=r"^ROLLBACK_COMPLETE: Group: .*RetentionInDays"):
            deploy({"Group": group})

    def test_numbers_and_booleans_may_be_written_as_text(self, deploy: Deploy) -> None:
        wanted = {"CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": "true"}
        stack = deploy(
            {
                "Vpc": {"Type": "AWS::EC2::VPC", "Properties": wanted},
                "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": "7"}},
            }
        )
        (group,) = stack.client("logs").describe_log_groups()["logGroups"]
        assert group["retentionInDays"] == 7

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"Count": "many"}, "'Count' must be a number"),
            ({"Count": "1"}, "'Count' must be a number not less than 3"),
            ({"Name": "A"}, "'Name' must match pattern"),
            ({"Name": "abcd"}, "'Name' must contain at most 3 characters"),
            ({"Kind": "c"}, "'Kind' must be one of AllowedValues: a, b"),
            ({"Other": "x"}, r"Parameters: \[Other\] do not exist in the template"),
        ],
    )
    def test_a_parameter_is_held_against_its_declaration(
        self, given: dict[str, str], said: str, deploy: Deploy
    ) -> None:
        template = {
            "Parameters": {
                "Count": {"Type": "Number", "MinValue": 3, "Default": 5},
                "Name": {
                    "Type": "String",
                    "AllowedPattern": "[a-z]+",
                    "MaxLength": 3,
                    "Default": "a",
                },
                "Kind": {"Type": "String", "AllowedValues": ["a", "b"], "Default": "a"},
            },
            "Resources": {"Topic": topic()},
        }
        inputs = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        with pytest.raises(ClientError, match=said):
            deploy(template, Parameters=inputs)

    def test_an_operation_that_nobody_answers_says_so(self, twin: Twin) -> None:
        with pytest.raises(ClientError, match="cloudformation:DetectStackDrift") as refusal:
            twin.client("cloudformation", PRIMARY).detect_stack_drift(StackName="any")
        assert refusal.value.response["Error"]["Code"] == "NotImplemented"


class TestValues:
    def test_parameters_conditions_and_mappings_decide_what_there_is(self, deploy: Deploy) -> None:
        template = {
            "Parameters": {
                "Stage": {"Type": "String", "Default": "dev"},
                "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
            },
            "Mappings": {"Sizes": {"dev": {"Size": "small"}, "prod": {"Size": "large"}}},
            "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
            "Resources": {
                "Parameter": parameter({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "Size"]}),
                "Extra": parameter({"Fn::Select": [1, {"Ref": "Zones"}]}, Condition="IsProd"),
            },
            "Outputs": {"Extra": {"Value": {"Ref": "Extra"}, "Condition": "IsProd"}},
        }
        stack = deploy(template)
        client = stack.client("cloudformation")
        assert value_of(stack) == "small"
        assert "Outputs" not in client.describe_stacks(StackName=stack.name)["Stacks"][0]

        stack.update(template, Parameters=[{"ParameterKey": "Stage", "ParameterValue": "prod"}])
        assert value_of(stack) == "large"
        assert value_of(stack, "Extra") == "b"
        extra = stack.outputs["Extra"]

        stack.update(template)  # a parameter that is not given has its default again
        with pytest.raises(ClientError, match="ParameterNotFound"):
            stack.client("ssm").get_parameter(Name=extra)

    def test_parameters_and_secrets_are_read_where_they_are_kept(self, deploy: Deploy) -> None:
        kept = deploy(
            {
                "Parameter": {
                    "Type": "AWS::SSM::Parameter",
                    "Properties": {"Type": "String", "Name": "/size", "Value": "small"},
                },
                "Secret": {
                    "Type": "AWS::SecretsManager::Secret",
                    "Properties": {"Name": "login", "SecretString": '{"user": "me", "port": 5432}'},
                },
            }
        )
        arn = kept["Secret"]
        stack = deploy(
            {
                "Parameters": {
                    "Size": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/size"}
                },
                "Resources": {
                    "Typed": parameter({"Ref": "Size"}),
                    "Plain": parameter("a {{resolve:ssm:/size}} one"),
                    "Field": parameter("{{resolve:secretsmanager:login:SecretString:user}}"),
                    "Joined": parameter(
                        {
                            "Fn::Join": [
                                "",
                                ["{{resolve:secretsmanager:", arn, ":SecretString:port}}"],
                            ]
                        }
                    ),
                },
            }
        )
        names = ("Typed", "Plain", "Field", "Joined")
        assert [value_of(stack, name) for name in names] == ["small", "a small one", "me", "5432"]
        (shown,) = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
        assert shown["Parameters"] == [
            {"ParameterKey": "Size", "ParameterValue": "/size", "ResolvedValue": "small"}
        ]

    def test_a_missing_secret_fails_its_resource_by_name(self, deploy: Deploy) -> None:
        with pytest.raises(DeploymentFailed, match=r"Parameter: .*resolve:secretsmanager:nowhere"):
            deploy({"Parameter": parameter("{{resolve:secretsmanager:nowhere}}")})

    def test_an_output_of_another_region_is_a_weak_reference(self, deploy: Deploy) -> None:
        source = deploy(
            {"Resources": {"Topic": topic()}, "Outputs": {"Place": {"Value": "there"}}}, STANDBY
        )
        reference = {"StackName": source.name, "Region": STANDBY, "OutputName": "Place"}
        template = {"Parameter": parameter({"Fn::GetStackOutput": reference})}
        stack = deploy(template)
        assert value_of(stack) == "there"
        source.delete()  # nobody minds
        assert value_of(stack) == "there"
        absent = {"Fn::GetStackOutput": {"StackName": "Nowhere", "OutputName": "Place"}}
        with pytest.raises(DeploymentFailed, match="Nowhere in eu-west-2 has no such stack"):
            deploy({"Parameter": parameter(absent)})


class TestExports:
    def test_an_export_in_use_keeps_its_stack(self, deploy: Deploy) -> None:
        source = deploy(exporting("place"))
        user = deploy({"Parameter": parameter({"Fn::ImportValue": "place"})})
        client = source.client("cloudformation")
        assert client.list_imports(ExportName="place")["Imports"] == [user.name]
        in_use = f"export place as it is in use by {user.name}."
        for change in (exporting("place", "elsewhere"), {"Topic": topic()}):
            with pytest.raises(DeploymentFailed, match="UPDATE_ROLLBACK_COMPLETE"):
                source.update(change)
            reasons = [
                event.get("ResourceStatusReason", "")
                for event in client.describe_stack_events(StackName=source.name)["StackEvents"]
            ]
            assert any(reason.endswith(in_use) for reason in reasons)

        client.delete_stack(StackName=source.name)
        (kept,) = client.describe_stacks(StackName=source.name)["Stacks"]
        assert kept["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert kept["StackStatusReason"] == f"Delete canceled. Cannot delete {in_use}"

        user.delete()
        source.update(exporting("place", "elsewhere"))
        source.delete()

    def test_a_name_is_exported_once_in_a_region(self, deploy: Deploy) -> None:
        first = deploy(exporting("one"))
        deploy(exporting("one"), STANDBY)
        with pytest.raises(DeploymentFailed):
            deploy(exporting("one"), name="Second")
        stacks = first.client("cloudformation").describe_stack_events(StackName="Second")
        reasons = [event.get("ResourceStatusReason", "") for event in stacks["StackEvents"]]
        said = f"Export with name one is already exported by stack {first.name}."
        assert any(said in reason for reason in reasons)


class TestUpdate:
    def test_a_resource_that_leaves_the_template_is_deleted(self, deploy: Deploy) -> None:
        stack = deploy({"One": topic("one"), "Two": topic("two")})
        stack.update({"Resources": {"One": topic("one")}, "Outputs": {"It": {"Value": "new"}}})
        assert topics(stack) == {"one"}
        assert stack.outputs == {"It": "new"}

    def test_tags_of_the_stack_are_those_of_its_resources(self, deploy: Deploy) -> None:
        def tags(stack: Deployed) -> list[dict[str, str]]:
            group = stack.client("ec2").describe_vpcs(VpcIds=[stack["Vpc"]])["Vpcs"][0]
            topic_tags = stack.client("sns").list_tags_for_resource(ResourceArn=stack["Topic"])
            assert group.get("Tags", []) == topic_tags["Tags"]
            return topic_tags["Tags"]

        template = {"Vpc": VPC, "Topic": topic("tagged")}
        stack = deploy(
            template, Tags=[{"Key": "Stage", "Value": "dev"}, {"Key": "Old", "Value": "x"}]
        )
        stack.update(template, Tags=[{"Key": "Stage", "Value": "prod"}])
        assert tags(stack) == [{"Key": "Stage", "Value": "prod"}]
        stack.update({**template, "More": topic("more")})  # tags not given stay
        assert tags(stack) == [{"Key": "Stage", "Value": "prod"}]
        stack.update(template, Tags=[])
        assert tags(stack) == []

    def test_a_failure_half_way_brings_the_former_state_back(self, deploy: Deploy) -> None:
        before = {
            "Changed": parameter("before"),
            "Replaced": topic("before"),
            "Removed": topic("removed"),
        }
        stack = deploy({"Resources": before, "Outputs": {"It": {"Value": "before"}}})
        former = stack["Replaced"]
        after = {
            "Changed": parameter("after"),
            "Replaced": topic("after"),
            "Added": topic("added"),
            "Bad": IMPOSSIBLE | {"DependsOn": ["Changed", "Replaced", "Added"]},
        }
        with pytest.raises(
            DeploymentFailed, match=r"^UPDATE_ROLLBACK_COMPLETE: Bad: .*vpc-00000000"
        ):
            stack.update({"Resources": after, "Outputs": {"It": {"Value": "after"}}})
        assert value_of(stack, "Changed") == "before"
        assert stack["Replaced"] == former
        assert topics(stack) == {"before", "removed"}
        assert stack.outputs == {"It": "before"}

    def test_without_rollback_what_was_made_stays_and_is_taken_up_again(
        self, deploy: Deploy
    ) -> None:
        stack = deploy({"One": topic("one")})
        added = {"One": topic("one"), "Two": topic("two")}
        with pytest.raises(DeploymentFailed, match=r"^UPDATE_FAILED"):
            stack.update(added | {"Bad": IMPOSSIBLE | {"DependsOn": "Two"}}, DisableRollback=True)
        assert topics(stack) == {"one", "two"}
        stack.update(added)
        assert statuses(stack, "Two").count("CREATE_COMPLETE") == 1

    def test_a_resource_does_not_change_its_type(self, deploy: Deploy) -> None:
        stack = deploy({"Thing": topic()})
        with pytest.raises(
            ClientError, match=r"Update of resource type is not permitted.*\[Thing\]"
        ):
            stack.update({"Thing": parameter("x")})

    def test_a_change_set_says_what_it_will_do(self, deploy: Deploy) -> None:
        stack = deploy({"Kept": parameter("x"), "New": topic("a"), "Gone": topic("b")})
        client, named = stack.client("cloudformation"), {"StackName": stack.name}
        wanted = {"Kept": parameter("y"), "New": topic("c"), "More": topic("d")}
        body = json.dumps({"Resources": wanted})
        client.create_change_set(**named, ChangeSetName="next", TemplateBody=body)
        with pytest.raises(ClientError, match="AlreadyExistsException"):
            client.create_change_set(**named, ChangeSetName="next", TemplateBody=body)
        changes = client.describe_change_set(**named, ChangeSetName="next")["Changes"]
        assert {
            each["ResourceChange"]["LogicalResourceId"]: (
                each["ResourceChange"]["Action"],
                each["ResourceChange"].get("Replacement"),
            )
            for each in changes
        } == {
            "Kept": ("Modify", "False"),
            "New": ("Modify", "True"),
            "More": ("Add", None),
            "Gone": ("Remove", None),
        }
        assert topics(stack) == {"a", "b"}


class TestPolicies:
    def test_what_is_retained_outlives_its_stack(self, deploy: Deploy) -> None:
        stack = deploy({"Kept": topic("kept", DeletionPolicy="Retain"), "Gone": topic("gone")})
        stack.delete()
        assert topics(stack) == {"kept"}
        stack.client("sns").delete_topic(TopicArn=f"arn:aws:sns:{PRIMARY}:123456789012:kept")

    def test_a_replacement_keeps_the_former_one_only_by_its_own_policy(
        self, deploy: Deploy
    ) -> None:
        policies = {"Kept": {"UpdateReplacePolicy": "Retain"}, "Gone": {"DeletionPolicy": "Retain"}}
        stack = deploy({id_: topic(f"{id_}1", **policy) for id_, policy in policies.items()})
        stack.update({id_: topic(f"{id_}2", **policy) for id_, policy in policies.items()})
        assert topics(stack) == {"Kept1", "Kept2", "Gone2"}
        for name in ("Kept1", "Gone2"):
            arn = f"arn:aws:sns:{PRIMARY}:123456789012:{name}"
            stack.client("sns").delete_topic(TopicArn=arn)

    @pytest.mark.parametrize(
        ("policy", "options", "left"),
        [
            ("Retain", {}, {"first"}),
            ("RetainExceptOnCreate", {}, set()),
            ("Retain", {"RetainExceptOnCreate": True}, set()),
        ],
    )
    def test_a_rolled_back_creation_keeps_what_is_retained_unless_told_otherwise(
        self, policy: str, options: dict[str, Any], left: set[str], deploy: Deploy, twin: Twin
    ) -> None:
        first = topic("first", DeletionPolicy=policy)
        with pytest.raises(DeploymentFailed, match=r"^ROLLBACK_COMPLETE"):
            deploy({"First": first, "Bad": IMPOSSIBLE | {"DependsOn": "First"}}, **options)
        sns = twin.client("sns", PRIMARY)
        arns = [each["TopicArn"] for each in sns.list_topics()["Topics"]]
        assert {arn.split(":")[-1] for arn in arns} == left
        for arn in arns:
            sns.delete_topic(TopicArn=arn)

    def test_a_failed_creation_takes_its_stack_along_if_told_so(
        self, deploy: Deploy, twin: Twin
    ) -> None:
        client = twin.client("cloudformation", PRIMARY)
        body = json.dumps({"Resources": {"First": topic("first"), "Bad": IMPOSSIBLE}})
        id_ = client.create_stack(StackName="Brief", TemplateBody=body, OnFailure="DELETE")[
            "StackId"
        ]
        client.get_waiter("stack_delete_complete").wait(StackName=id_, WaiterConfig={"Delay": 1})
        (stack,) = client.describe_stacks(StackName=id_)["Stacks"]
        assert stack["DeletionTime"] >= stack["CreationTime"]
        assert twin.client("sns", PRIMARY).list_topics()["Topics"] == []


class TestDeletion:
    def test_a_resource_that_cannot_be_deleted_says_why_and_can_be_left(
        self, deploy: Deploy
    ) -> None:
        stack = deploy({"Vpc": VPC, "Topic": topic()})
        ec2, vpc = stack.client("ec2"), stack["Vpc"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        with pytest.raises(ClientError, match="only when the stack is in the DELETE_FAILED state"):
            stack.run("delete_stack", RetainResources=["Vpc"])
        with pytest.raises(DeploymentFailed, match=r"^DELETE_FAILED: Vpc: .*DependencyViolation"):
            stack.delete()
        client = stack.client("cloudformation")
        (found,) = client.describe_stacks(StackName=stack.name)["Stacks"]
        assert "failed to delete: [Vpc]" in found["StackStatusReason"]
        assert topics(stack) == set()
        stack.run("delete_stack", RetainResources=["Vpc"])
        ec2.delete_subnet(SubnetId=subnet)
        ec2.delete_vpc(VpcId=vpc)

    def test_a_protected_stack_is_not_deleted(self, deploy: Deploy) -> None:
        stack = deploy({"Topic": topic()}, EnableTerminationProtection=True)
        with pytest.raises(ClientError, match="TerminationProtection is enabled"):
            stack.delete()
        stack.client("cloudformation").update_termination_protection(
            StackName=stack.name, EnableTerminationProtection=False
        )

    def test_what_was_rolled_back_at_creation_can_only_be_deleted(self, deploy: Deploy) -> None:
        with pytest.raises(DeploymentFailed):
            deploy({"Bad": IMPOSSIBLE}, name="Failed")
        stack = Deployed(deploy({"Topic": topic()}).twin, PRIMARY, "Failed")
        with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
            stack.update({"Topic": topic()})


def test_clients_at_the_same_time_change_a_stack_one_after_the_other(deploy: Deploy) -> None:
    stack = deploy({"Parameter": parameter("0")})
    accepted: list[str] = []
    refused: list[str] = []
    ready = threading.Barrier(8)

    def change(value: str) -> None:
        body = json.dumps({"Resources": {"Parameter": parameter(value), "Vpc": VPC}})
        ready.wait()
        try:
            stack.client("cloudformation").update_stack(StackName=stack.name, TemplateBody=body)
            accepted.append(value)
        except ClientError as error:
            refused.append(str(error))

    clients = [threading.Thread(target=change, args=(str(n),)) for n in range(1, 9)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    while (
        stack.client("cloudformation")
        .describe_stacks(StackName=stack.name)["Stacks"][0]["StackStatus"]
        .endswith("_IN_PROGRESS")
    ):
        time.sleep(0.01)
    assert len(accepted) + len(refused) == 8
    assert value_of(stack) == accepted[-1]
    assert all("_IN_PROGRESS state and can not be updated" in reason for reason in refused)
