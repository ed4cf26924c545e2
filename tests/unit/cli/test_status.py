"""`standby status` while a region is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from standby.cloud import Cloud
from standby.errors import EnvironmentProblem

REGIONS = {"Primary": "eu-west-2", "Standby": "eu-west-3"}


@pytest.fixture
def deployed(standby: Any) -> None:
    """Leave the outputs of a deployment in the folder of the command line."""
    outputs = {
        f"TapStackdev-VpcStack-{side}": {"Seen": f"arn:aws:ec2:{region}:123456789012:vpc/v"}
        for side, region in REGIONS.items()
    }
    Path("cfn-outputs").mkdir()
    Path("cfn-outputs/outputs.json").write_text(json.dumps(outputs))


@pytest.mark.usefixtures("deployed")
def test_a_region_that_does_not_answer_is_asked_once_and_shown(
    standby: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def call(self: Cloud, operation: str, region: str, **_: object) -> dict[str, Any]:
        asked.append(region)
        if region == "eu-west-2":
            raise EnvironmentProblem("cannot reach it")
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}

    monkeypatch.setattr(Cloud, "call", call)
    ended = standby("status", "--format", "json")
    states = {(row["region"], row["status"]) for row in json.loads(ended.out)["stacks"]}
    assert ended.code == 0
    assert states == {("eu-west-2", "no answer"), ("eu-west-3", "CREATE_COMPLETE")}
    assert asked.count("eu-west-2") == 1


@pytest.mark.usefixtures("deployed")
def test_without_a_twin_and_without_credentials_it_says_what_to_do(
    standby: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "absent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "absent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    ended = standby("status")
    assert (ended.code, ended.out) == (3, "")
    assert "start the twin (`standby up`)" in ended.err
