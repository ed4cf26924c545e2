"""Every probe bites: what it watches is broken, it says so; mended, it is content again."""

import copy
import json
import signal
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from breakages import Breakage, Place, all_breakages
from faulty_endpoint import LOST, SILENT, faulty_endpoint
from workspace import Workspace

from standby.cloud import Cloud
from standby.verify import Observation, Outputs, Side, all_probes, select, verify

UNBREAKABLE = {
    "dns.alb-urls": "asked where there is no domain; a test of its own takes the domain away",
}
"""Probes that no breakage of this deployment can reach, and why."""


class Deployment:
    """A deployment that may be broken, and asked."""

    def __init__(self, space: Workspace) -> None:
        assert space.twin
        self.space, self.endpoint = space, space.twin.endpoint_url
        self.cloud = Cloud(self.endpoint)
        self._outputs = space.outputs()

    def outputs(self) -> Outputs:
        """Give what its stacks put out, to be changed at will."""
        return Outputs("TapStackdev", copy.deepcopy(self._outputs))

    def ask(self, *probes: str, outputs: Outputs | None = None) -> list[Observation]:
        """Ask some probes, or all, of both sides."""
        chosen = select(all_probes(), probes)
        return list(verify(self.cloud, outputs or self.outputs(), chosen))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A twin of this module's own: what is broken here is broken for nobody else."""
    space = Workspace(tmp_path_factory.mktemp("broken"), {"STANDBY_DOMAIN_NAME": "example.org"})
    up = space.standby("up", "--detach")
    assert up.returncode == 0, up.stderr
    yield Deployment(space)
    space.down()


@pytest.mark.parametrize("breakage", all_breakages(), ids=lambda each: each.name)
def test_what_is_broken_is_seen_where_it_is_broken(
    breakage: Breakage, deployment: Deployment
) -> None:
    outputs = deployment.outputs()
    steps = breakage.steps(Place(deployment.cloud, outputs, breakage.side))
    heard = next(steps)
    try:
        answers = deployment.ask(breakage.probe, outputs=outputs)
    finally:
        assert next(steps, None) is None
    (seen,) = [each for each in answers if each.side is breakage.side]
    assert not seen.ok
    assert heard in seen.seen
    assert [each.seen for each in deployment.ask(breakage.probe) if not each.ok] == []


def test_every_probe_has_a_breakage() -> None:
    proven = {breakage.probe for breakage in all_breakages()}
    assert {probe.id for probe in all_probes()} - proven == set(UNBREAKABLE)


@pytest.mark.parametrize("right", [True, False])
def test_without_a_domain_each_address_must_be_its_load_balancers(
    right: bool, deployment: Deployment
) -> None:
    outputs = deployment.outputs()
    names = {side: outputs.need(side, "LoadBalancerDns") for side in Side}
    stacks = {**outputs.stacks}
    dns = {key: value for key, value in stacks["TapStackdev-Dns"].items() if "Url" not in key}
    for side in Side:
        dns[f"{side.capitalize()}AlbUrl"] = f"http://{names[side if right else side.other]}"
    stacks["TapStackdev-Dns"] = dns
    seen = deployment.ask("dns.alb-urls", outputs=Outputs(outputs.root, stacks))
    assert [each.ok for each in seen] == [right, right]
    assert [each.seen for each in seen] == [dns["PrimaryAlbUrl"], dns["StandbyAlbUrl"]]


def test_exactly_the_probes_that_need_a_broken_api_fail_and_say_why(
    deployment: Deployment,
) -> None:
    denied = '{"__type": "AccessDeniedException", "message": "not allowed to call kms"}'
    error = "<Response><Errors><Error><Code>InternalError</Code></Error></Errors></Response>"
    broken = {
        "ec2": (500, error),
        "elasticfilesystem": (200, "not JSON"),
        "kms": (400, denied),
        "rds": LOST,
        "route53": (503, "<html>Service Unavailable</html>"),
    }
    with faulty_endpoint(deployment.endpoint, broken) as endpoint:
        ended = deployment.space.standby(
            "verify",
            *("--endpoint-url", endpoint),
            *("--format", "json", "--format", "junit:report.xml"),
        )
    seen = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"standby: {seen['failed']} of ")
    assert len(seen["observations"]) == len(deployment.ask())
    prefixes = tuple({"elasticfilesystem": "efs"}.get(name, name) + ":" for name in broken)
    for each in seen["observations"]:
        assert each["ok"] == (not any(call.startswith(prefixes) for call in each["calls"])), each
    reasons = "\n".join(each["seen"] for each in seen["observations"] if not each["ok"])
    for reason in (
        "InternalError",
        "not allowed to call kms",
        "cannot reach",
        "lacks what the probe reads",
    ):
        assert reason in reasons
    suites = ET.parse(deployment.space.folder / "report.xml").getroot()  # noqa: S314 - ours
    assert int(suites.attrib["failures"]) == seen["failed"]
    assert len(suites.findall(".//failure")) == seen["failed"]
    assert int(suites.attrib["tests"]) == len(suites.findall(".//testcase"))


def test_ctrl_c_does_not_wait_for_an_api_that_never_answers(deployment: Deployment) -> None:
    with faulty_endpoint(deployment.endpoint, {"rds": SILENT, "kms": SILENT}) as endpoint:
        process = deployment.space.begin("verify", "--endpoint-url", endpoint)
        while "complete" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_in_the_end_all_is_mended(deployment: Deployment) -> None:
    assert [f"{each.id}: {each.seen}" for each in deployment.ask() if not each.ok] == []
