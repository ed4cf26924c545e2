"""Requests and templates that CloudFormation refuses, as it refuses them; nothing of them stays."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY
from werkzeug.test import Client

from standby.twin.twin import Twin

TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}


def template(**sections: Any) -> str:
    return json.dumps({"Resources": {"A": TOPIC}} | sections)


def topic(**changes: Any) -> str:
    return template(Resources={"A": TOPIC | changes})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("text", "a template is a mapping"),
        ('{"Resources":', "Template format error"),
        ('{"A":' * 10_000, "Template format error"),
        ("{}", "At least one Resources member must be defined"),
        (template(Outputs=[1]), "Outputs is no mapping"),
        (
            template(Outputs={"O": {"Value": {"Ref": "Nothing"}}}),
            r"dependencies \[Nothing\] in the Outputs block",
        ),
        (template(Description="x" * 51_200), "length less than or equal to 51200"),
        (topic(DependsOn=5), "DependsOn of 'A' is no list"),
        (topic(DependsOn="A"), "Circular dependency"),
        (topic(Condition="Absent"), "no condition 'Absent'"),
        (topic(Properties={"Nonsense": 1}), "unknown property 'Nonsense'"),
    ],
)
def test_a_template_that_cannot_be_deployed_is_refused(twin: Twin, body: str, said: str) -> None:
    client = twin.client("cloudformation", PRIMARY)
    with pytest.raises(ClientError, match=f"ValidationError.*{said}"):
        client.create_stack(StackName="Refused", TemplateBody=body)
    assert client.describe_stacks()["Stacks"] == []


@pytest.mark.parametrize("url", ["nonsense", "https://s3.eu-west-2.amazonaws.com/bucket"])
def test_a_template_url_that_names_no_object_is_refused(twin: Twin, url: str) -> None:
    client = twin.client("cloudformation", PRIMARY)
    with pytest.raises(ClientError, match="TemplateURL must be a supported URL"):
        client.create_stack(StackName="Refused", TemplateURL=url)


def test_a_body_that_cannot_be_read_is_the_clients_fault(twin: Twin) -> None:
    answer = Client(twin.gateway).post(
        data=b"[]",
        headers={
            "Authorization": f"Credential=key/20260101/{PRIMARY}/logs/aws4_request",
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "Logs_20140328.DescribeLogGroups",
        },
    )
    assert answer.status_code == 400
    assert "SerializationException" in answer.text
