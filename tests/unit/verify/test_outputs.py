"""The outputs file: what is read from it, and what is refused in one line."""

import json
from pathlib import Path

import pytest

from standby.errors import EnvironmentProblem
from standby.verify.outputs import MissingOutput, Outputs, Side

KEY = "arn:aws:kms:eu-west-{}:123456789012:key/k"


def document(suffix: str = "dev") -> dict[str, dict[str, str]]:
    root = f"TapStack{suffix}"
    return {
        root: {},
        f"{root}-VpcStack-Primary": {"VpcId": "vpc-1", "VpcCidr": "10.0.0.0/16"},
        f"{root}-VpcStack-Standby": {"VpcId": "vpc-2", "VpcCidr": "10.1.0.0/16"},
        f"{root}-SecurityPrimary": {"KmsKeyArn": KEY.format(2)},
        f"{root}-SecurityStandby": {"KmsKeyArn": KEY.format(3)},
        f"{root}-Dns": {"PrimaryAlbUrl": "http://a", "StandbyAlbUrl": "http://b"},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(document()))
    return path


def test_tells_environment_regions_and_outputs_from_the_file_alone(path: Path) -> None:
    outputs = Outputs.read(path)
    assert outputs.suffix == "dev"
    assert [outputs.region(side) for side in Side] == ["eu-west-2", "eu-west-3"]
    assert [outputs.need(side, "VpcId") for side in Side] == ["vpc-1", "vpc-2"]
    assert outputs.get(Side.STANDBY, "PrimaryAlbUrl") == "http://a"
    assert outputs.get(Side.STANDBY, "ApplicationUrl") is None


def test_a_suffix_may_have_hyphens(path: Path) -> None:
    path.write_text(json.dumps(document("pr-12")))
    assert Outputs.read(path).suffix == "pr-12"


def test_a_missing_output_is_named_with_its_stack(path: Path) -> None:
    with pytest.raises(MissingOutput, match="no EfsId of stack TapStackdev-StorageStandby"):
        Outputs.read(path).need(Side.STANDBY, "EfsId")


def test_stacks_of_the_contract_count_even_when_they_are_not_deployed(path: Path) -> None:
    outputs = Outputs.read(path)
    assert "TapStackdev-Resilience" in outputs.stack_names(Side.PRIMARY)
    assert "TapStackdev-DnsZone" not in outputs.stack_names(Side.STANDBY)


def test_regions_without_any_arn_are_refused(path: Path) -> None:
    content = document()
    del content["TapStackdev-SecurityStandby"]
    path.write_text(json.dumps(content))
    with pytest.raises(EnvironmentProblem, match="no standby region"):
        Outputs.read(path).region(Side.STANDBY)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"TapStackdev-VpcStack-Primary": {"VpcId"', "damaged or half-written"),
        ("", "damaged or half-written"),
        ("[]", "not an outputs file"),
        ('{"TapStackdev-VpcStack-Primary": "vpc-1"}', "not an outputs file"),
        ('{"TapStackdev-VpcStack-Primary": {"VpcId": 1}}', "not an outputs file"),
        ("{}", "no stack named"),
        ('{"VpcId": {}}', "no stack named"),
        (json.dumps(document() | document("prod")), "several environments"),
    ],
)
def test_what_is_no_outputs_file_is_refused_in_one_line(
    path: Path, text: str, complaint: str
) -> None:
    path.write_text(text)
    with pytest.raises(EnvironmentProblem, match=complaint) as caught:
        Outputs.read(path)
    assert "\n" not in str(caught.value)


def test_an_absent_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="deploy first"):
        Outputs.read(tmp_path / "outputs.json")


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EnvironmentProblem, match="damaged"):
        Outputs.read(path)


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot read"):
        Outputs.read(tmp_path)
