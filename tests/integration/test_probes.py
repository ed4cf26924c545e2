"""Every probe bites: what it watches is broken, it says so; mended, it is content again."""

import copy
from collections.abc import Iterator

import pytest
from breakages import Breakage, Place, all_breakages
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


def test_in_the_end_all_is_mended(deployment: Deployment) -> None:
    assert [f"{each.id}: {each.seen}" for each in deployment.ask() if not each.ok] == []
