"""Intrinsic functions give what CloudFormation would."""

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standby.assembly.intrinsics import TemplateError, evaluate, references


class Stack:
    """The surroundings of a stack with one of everything."""

    mappings: Mapping[str, Any] = {"Sizes": {"eu-west-2": {"small": "t3.small"}}}
    conditions: Mapping[str, Any] = {
        "Yes": {"Fn::Equals": [{"Ref": "Env"}, "dev"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
        "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
        "Hen": {"Fn::Not": [{"Condition": "Egg"}]},
        "Egg": {"Fn::Not": [{"Condition": "Hen"}]},
    }

    def ref(self, name: str) -> Any:
        values = {"Env": "dev", "AWS::Region": "eu-west-2", "Vpc": "vpc-1", "List": ["a", "b"]}
        return values[name]

    def attribute(self, resource: str, name: str) -> Any:
        return f"{resource}:{name}"

    def export(self, name: str) -> Any:
        return f"export {name}"

    def stack_output(self, stack: str, region: str | None, output: str) -> Any:
        return f"{region}/{stack}/{output}"

    def zones(self, region: str) -> list[str]:
        return [f"{region}a", f"{region}b"]

    def dynamic_reference(self, service: str, key: str) -> str:
        return f"<{service} {key}>"


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"Ref": "Vpc"}, "vpc-1"),
        ({"Fn::GetAtt": ["Vpc", "CidrBlock"]}, "Vpc:CidrBlock"),
        ({"Fn::GetAtt": "Db.Endpoint.Address"}, "Db:Endpoint.Address"),
        ({"Fn::Sub": "${Env}-${AWS::Region}-${Vpc.Id}"}, "dev-eu-west-2-Vpc:Id"),
        ({"Fn::Sub": ["${x}${!literal}", {"x": {"Ref": "Env"}}]}, "dev${literal}"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Env"}, {"Ref": "List"}]]}, "a-dev-a,b"),
        ({"Fn::Select": ["1", {"Fn::GetAZs": ""}]}, "eu-west-2b"),
        ({"Fn::GetAZs": {"Ref": "AWS::Region"}}, ["eu-west-2a", "eu-west-2b"]),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}, "t3.small"),
        ({"Fn::FindInMap": ["Sizes", "x", "y", {"DefaultValue": 1}]}, 1),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["Both", 1, {"Fn::If": ["Either", 3, 4]}]}, 3),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
        ({"Fn::ImportValue": {"Fn::Sub": "${Env}-vpc"}}, "export dev-vpc"),
        (
            {"Fn::GetStackOutput": {"StackName": "S", "Region": "r", "OutputName": "O"}},
            "r/S/O",
        ),
        ({"Fn::Base64": {"Ref": "Env"}}, "ZGV2"),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::Length": {"Ref": "List"}}, 2),
        ({"Fn::ToJsonString": {"a": {"Ref": "Env"}}}, '{"a": "dev"}'),
        ("{{resolve:ssm:/x:1}}!", "<ssm /x:1>!"),
        (
            {"Fn::Join": ["", ["{{resolve:secretsmanager:", {"Ref": "Vpc"}, ":SecretString:p}}"]]},
            "<secretsmanager vpc-1:SecretString:p>",
        ),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}},) * 2,
    ],
)
def test_function_has_cloudformations_value(node: Any, value: Any) -> None:
    assert evaluate(node, Stack()) == value


@pytest.mark.parametrize(
    ("node", "complaint"),
    [
        ({"Fn::Nope": 1}, "unknown function Fn::Nope"),
        ({"Fn::Select": [5, ["a"]]}, "item 5 of 1"),
        ({"Fn::Select": [-1, ["a"]]}, "item -1 of 1"),
        ({"Fn::FindInMap": ["Sizes", "x", "y"]}, "maps no Sizes.x.y"),
        ({"Fn::If": ["Unheard", 1, 2]}, "no condition 'Unheard'"),
        ({"Fn::If": ["Hen", 1, 2]}, "circular dependency of condition"),
        ({"Fn::Join": "x"}, "Fn::Join cannot use"),
        ({"Fn::Cidr": ["10.0.0.0/99", 1]}, "Fn::Cidr cannot use"),
    ],
)
def test_malformed_function_is_refused_with_its_reason(node: Any, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        evaluate(node, Stack())


def test_references_are_found_at_any_depth() -> None:
    node = {
        "a": [{"Ref": "X"}, {"Fn::Join": ["", [{"Fn::GetAtt": ["Y", "Arn"]}]]}],
        "b": {"Fn::Sub": ["${Z}${W.Id}${!L}${v}", {"v": {"Ref": "U"}}]},
    }
    assert set(references(node)) == {
        ("X", None),
        ("Y", "Arn"),
        ("Z", None),
        ("W", "Id"),
        ("U", None),
    }


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().filter(lambda t: "{{" not in t),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner, min_size=2),
)


@given(plain)
def test_what_has_no_function_is_unchanged(value: Any) -> None:
    assert evaluate(value, Stack()) == value


@given(
    st.recursive(
        st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(
                ["Ref", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::If", "Fn::Cidr", "x"]
            ),
            inner | st.lists(inner),
            max_size=2,
        ),
    )
)
def test_no_template_crashes_the_evaluator(node: Any) -> None:
    assert isinstance(list(references(node)), list)
    with contextlib.suppress(TemplateError):
        evaluate(node, Stack())
