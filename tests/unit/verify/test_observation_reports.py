"""Observations for programs: JSON with a schema version, and JUnit XML that parsers accept."""

import json
from xml.etree import ElementTree as ET

import pytest

from standby.report import json as json_report
from standby.report import junit
from standby.verify import Observation, Side

GOOD = Observation(
    id="network.vpc",
    pillar="network",
    side=Side.PRIMARY,
    region="eu-west-2",
    title="The VPC is there.",
    ok=True,
    expected="State available",
    seen="State available",
    calls=("ec2:DescribeVpcs eu-west-2",),
    seconds=0.01234,
)
BAD = Observation(
    id="peering.active",
    pillar="peering",
    side=Side.STANDBY,
    region="eu-west-3",
    title="It is active.",
    ok=False,
    expected='Status "active"',
    seen="Status <deleted> & \x00gone",
    calls=(),
    seconds=1.0,
)


def test_json_says_how_many_failed_and_everything_about_each() -> None:
    document = json.loads(json_report.observations([GOOD, BAD]))
    assert document["schema"] == "standby.verify/1"
    assert (document["ok"], document["passed"], document["failed"]) == (False, 1, 1)
    assert document["observations"][0] == {
        "id": "network.vpc",
        "pillar": "network",
        "side": "primary",
        "region": "eu-west-2",
        "title": "The VPC is there.",
        "ok": True,
        "expected": "State available",
        "seen": "State available",
        "calls": ["ec2:DescribeVpcs eu-west-2"],
        "seconds": 0.012,
    }


def test_junit_has_a_suite_per_pillar_and_a_failure_with_its_evidence() -> None:
    root = ET.fromstring(junit.observations([GOOD, BAD]))  # noqa: S314 - our own output
    assert root.attrib["tests"] == "2"
    assert root.attrib["failures"] == "1"
    assert [suite.attrib["name"] for suite in root] == ["network", "peering"]
    good, bad = root.iter("testcase")
    assert good.attrib == {
        "classname": "standby.network",
        "name": "vpc [eu-west-2]",
        "time": "0.012",
    }
    assert good.find("failure") is None
    failure = bad.find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "Status <deleted> & \ufffdgone"
    assert 'expected: Status "active"' in (failure.text or "")


@pytest.mark.parametrize("render", [json_report.observations, junit.observations])
def test_nothing_seen_is_still_a_document(render: object) -> None:
    text = render([])  # type: ignore[operator]
    assert text.endswith("\n")
