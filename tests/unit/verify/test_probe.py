"""What a probe is, and what becomes of one that cannot be answered."""

import pytest
from counting_cloud import CountingCloud

from standby.verify import PILLARS, Outputs, Probe, Side, all_probes
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.site import Reader, Site


@pytest.fixture
def site(cloud: CountingCloud, outputs: Outputs) -> Site:
    return Site(Reader(cloud), outputs, Side.STANDBY)


def test_an_observation_carries_its_evidence(site: Site) -> None:
    @probe("network.has-vpc")
    def has_vpc(site: Site) -> Verdict:
        """There is a VPC."""
        return expect(bool(site.ask("ec2:DescribeVpcs")["Vpcs"]), "a VPC", "one")

    seen = has_vpc.observe(site)
    assert (seen.id, seen.pillar, seen.title) == ("network.has-vpc", "network", "There is a VPC.")
    assert (seen.side, seen.region) == (Side.STANDBY, "eu-west-3")
    assert seen.ok
    assert seen.calls == ("ec2:DescribeVpcs eu-west-3",)
    assert seen.seconds > 0


def missing_output(site: Site) -> Verdict:
    """The VPC is there."""
    return expect(True, "", site.output("VpcId"))


def refused_by_aws(site: Site) -> Verdict:
    """The VPC is there."""
    site.ask("ec2:DescribeVpcs", VpcIds=["vpc-00000000"])
    return expect(True, "", "")


def answered_strangely(site: Site) -> Verdict:
    """The VPC is there."""
    return expect(True, "", site.ask("ec2:DescribeVpcs")["Nothing"])


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (missing_output, "no VpcId of stack TapStackdev-VpcStack-Standby"),
        (refused_by_aws, "DescribeVpcs: VpcID {'vpc-00000000'} does not exist."),
        (answered_strangely, "the answer of AWS lacks what the probe reads"),
    ],
)
def test_a_probe_that_cannot_be_answered_fails_and_says_why(
    site: Site, question: object, reason: str
) -> None:
    seen = probe("network.vpc")(question).observe(site)  # type: ignore[arg-type]
    assert not seen.ok
    assert reason in seen.seen
    assert seen.expected == "The VPC is there."


def test_nothing_at_all_is_not_faultless() -> None:
    assert not expect_faultless("all good", [], []).ok
    assert expect_faultless("all good", ["a"], [None]).ok
    assert expect_faultless("all good", ["a"], ["b is bad"]) == Verdict(
        ok=False, expected="all good", seen="b is bad"
    )


def test_fields_are_compared_and_absent_ones_named() -> None:
    assert expect_fields({"A": 1, "B": 2}, A=1).ok
    verdict = expect_fields({"A": 1}, A=1, B=True)
    assert verdict == Verdict(ok=False, expected="A 1, B True", seen="A 1, B absent")
    assert expect_fields({"A": ["x", "y"], "B": []}, A=[], B=[]).seen == "A x and y, B none"


def test_what_was_seen_is_told_in_words() -> None:
    verdict = expect_fields({"Matcher": {"HttpCode": "200"}, "Ids": ["a", "b"]}, Matcher={}, Ids=[])
    assert verdict.expected == "Matcher none, Ids none"
    assert verdict.seen == "Matcher HttpCode 200, Ids a and b"


def test_every_probe_is_well_formed() -> None:
    probes = all_probes()
    assert len({each.id for each in probes}) == len(probes)
    assert sum(len(each.sides) for each in probes) >= 40
    for each in probes:
        assert each.pillar in PILLARS
        assert each.question.__module__ == f"standby.verify.probes.{each.pillar}"
        assert each.title.endswith("."), each.id
        assert each.title != each.id


def test_probes_come_in_the_order_of_deployment() -> None:
    order = [PILLARS.index(each.pillar) for each in all_probes()]
    assert order == sorted(order)
    assert all_probes() == all_probes()


def test_every_pillar_of_the_blueprint_is_probed() -> None:
    assert set(PILLARS) - {each.pillar for each in all_probes()} == {"failover"}


def test_a_probe_is_of_both_sides_unless_it_says_otherwise() -> None:
    made: Probe = probe("network.vpc")(missing_output)
    assert made.sides == (Side.PRIMARY, Side.STANDBY)
    assert probe("network.vpc", Side.STANDBY)(missing_output).sides == (Side.STANDBY,)
