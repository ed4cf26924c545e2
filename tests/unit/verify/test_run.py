"""A run: which probes are asked, in what order they are told, and when it does not begin."""

import time

import pytest
from counting_cloud import CountingCloud

from standby.errors import EnvironmentProblem, UsageError
from standby.verify import Outputs, Side, all_probes, select, verify
from standby.verify.probe import Verdict, expect, probe
from standby.verify.site import Site


@probe("network.slow", Side.PRIMARY)
def slow(site: Site) -> Verdict:
    """It takes its time."""
    time.sleep(0.2)
    return expect(True, "done", "done")


@probe("network.fast")
def fast(site: Site) -> Verdict:
    """It does not."""
    return expect(site.side is Side.PRIMARY, "primary", site.side)


@probe("network.never", when=lambda outputs: outputs.suffix == "other")
def never(site: Site) -> Verdict:
    """It does not apply."""
    return expect(False, "", "")


def test_the_order_is_that_of_the_probes_however_long_each_takes(
    cloud: CountingCloud, outputs: Outputs
) -> None:
    seen = list(verify(cloud, outputs, [slow, fast]))
    assert [(each.id, each.side, each.ok) for each in seen] == [
        ("network.slow", "primary", True),
        ("network.fast", "primary", True),
        ("network.fast", "standby", False),
    ]


def test_probes_that_do_not_apply_are_not_asked(cloud: CountingCloud, outputs: Outputs) -> None:
    assert not list(verify(cloud, outputs, [never]))


def test_an_empty_account_fails_every_probe_and_skips_none(
    cloud: CountingCloud, outputs: Outputs
) -> None:
    probes = all_probes()
    seen = list(verify(cloud, outputs, probes))
    assert not any(each.ok for each in seen)
    assert len(seen) == sum(len(p.sides) for p in probes if p.applies(outputs))
    assert all(each.seen and each.expected for each in seen)


def test_with_a_domain_the_failover_pair_is_asked_and_without_one_the_addresses() -> None:
    bare = Outputs("TapStackdev", {})
    named = Outputs("TapStackdev", {"TapStackdev-Dns": {"ApplicationUrl": "https://app.x.org"}})
    ids = {p.id for p in all_probes() if p.applies(bare)} ^ {
        p.id for p in all_probes() if p.applies(named)
    }
    assert ids == {"dns.alb-urls", "dns.failover-pair"}


def test_nothing_is_asked_of_an_endpoint_that_does_not_answer(outputs: Outputs) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot reach"):
        list(verify(CountingCloud("http://127.0.0.1:1"), outputs, all_probes()))


def test_one_region_that_answers_is_enough_to_begin(
    cloud: CountingCloud, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = cloud.client

    def lost(service: str, region: str) -> object:
        if region == "eu-west-2":
            raise EnvironmentProblem("cannot reach eu-west-2")
        return answer(service, region)

    monkeypatch.setattr(cloud, "client", lost)
    probes = select(all_probes(), ["network.vpc", "security.no-open-admin-ports"])
    seen = list(verify(cloud, outputs, probes))
    assert len(seen) == 4


def test_selection_is_by_id_and_by_pillar() -> None:
    probes = all_probes()
    assert {p.pillar for p in select(probes, ["dns", "peering"])} == {"dns", "peering"}
    assert [p.id for p in select(probes, ["dns.latch"])] == ["dns.latch"]
    assert select(probes, []) == probes


@pytest.mark.parametrize(
    ("name", "hint"), [("dns.lach", "did you mean 'dns.latch'"), ("xyzzy", "pillars are stacks")]
)
def test_an_unknown_selection_is_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        select(all_probes(), [name])
