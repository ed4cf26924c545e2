"""Stacks: what CloudFormation says about the deployment as a whole."""

from typing import Any

from standby.verify.probe import Verdict, expect_faultless, probe
from standby.verify.probes.compute import load_balancer
from standby.verify.probes.database import instance
from standby.verify.probes.network import vpc
from standby.verify.probes.storage import file_system
from standby.verify.site import Site

TAGS = ("Environment", "Repository", "Author")
_SETTLED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
"""A change that was undone left the stack whole; and until the next one, nothing could say more."""


@probe("stacks.complete")
def complete(site: Site) -> Verdict:
    """Every stack of this side is deployed, and no change has left it half done."""
    states = {name: _describe(site, name)["StackStatus"] for name in site.stacks}
    faults = [f"{name} is {state}" for name, state in states.items() if state not in _SETTLED]
    return expect_faultless("every stack complete", states, faults)


@probe("stacks.outputs-current")
def outputs_current(site: Site) -> Verdict:
    """The outputs on file are those that the stacks have now."""
    faults = []
    for name, on_file in site.stacks.items():
        now = {o["OutputKey"]: o["OutputValue"] for o in _describe(site, name).get("Outputs", [])}
        faults += [
            f"{name}.{key} is {now.get(key, 'absent')}, on file {value}"
            for key, value in on_file.items()
            if now.get(key) != value
        ]
        faults += [
            f"{name}.{key} is {value}, on file absent"
            for key, value in now.items()
            if key not in on_file
        ]
    return expect_faultless("the outputs on file in every stack", site.stacks, faults)


@probe("stacks.tagged")
def tagged(site: Site) -> Verdict:
    """Network, key, files, database, load balancer and topic carry the application's tags."""
    tags = _tags(site)
    faults = [f"{what} lacks {tag}" for what in tags for tag in TAGS if not tags[what].get(tag)]
    faults += [
        f"{what} says Environment {seen}"
        for what in tags
        if (seen := tags[what].get("Environment", site.suffix)) != site.suffix
    ]
    return expect_faultless(f"{', '.join(TAGS)} on each, for {site.suffix}", tags, faults)


def _describe(site: Site, stack: str) -> dict[str, Any]:
    answer = site.ask("cloudformation:DescribeStacks", StackName=stack)
    return dict(answer["Stacks"][0])


def _tags(site: Site) -> dict[str, dict[str, str]]:
    """Give the tags of what must carry them, each API's spelling brought to one."""
    key = site.ask("kms:ListResourceTags", KeyId=site.output("KmsKeyArn"))
    balancer = load_balancer(site)["LoadBalancerArn"]
    topic = site.ask("sns:ListTagsForResource", ResourceArn=site.output("AlarmTopicArn"))
    tags = {
        "VPC": vpc(site).get("Tags", []),
        "file system": file_system(site).get("Tags", []),
        "database": instance(site).get("TagList", []),
        "load balancer": site.ask("elbv2:DescribeTags", ResourceArns=[balancer])["TagDescriptions"][
            0
        ]["Tags"],
        "topic": topic["Tags"],
    }
    return {"key": {tag["TagKey"]: tag["TagValue"] for tag in key["Tags"]}} | {
        what: {tag["Key"]: tag["Value"] for tag in listed} for what, listed in tags.items()
    }
