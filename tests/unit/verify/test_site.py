"""A probe's view of a side: it only reads, asks once, and keeps the record of what it asked."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from counting_cloud import CountingCloud

from standby.verify import Outputs, Side
from standby.verify.site import Reader, Site, Unevaluable, only

VPCS = "ec2:DescribeVpcs"


def test_calls_go_to_the_region_of_the_side_and_onto_one_record(
    cloud: CountingCloud, outputs: Outputs
) -> None:
    site = Site(Reader(cloud), outputs, Side.PRIMARY)
    site.ask(VPCS)
    site.other.ask(VPCS)
    site.ask("iam:ListRoles")
    assert site.calls == [f"{VPCS} eu-west-2", f"{VPCS} eu-west-3", "iam:ListRoles us-east-1"]
    assert cloud.calls == site.calls


def test_a_question_is_asked_once_for_all_probes_yet_recorded_by_each(
    cloud: CountingCloud, outputs: Outputs
) -> None:
    reader = Reader(cloud)
    sites = [Site(reader, outputs, Side.PRIMARY) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda site: site.ask(VPCS), sites))
    assert cloud.calls == [f"{VPCS} eu-west-2"]
    assert all(answer is answers[0] for answer in answers)
    assert all(site.calls == cloud.calls for site in sites)


def test_different_parameters_are_different_questions(
    cloud: CountingCloud, outputs: Outputs
) -> None:
    site = Site(Reader(cloud), outputs, Side.PRIMARY)
    for value in ("true", "false"):
        site.ask(VPCS, Filters=[{"Name": "is-default", "Values": [value]}])
    assert len(cloud.calls) == 2
    assert site.calls == [f"{VPCS} eu-west-2"]


def test_a_refusal_is_remembered_like_an_answer(cloud: CountingCloud, outputs: Outputs) -> None:
    reader = Reader(cloud)
    for _ in range(2):
        with pytest.raises(ClientError, match=r"InvalidVpcID\.NotFound"):
            Site(reader, outputs, Side.PRIMARY).ask(VPCS, VpcIds=["vpc-00000000"])
    assert len(cloud.calls) == 1


@pytest.mark.parametrize(
    "operation", ["ec2:CreateVpc", "rds:DeleteDBInstance", "rds:Describe", "rds", "kms:Decrypt"]
)
def test_what_might_change_something_is_never_asked(
    cloud: CountingCloud, outputs: Outputs, operation: str
) -> None:
    with pytest.raises(ValueError, match="a probe only reads"):
        Site(Reader(cloud), outputs, Side.PRIMARY).ask(operation)
    assert not cloud.calls


def test_only_tells_none_from_many() -> None:
    assert only([7], "number") == 7
    with pytest.raises(Unevaluable, match="found no number"):
        only([], "number")
    with pytest.raises(Unevaluable, match="found 2 number"):
        only([1, 2], "number")
